"""Who may call whom in the mesh, by certificate: mutual TLS always, and named callers only."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.mesh.install import SYSTEM, TRACES
from holdfast.artifacts.kubernetes.objects import BASE, PLATFORM, named, namespaced, shared
from holdfast.spec.model import Service

_TRUST = "cluster.local"
_AUTHORIZATION = "security.istio.io/v1/AuthorizationPolicy"
_PEERS = "security.istio.io/v1/PeerAuthentication"
#: Ingress controllers are in the mesh too: they call with the certificate of their account.
_CONTROLLERS = {"nginx": "ingress-nginx", "traefik": "traefik"}


def render(service: Service) -> Iterable[Artifact]:
    if service.kubernetes.mesh != "istio":
        return
    yield Artifact(
        f"{PLATFORM}/mesh.yaml",
        [_strict(), _telemetry()],
        "In the whole mesh: mutual TLS always, a line in the log and a trace for each request.",
        ("kubernetes.mesh",),
        ("T41", "T42"),
    )
    yield Artifact(
        f"{BASE}/mesh-identity.yaml",
        [_own_strict(service), _nothing(service), *_door(service), _callers(service)],
        "Who may call the service, proven by certificate; everybody else is refused.",
        ("service", "kubernetes.namespace", "kubernetes.mesh", "kubernetes.ingress",
         "kubernetes.callers", "traffic.port", "traffic.protocol"),
        ("T42", "T57"),
    )  # fmt: skip


def _strict() -> Object:
    return {**shared(_PEERS, "default", SYSTEM), "spec": {"mtls": {"mode": "STRICT"}}}


def _telemetry() -> Object:
    """Every trace is begun; the collector keeps what is worth it when it knows the whole."""
    found = shared("telemetry.istio.io/v1/Telemetry", "default", SYSTEM)
    traced = {"providers": [{"name": TRACES}], "randomSamplingPercentage": 100}
    found["spec"] = {
        "accessLogging": [{"providers": [{"name": "envoy"}]}],
        "metrics": [{"providers": [{"name": "prometheus"}]}],
        "tracing": [traced],
    }
    return found


def _own_strict(service: Service) -> Object:
    """Said again here, so that no change of the mesh's default opens this namespace."""
    found = namespaced(service, _PEERS, named(service), "mesh")
    return {**found, "spec": {"mtls": {"mode": "STRICT"}}}


def _nothing(service: Service) -> Object:
    """A policy without rules allows nobody; those beside it add who may."""
    return {**namespaced(service, _AUTHORIZATION, named(service, "nobody"), "mesh"), "spec": {}}


def _door(service: Service) -> list[Object]:
    """The Gateway takes what comes from the world, on its own ports."""
    if service.kubernetes.ingress != "gateway":
        return []
    ports = ["443"] if service.traffic.protocol == "tcp" else ["80", "443"]
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": named(service)}
    found = namespaced(service, _AUTHORIZATION, named(service, "gateway"), "mesh")
    found["spec"] = {
        "targetRefs": [gateway],
        "action": "ALLOW",
        "rules": [{"to": [{"operation": {"ports": ports}}]}],
    }
    return [found]


def _callers(service: Service) -> Object:
    found = namespaced(service, _AUTHORIZATION, named(service), "mesh")
    sources = [{"source": {"principals": _principals(service)}}]
    if service.kubernetes.callers:
        sources.append({"source": {"namespaces": list(service.kubernetes.callers)}})
    port = {"operation": {"ports": [str(service.traffic.port)]}}
    found["spec"] = {
        "selector": {"matchLabels": names.selector(service)},
        "action": "ALLOW",
        "rules": [{"from": sources, "to": [port]}],
    }
    return found


def _principals(service: Service) -> list[str]:
    """The door, and the service's own pods: peers and jobs."""
    space, ingress = names.namespace(service), service.kubernetes.ingress
    own = _principal(space, service.service)
    if ingress == "gateway":
        return [own, _principal(space, f"{named(service)}-istio")]  # Istio's account of a Gateway
    return [own, _principal(_CONTROLLERS[ingress], _CONTROLLERS[ingress])]


def _principal(namespace: str, account: str) -> str:
    return f"{_TRUST}/ns/{namespace}/sa/{account}"
