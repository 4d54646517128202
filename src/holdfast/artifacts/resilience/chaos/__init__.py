"""Experiments that break something small on purpose and stop when users notice."""
