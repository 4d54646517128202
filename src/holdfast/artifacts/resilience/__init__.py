"""Regions, data services, backups, protection, chaos and runbooks."""
