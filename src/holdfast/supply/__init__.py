"""What leaves the workshop: files on disk, upstream checkers, images, registries, scans."""
