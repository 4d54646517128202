"""Backups of the cluster and the database, copies in other regions, proof by restore."""
