"""The outline of every object: apiVersion, kind, metadata, in the order people read them."""

from __future__ import annotations

from typing import Any

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.spec.model import Service

BASE = "kubernetes/base"  # what every region gets; namespaced
PLATFORM = "kubernetes/platform"  # cluster-scoped, applied once for each cluster
CLUSTER = "kubernetes/cluster"  # what makes the cluster of each region; not for its API
OVERLAYS = "kubernetes/overlays"  # one directory for each region
WAVE = "argocd.argoproj.io/sync-wave"


def namespaced(service: Service, kind: str, name: str, component: str = "") -> Object:
    """An object of the service's namespace. ``kind``: ``apps/v1/Deployment``."""
    metadata: Object = {"name": name, "namespace": names.namespace(service)}
    return _object(kind, metadata, names.labels(service, component))


def clustered(service: Service, kind: str, name: str, component: str = "") -> Object:
    """An object of the whole cluster."""
    return _object(kind, {"name": name}, names.labels(service, component))


def shared(kind: str, name: str, namespace: str = "") -> Object:
    """An object that is the same whichever service brings it; no ``namespace``: of the cluster."""
    place = {"namespace": namespace} if namespace else {}
    return _object(kind, {"name": name, **place}, {"app.kubernetes.io/managed-by": names.MANAGER})


def space(name: str, standard: str) -> Object:
    """A namespace of the platform, and the Pod Security Standard of its pods."""
    found = shared("v1/Namespace", name)
    found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = standard
    return found


def named(service: Service, *suffixes: str) -> str:
    """``shop``, ``shop-jobs``."""
    return "-".join((service.service, *suffixes))


def present(**fields: Any) -> Object:  # noqa: ANN401  # values of any JSON type
    """The fields that say something: no null, no empty list, no empty object."""
    return {key: value for key, value in fields.items() if value not in (None, [], {}, ())}


def _object(kind: str, metadata: Object, labels: dict[str, str]) -> Object:
    version, _, name = kind.rpartition("/")
    return {"apiVersion": version, "kind": name, "metadata": {**metadata, "labels": labels}}
