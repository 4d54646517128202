"""Who lets traffic in, by ingress-nginx: one Ingress and its annotations.

Source: ingress-nginx, Annotations. Its Kubernetes project maintains it no further than March 2026,
which is why the Gateway API is the default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service

_PREFIX = "nginx.ingress.kubernetes.io/"
_NO_HEADER = re.compile(r"[^a-z0-9]")
_KEYS = (
    "service", "kubernetes.namespace", "kubernetes.ingress", "kubernetes.host", "kubernetes.mesh",
    "traffic.protocol", "traffic.timeout", "traffic.try_timeout",
    "traffic.retries", "traffic.idempotent", "traffic.balance", "traffic.hash_header",
)  # fmt: skip


def render(service: Service) -> Iterable[Artifact]:
    if service.kubernetes.ingress != "nginx":
        return
    yield Artifact(
        f"{BASE}/ingress.yaml",
        _ingress(service),
        "What is let in: one name, with its certificate, to the service.",
        _KEYS,
        ("T35",),
    )


def _ingress(service: Service) -> Object:
    found = namespaced(service, "networking.k8s.io/v1/Ingress", named(service), "ingress")
    host = names.host(service)
    port = {"name": names.port_name(service)}
    backend = {"service": {"name": named(service), "port": port}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    found["metadata"]["annotations"] = _annotations(service)
    found["spec"] = {
        "ingressClassName": "nginx",
        "tls": [{"hosts": [host], "secretName": names.tls_secret(service)}],
        "rules": [{"host": host, "http": {"paths": [path]}}],
    }
    return found


def _annotations(service: Service) -> dict[str, str]:
    traffic = service.traffic
    try_for = str(names.seconds(traffic.try_timeout or traffic.timeout))
    found = {
        "backend-protocol": "GRPC" if traffic.protocol in ("grpc", "http2") else "HTTP",
        "force-ssl-redirect": "true",
        "proxy-connect-timeout": "5",
        "proxy-read-timeout": try_for,
        "proxy-send-timeout": try_for,
        "proxy-next-upstream": _repeated(service),
        "proxy-next-upstream-tries": str(traffic.retries + 1),
        "proxy-next-upstream-timeout": str(names.seconds(traffic.timeout)),
        **_balance(service),
        **_meshed(service),
    }
    return {_PREFIX + name: value for name, value in found.items()}


def _meshed(service: Service) -> dict[str, str]:
    """In the mesh the controller's own proxy chooses the instance, and proves who calls."""
    if service.kubernetes.mesh != "istio":
        return {}
    host = f"{named(service)}.{names.namespace(service)}.svc.cluster.local"
    return {"service-upstream": "true", "upstream-vhost": host}


def _repeated(service: Service) -> str:
    """Only what surely was not worked on, unless every request may be asked twice."""
    if service.traffic.idempotent:
        return "error timeout http_502 http_503 http_504 non_idempotent"
    return "error timeout"


def _balance(service: Service) -> dict[str, str]:
    if service.traffic.balance == "ring-hash":
        header = _NO_HEADER.sub("_", service.traffic.hash_header.lower())
        return {"upstream-hash-by": f"$http_{header}"}
    return {"load-balance": "ewma" if service.traffic.balance == "least-request" else "round_robin"}
