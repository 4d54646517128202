"""The renderers of the cloud, in the order in which their stacks are deployed."""

from __future__ import annotations

from holdfast.artifacts.artifact import Renderer
from holdfast.artifacts.resilience.aws import (
    accelerator,
    access,
    cdn,
    cluster,
    deploy,
    entrance,
    firewall,
    foundation,
    identity,
    network,
    notices,
    records,
    registry,
    storage,
    transit,
)

RENDERERS: tuple[Renderer, ...] = (
    foundation.render,
    network.render,
    registry.render,
    storage.render,
    transit.render,
    identity.render,
    cluster.render,
    access.render,
    entrance.render,
    notices.render,
    accelerator.render,
    records.render,
    firewall.render,
    cdn.render,
    deploy.render,
)
