"""Secrets from Vault, certificates, scanning, what the audit log keeps."""
