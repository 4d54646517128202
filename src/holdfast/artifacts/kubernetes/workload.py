"""What serves: a Deployment, a StatefulSet with a volume each, or a DaemonSet."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes import pod
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service

KINDS = {
    "deployment": ("apps/v1", "Deployment"),
    "stateful": ("apps/v1", "StatefulSet"),
    "daemon": ("apps/v1", "DaemonSet"),
}
_KEYS = (*pod.KEYS, "kubernetes.namespace", "kubernetes.workload")
_ROLLING = ("rollout.max_surge", "rollout.max_unavailable")
_HISTORY = 5  # revisions a person may go back to with kubectl
_VOLUME = "data"


def kind(service: Service) -> str:
    """The kind of the workload; autoscalers and overlays refer to it."""
    return KINDS[service.kubernetes.workload][1]


def reference(service: Service) -> Object:
    """How other objects name the workload."""
    version, name = KINDS[service.kubernetes.workload]
    return {"apiVersion": version, "kind": name, "name": named(service)}


def replicas(service: Service) -> int:
    """Instances in the primary region; the overlay of each region says its own number."""
    return names.replicas(service, names.primary(service))


def render(service: Service) -> Iterable[Artifact]:
    yield _RENDERED[service.kubernetes.workload](service)


def deployment(service: Service) -> Object:
    found = namespaced(service, "apps/v1/Deployment", named(service), "service")
    found["spec"] = {
        "replicas": replicas(service),
        "revisionHistoryLimit": _HISTORY,
        "progressDeadlineSeconds": names.seconds(service.rollout.no_progress),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling(service)},
        "selector": {"matchLabels": names.selector(service)},
        "template": pod.template(service, "pod-template-hash"),
    }
    return found


def statefulset(service: Service) -> Object:
    found = namespaced(service, "apps/v1/StatefulSet", named(service), "service")
    mount = {"name": _VOLUME, "mountPath": service.kubernetes.storage.path}
    found["spec"] = {
        "serviceName": named(service, "peers"),
        "replicas": replicas(service),
        "revisionHistoryLimit": _HISTORY,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "selector": {"matchLabels": names.selector(service)},
        "template": pod.template(service, "controller-revision-hash", mount),
        "volumeClaimTemplates": [_claim(service)],
    }
    return found


def daemonset(service: Service) -> Object:
    found = namespaced(service, "apps/v1/DaemonSet", named(service), "service")
    rolling = {"maxSurge": 0, "maxUnavailable": max(1, service.rollout.max_unavailable)}
    found["spec"] = {
        "revisionHistoryLimit": _HISTORY,
        "selector": {"matchLabels": names.selector(service)},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "template": pod.template(service, ""),
    }
    return found


def _rolling(service: Service) -> Object:
    """Both zero could never replace a pod, and is refused: then one more pod is allowed."""
    surge, unavailable = service.rollout.max_surge, service.rollout.max_unavailable
    return {"maxSurge": surge or int(not unavailable), "maxUnavailable": unavailable}


def _claim(service: Service) -> Object:
    storage = service.kubernetes.storage
    return {
        "metadata": {"name": _VOLUME, "labels": names.labels(service)},
        "spec": {
            "accessModes": ["ReadWriteOncePod"],
            "storageClassName": names.storage_class(storage.kind),
            "resources": {"requests": {"storage": names.memory(storage.size)}},
        },
    }


def _deployment(service: Service) -> Artifact:
    return Artifact(
        f"{BASE}/deployment.yaml",
        deployment(service),
        "The instances and how a new release replaces the old one, pod by pod.",
        (*_KEYS, *_ROLLING, "replicas", "regions", "rollout.no_progress"),
        ("T11", "T12", "T36", "T54", "T55"),
    )


def _stateful(service: Service) -> Artifact:
    return Artifact(
        f"{BASE}/statefulset.yaml",
        statefulset(service),
        "The instances, each with a name and a volume that outlive it.",
        (*_KEYS, "replicas", "regions", "kubernetes.storage"),
        ("T11", "T12", "T37", "T54", "T55"),
    )


def _daemon(service: Service) -> Artifact:
    return Artifact(
        f"{BASE}/daemonset.yaml",
        daemonset(service),
        "One instance on every node that can run it.",
        (*_KEYS, "rollout.max_unavailable"),
        ("T11", "T12", "T38", "T54", "T55"),
    )


_RENDERED: dict[str, Callable[[Service], Artifact]] = {
    "deployment": _deployment,
    "stateful": _stateful,
    "daemon": _daemon,
}
