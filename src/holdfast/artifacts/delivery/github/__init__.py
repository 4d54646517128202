"""Workflows of GitHub Actions: least privilege, pinned actions, no text of others in a shell."""
