"""The renderers of this family, in the order of its pages."""

from __future__ import annotations

from holdfast.artifacts.artifact import Renderer
from holdfast.artifacts.kubernetes import (
    access,
    account,
    adapter,
    disruption,
    gateway,
    gpu,
    hpa,
    jobs,
    keda,
    kustomization,
    nginx,
    prewarming,
    priority,
    quota,
    service,
    sriov,
    storage,
    traefik,
    vpa,
    workload,
)
from holdfast.artifacts.kubernetes.admission import demands, signatures
from holdfast.artifacts.kubernetes.cluster import (
    apiserver,
    aws,
    capi,
    karpenter,
    kubeadm,
    namespaces,
    tuning,
)
from holdfast.artifacts.kubernetes.mesh import identity, install, traffic
from holdfast.artifacts.kubernetes.network import policies

#: Everything but the kustomizations, which list what these render.
OBJECTS: tuple[Renderer, ...] = (
    account.render,
    access.render,
    policies.render,
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
    demands.render,
    signatures.render,
    install.render,
    identity.render,
    traffic.render,
    namespaces.render,
    tuning.render,
    karpenter.render,
    apiserver.render,
    kubeadm.render,
    capi.render,
    aws.render,
    gpu.render,
    sriov.render,
)

RENDERERS: tuple[Renderer, ...] = (*OBJECTS, kustomization.over(OBJECTS))
