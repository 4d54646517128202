"""Holdfast: a production-deployment platform whose promises are executable."""

__version__ = "0.1.0"
