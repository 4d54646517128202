"""Limits and a firewall on the Gateway, and the way to other regions inside the mesh.

The firewall is the OWASP Core Rule Set run by Coraza inside the Gateway's Envoy. It fails closed:
a request that cannot be looked at is not let in. Sources: Istio 1.30 (WasmPlugin, EnvoyFilter,
ServiceEntry, Locality failover), coraza-proxy-wasm 0.6, coreruleset.org 4.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience import thirdparty
from holdfast.artifacts.resilience.edge import limits
from holdfast.artifacts.resilience.objects import EDGE, named, owned
from holdfast.spec.model import Service

_KEYS = ("service", "kubernetes.namespace", "kubernetes.ingress", "traffic.protocol")
_GATEWAY = "gateway.networking.k8s.io/gateway-name"
_BODY = 131072  # bytes of a request that are looked at


def render(service: Service) -> Iterator[Artifact]:
    http = service.traffic.protocol in ("http1", "http2", "grpc")
    if service.kubernetes.ingress == "gateway" and http:
        yield Artifact(
            f"{EDGE}/limits.yaml", _limits(service),
            "How much one client and all together may ask of the Gateway.",
            (*_KEYS, "promises.throughput"), ("T120", "T137"),
        )  # fmt: skip
        if service.resilience.waf:
            yield Artifact(
                f"{EDGE}/firewall.yaml", _firewall(service),
                "The OWASP Core Rule Set in the Gateway: what it finds is refused.",
                (*_KEYS, "resilience.waf"), ("T136",),
            )  # fmt: skip
    if service.kubernetes.mesh == "istio" and len(service.regions) > 1:
        yield Artifact(
            f"{EDGE}/regions.yaml", [_entry(service), _failover(service)],
            "The service in all regions under one name, the nearest healthy one first.",
            ("service", "kubernetes.namespace", "kubernetes.host", "kubernetes.mesh", "regions",
             "traffic.outlier"),
            ("T112", "T113", "T114", "T118", "T119"),
        )  # fmt: skip


def _limits(service: Service) -> Object:
    patch = {
        "applyTo": "HTTP_FILTER",
        "match": {
            "context": "GATEWAY",
            "listener": {
                "filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}
            },
        },
        "patch": {
            "operation": "INSERT_BEFORE",
            "value": {
                "name": "envoy.filters.http.local_ratelimit",
                "typed_config": limits.envoy(service),
            },
        },
    }
    spec = {
        "workloadSelector": {"labels": {_GATEWAY: service.service}},
        "configPatches": [patch],
    }
    kind = "networking.istio.io/v1alpha3/EnvoyFilter"
    return owned(service, kind, named(service, "limits"), spec, "edge")


def _firewall(service: Service) -> Object:
    target = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": service.service,
    }
    spec = {
        "targetRefs": [target],
        "url": f"oci://{thirdparty.CORAZA.reference}",
        "imagePullPolicy": "IfNotPresent",
        "failStrategy": "FAIL_CLOSE",
        "phase": "AUTHN",
        "pluginConfig": {
            "default_directives": "default",
            "directives_map": {"default": directives()},
        },
    }
    kind = "extensions.istio.io/v1alpha1/WasmPlugin"
    return owned(service, kind, named(service, "firewall"), spec, "edge")


def directives() -> list[str]:
    """Of ModSecurity's language; the rules come with the plugin."""
    return [
        "Include @crs-setup-conf",
        "SecRuleEngine On",
        "SecRequestBodyAccess On",
        f"SecRequestBodyLimit {_BODY}",
        "SecRequestBodyLimitAction ProcessPartial",
        "SecResponseBodyAccess Off",
        'SecAction "id:900000,phase:1,pass,t:none,nolog,setvar:tx.blocking_paranoia_level=1"',
        'SecAction "id:900110,phase:1,pass,t:none,nolog,'
        'setvar:tx.inbound_anomaly_score_threshold=5"',
        "Include @owasp_crs/*.conf",
    ]


# ---- other regions, inside the mesh --------------------------------------------------------------


def everywhere(service: Service) -> str:
    """The name by which programs inside ask for the service wherever it is healthy."""
    return f"{service.service}.global"


def _entry(service: Service) -> Object:
    endpoints = [
        {"address": names.regional_host(service, region), "locality": region.cloud}
        for region in service.regions
    ]
    spec = {
        "hosts": [everywhere(service)],
        "location": "MESH_EXTERNAL",
        "ports": [{"number": 443, "name": "http", "protocol": "HTTP"}],
        "resolution": "DNS",
        "endpoints": endpoints,
        "exportTo": ["."],
    }
    kind = "networking.istio.io/v1/ServiceEntry"
    return owned(service, kind, named(service, "regions"), spec, "edge")


def _failover(service: Service) -> Object:
    outlier = service.traffic.outlier
    order = {"failoverPriority": ["topology.kubernetes.io/region"]}
    spec = {
        "host": everywhere(service),
        "trafficPolicy": {
            "loadBalancer": {"localityLbSetting": {"enabled": True, **order}},
            "outlierDetection": {
                "consecutive5xxErrors": outlier.consecutive_5xx,
                "baseEjectionTime": names.duration(outlier.eject),
                "interval": "5s",
                "maxEjectionPercent": 100,
            },
            "tls": {"mode": "SIMPLE", "sni": names.host(service)},
        },
    }
    kind = "networking.istio.io/v1/DestinationRule"
    return owned(service, kind, named(service, "regions"), spec, "edge")
