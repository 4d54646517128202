"""The renderers of this family, in the order of its pages."""

from __future__ import annotations

from holdfast.artifacts.artifact import Renderer
from holdfast.artifacts.resilience import kustomization, namespaces
from holdfast.artifacts.resilience.aws import catalog as aws
from holdfast.artifacts.resilience.backup import archive, velero, verification
from holdfast.artifacts.resilience.chaos import mesh, toolkit
from holdfast.artifacts.resilience.data import (
    advice,
    cache,
    cockroach,
    objectstore,
    postgres,
    queue,
)
from holdfast.artifacts.resilience.edge import binding, envoy, gateway
from holdfast.artifacts.resilience.runbooks import catalog as runbooks
from holdfast.artifacts.resilience.security import certificates, scanning, secrets, vault

#: Everything but the kustomizations, which list what these render.
OBJECTS: tuple[Renderer, ...] = (
    namespaces.render,
    secrets.render,
    vault.render,
    certificates.render,
    scanning.render,
    postgres.render,
    advice.render,
    cockroach.render,
    cache.render,
    queue.render,
    objectstore.render,
    archive.render,
    velero.render,
    verification.render,
    envoy.render,
    gateway.render,
    binding.render,
    mesh.render,
    toolkit.render,
    runbooks.render,
)

RENDERERS: tuple[Renderer, ...] = (*OBJECTS, *aws.RENDERERS, kustomization.over(OBJECTS))
