"""One machine: real processes behind a real Envoy."""

from holdfast.targets.local.target import LocalTarget

__all__ = ["LocalTarget"]
