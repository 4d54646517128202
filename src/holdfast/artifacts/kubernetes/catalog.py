"""The renderers of this family, in the order of its pages."""

from __future__ import annotations

from holdfast.artifacts.artifact import Renderer
from holdfast.artifacts.kubernetes import (
    account,
    adapter,
    disruption,
    gateway,
    hpa,
    jobs,
    keda,
    kustomization,
    nginx,
    prewarming,
    priority,
    quota,
    service,
    storage,
    traefik,
    vpa,
    workload,
)

#: Everything but the kustomizations, which list what these render.
OBJECTS: tuple[Renderer, ...] = (
    account.render,
    workload.render,
    service.render,
    jobs.render,
    hpa.render,
    keda.render,
    adapter.render,
    vpa.render,
    disruption.render,
    quota.render,
    priority.render,
    storage.render,
    gateway.render,
    nginx.render,
    traefik.render,
    prewarming.render,
)

RENDERERS: tuple[Renderer, ...] = (*OBJECTS, kustomization.over(OBJECTS))
