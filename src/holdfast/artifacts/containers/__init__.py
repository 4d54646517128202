"""Images: how they are built, kept small, scanned, signed and stored."""
