"""The renderers of this family, in the order of its pages."""

from __future__ import annotations

from holdfast.artifacts.artifact import Renderer
from holdfast.artifacts.containers import (
    bake,
    compose,
    dockerfile,
    harbor,
    ignore,
    scanning,
    signing,
    structure,
)

RENDERERS: tuple[Renderer, ...] = (
    dockerfile.render,
    ignore.render,
    bake.render,
    compose.render,
    structure.render,
    scanning.render,
    signing.render,
    harbor.render,
)
