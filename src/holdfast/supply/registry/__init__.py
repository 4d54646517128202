"""Registries: OCI distribution over HTTP, what stays in them, and copies between them."""
