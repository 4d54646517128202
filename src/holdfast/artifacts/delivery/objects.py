"""Where the files of this family go, and the outline of the objects in them."""

from __future__ import annotations

from typing import Any

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.spec.model import Service

ARGOCD = "argocd"  # the namespace of Argo CD, and of what it reads
FOLDER = "delivery/argocd"
FLAGGER = "delivery/flagger/base"
FLAGGER_OVERLAYS = "delivery/flagger/overlays"  # one directory for each region
GITHUB = "delivery/github"
_MANAGED = {"app.kubernetes.io/managed-by": names.MANAGER}


def shared(kind: str, name: str, namespace: str = ARGOCD, **fields: Any) -> Object:  # noqa: ANN401  # JSON
    """An object that is the same whichever service brings it. ``kind``: ``v1/ConfigMap``."""
    return _object(kind, name, namespace, {**_MANAGED, "app.kubernetes.io/part-of": ARGOCD}, fields)


def owned(service: Service, kind: str, name: str, namespace: str, **fields: Any) -> Object:  # noqa: ANN401
    """An object of this service."""
    return _object(kind, name, namespace, names.labels(service, "delivery"), fields)


def _object(
    kind: str, name: str, namespace: str, labels: dict[str, str], fields: dict[str, Any]
) -> Object:
    version, _, short = kind.rpartition("/")
    place = {"namespace": namespace} if namespace else {}
    metadata = {"name": name, **place, "labels": labels}
    return {"apiVersion": version, "kind": short, "metadata": metadata, **fields}
