"""The installation of Istio, one for each region's cluster, for ``istioctl install -f``.

Sidecars and not ambient mode: breakers, ejection, retries and the balance of single requests need a
proxy that understands HTTP at every caller. In ambient mode that is a waypoint, one more hop on
each request, and who counts requests on the callers' side (``artifacts/signals.py``) would be gone.
The CNI plugin sets up redirection, for pods of the restricted standard may not do so themselves.
Sources: Istio 1.30, IstioOperator, global mesh options, injection.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names, versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import CLUSTER, present, shared
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

SYSTEM = "istio-system"
TRACES = "holdfast-traces"
_CONTROL_PLANES = 3
_HUB = "docker.io/istio"
_GIB = 2**30
Sides = dict[str, tuple[float, int]]
#: Cores and bytes of a proxy: as others have them, and where the instance has cores of its own.
_PROXY: Sides = {"requests": (0.1, _GIB // 8), "limits": (2.0, _GIB)}
_EXACT: Sides = {"requests": (0.5, _GIB // 4), "limits": (0.5, _GIB // 4)}
PROXY_KEYS = ("kubernetes.mesh", "resources.requests", "resources.limits")
#: Pods in the service's namespace that bring their own TLS and are called by their operators, and
#: pods that only hold a place.
_UNMESHED = (
    "cnpg.io/cluster", "cnpg.io/poolerName", "strimzi.io/cluster", "v1.min.io/tenant",
    "redis_setup_type",
)  # fmt: skip
_UNMESHED_PARTS = {
    "app.kubernetes.io/component": ["headroom", "prepull"],
    "app.kubernetes.io/name": ["cockroachdb"],
}


def render(service: Service) -> Iterable[Artifact]:
    if not wanted(service):
        return
    for region in service.regions:
        yield Artifact(
            f"{CLUSTER}/{region.name}/istio.yaml",
            _operator(service, region),
            f"Istio in {region.name}: for `istioctl install -f`.",
            ("service", "regions", "kubernetes.mesh", "kubernetes.ingress"),
            ("T41",),
        )


def wanted(service: Service) -> bool:
    """The mesh needs it, and so does a Gateway, whose class is Istio's."""
    return service.kubernetes.mesh == "istio" or service.kubernetes.ingress == "gateway"


def proxy(service: Service) -> Sides:
    """What the sidecar takes of an instance's pod, by ``requests`` and ``limits``."""
    if service.kubernetes.mesh != "istio":
        return dict.fromkeys(("requests", "limits"), (0.0, 0))
    return _EXACT if _guaranteed(service) else _PROXY


def sized(service: Service) -> dict[str, str]:
    """Annotations of a pod whose instance has equal requests and limits: a proxy that may take
    more than it asks for would cost the pod its class *Guaranteed*, and the instance its cores."""
    if service.kubernetes.mesh != "istio" or not _guaranteed(service):
        return {}
    prefix, (cpu, memory) = "sidecar.istio.io/proxy", _EXACT["requests"]
    told = {"CPU": names.cpu(cpu), "Memory": names.memory(memory)}
    return {f"{prefix}{what}{end}": v for what, v in told.items() for end in ("", "Limit")}


def _guaranteed(service: Service) -> bool:
    asked, most = service.resources.requests, service.resources.limits
    return (asked.cpu, asked.memory) == (most.cpu, most.memory)


def _quantities(cpu: float, memory: int) -> Object:
    return {"cpu": names.cpu(cpu), "memory": names.memory(memory)}


def _operator(service: Service, region: Region) -> Object:
    found = shared("install.istio.io/v1alpha1/IstioOperator", "istio", SYSTEM)
    found["spec"] = {
        "profile": "minimal",
        "hub": _HUB,
        "tag": versions.ISTIO,
        "components": {
            "pilot": {"enabled": True, "k8s": _control()},
            "cni": {"enabled": True, "namespace": SYSTEM},
        },
        "meshConfig": _mesh(),
        "values": _values(service, region),
    }
    return found


def _control() -> Object:
    """Never all away at once: without it no certificate is renewed."""
    return {
        "resources": {
            "requests": {"cpu": "500m", "memory": "2Gi"},
            "limits": {"memory": "4Gi"},
        },
        "replicaCount": _CONTROL_PLANES,
        "podDisruptionBudget": {"minAvailable": 1},
    }


def _mesh() -> Object:
    """An instance starts after its proxy and ends before it; nobody speaks less than TLS 1.3."""
    collector = "otel-collector-collector.tracing.svc.cluster.local"
    return {
        "enableAutoMtls": True,
        "meshMTLS": {"minProtocolVersion": "TLSV1_3"},
        "accessLogFile": "/dev/stdout",
        "accessLogEncoding": "JSON",
        "outboundTrafficPolicy": {"mode": "ALLOW_ANY"},
        "pathNormalization": {"normalization": "MERGE_SLASHES"},
        "defaultConfig": {"holdApplicationUntilProxyStarts": True},
        "extensionProviders": [
            {"name": TRACES, "opentelemetry": {"service": collector, "port": 4317}}
        ],
    }


def _values(service: Service, region: Region) -> Object:
    return {
        "global": {
            "meshID": service.service,
            "network": region.name,
            "multiCluster": {"clusterName": names.cluster(service, region)},
            "proxy": {
                "resources": {side: _quantities(*amount) for side, amount in _PROXY.items()},
            },
        },
        "pilot": {"autoscaleEnabled": False},  # an outage of the mesh must not need one more
        "sidecarInjectorWebhook": {"neverInjectSelector": list(_unmeshed())},
    }


def _unmeshed() -> Iterable[Object]:
    for key in _UNMESHED:
        yield {"matchExpressions": [{"key": key, "operator": "Exists"}]}
    for key, values in _UNMESHED_PARTS.items():
        yield {"matchExpressions": [present(key=key, operator="In", values=values)]}
