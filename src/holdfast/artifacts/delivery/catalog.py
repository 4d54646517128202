"""The renderers of this family, in the order of its pages."""

from __future__ import annotations

from holdfast.artifacts.artifact import Renderer
from holdfast.artifacts.delivery import (
    applicationsets,
    argocd,
    flagger,
    fleets,
    installs,
    notifications,
    projects,
    values,
)
from holdfast.artifacts.delivery.github import (
    ci,
    image,
    promote,
    release,
    rescan,
    rollback,
    scripts,
    settings,
)

RENDERERS: tuple[Renderer, ...] = (
    argocd.render,
    notifications.render,
    projects.render,
    applicationsets.render,
    installs.render,
    values.render,
    flagger.render,
    fleets.render,
    ci.render,
    image.render,
    promote.render,
    release.render,
    rescan.render,
    rollback.render,
    scripts.render,
    settings.render,
)
