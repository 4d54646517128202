"""The renderers of this family, in the order of its pages."""

from __future__ import annotations

from holdfast.artifacts.artifact import Renderer

RENDERERS: tuple[Renderer, ...] = ()
