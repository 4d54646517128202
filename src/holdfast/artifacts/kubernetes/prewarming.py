"""Room and images that are there before they are needed.

Placeholder pods hold the room of a rollout's surge: instances take it at once, the placeholders
wait for new nodes. The image is on every node as a volume (Kubernetes 1.36, image volumes): it is
pulled without being run.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names, versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes import placement, pod
from holdfast.artifacts.kubernetes.hardening import bare_context, container_context
from holdfast.artifacts.kubernetes.objects import BASE, WAVE, named, namespaced
from holdfast.spec.model import Service

_HEADROOM = "headroom"
_PULL = "prepull"
_NOBODY = 65535  # the user of the pause image
#: Said to checkov where it wants probes.
_UNASKED = {
    "checkov.io/skip1": "CKV_K8S_8=it runs nothing that could hang",
    "checkov.io/skip2": "CKV_K8S_9=it serves nobody",
}
_KEYS = (*placement.KEYS, "kubernetes.namespace")


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{BASE}/headroom.yaml",
        _headroom(service),
        "Placeholders that hold the room of a rollout's surge until it is needed.",
        (*_KEYS, "resources.requests", "resources.limits", "rollout.max_surge"),
        ("T145",),
    )
    yield Artifact(
        f"{BASE}/prepull.yaml",
        _prepull(service),
        "Brings the image to every node before a rollout needs it there.",
        (*_KEYS, "image.repository", "image.digest", "version"),
        ("T38", "T145"),
    )


def _headroom(service: Service) -> Object:
    found = namespaced(service, "apps/v1/Deployment", named(service, _HEADROOM), _HEADROOM)
    found["metadata"]["annotations"] = dict(_UNASKED)
    found["spec"] = {
        "replicas": max(1, service.rollout.max_surge),
        "selector": {"matchLabels": _selector(service, _HEADROOM)},
        "template": {
            "metadata": {"labels": names.beside(service, _HEADROOM)},
            "spec": {
                **_bare(service, _held(service)),
                "priorityClassName": named(service, _HEADROOM),
            },
        },
    }
    return found


def _held(service: Service) -> Object:
    """As large as an instance; GPUs are too dear to hold."""
    whole = pod.resources(service)
    return {
        side: {name: whole[side][name] for name in ("cpu", "memory")}
        for side in ("requests", "limits")
    }


def _prepull(service: Service) -> Object:
    found = namespaced(service, "apps/v1/DaemonSet", named(service, _PULL), _PULL)
    found["metadata"]["annotations"] = {WAVE: "-2", **_UNASKED}
    image = {"reference": names.image(service), "pullPolicy": pod.pull_policy(service)}
    rolling = {"maxSurge": 0, "maxUnavailable": "100%"}
    found["spec"] = {
        "selector": {"matchLabels": _selector(service, _PULL)},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "template": {
            "metadata": {"labels": names.beside(service, _PULL)},
            "spec": {
                **_bare(service, _least()),
                "volumes": [{"name": "image", "image": image}],
            },
        },
    }
    return found


def _least() -> Object:
    amount = {"cpu": "1m", "memory": "8Mi"}
    return {"requests": amount, "limits": {"cpu": "10m", "memory": "16Mi"}}


def _bare(service: Service, resources: Object) -> Object:
    """A pod that does nothing and ends at once."""
    container = {
        "name": "pause",
        "image": versions.PAUSE.reference,
        "imagePullPolicy": "IfNotPresent",
        "resources": resources,
        "securityContext": container_context(),
    }
    return {
        "serviceAccountName": service.service,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": bare_context(_NOBODY),
        "affinity": {"nodeAffinity": placement.node_affinity(service)},
        "tolerations": placement.tolerations(service),
        "containers": [container],
    }


def _selector(service: Service, suffix: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": named(service, suffix)}
