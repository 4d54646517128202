"""The renderers of this family, in the order of its pages."""

from __future__ import annotations

from holdfast.artifacts.artifact import Renderer
from holdfast.artifacts.delivery import (
    applicationsets,
    argocd,
    flagger,
    notifications,
    projects,
)

RENDERERS: tuple[Renderer, ...] = (
    argocd.render,
    notifications.render,
    projects.render,
    applicationsets.render,
    flagger.render,
)
