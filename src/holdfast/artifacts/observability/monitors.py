"""Who is scraped on Kubernetes, as objects of the Prometheus operator.

In the mesh the program's own metrics come through its sidecar (port 15020), which joins them with
its own: strict mTLS lets nobody else reach the program's port.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.names import (
    RELEASE_LABEL,
    duration,
    family,
    host,
    labels,
    namespace,
    port_name,
    selector,
)
from holdfast.artifacts.observability import fluentbit, objects
from holdfast.artifacts.observability.objects import MONITORING
from holdfast.spec.model import Service

_API = "monitoring.coreos.com/v1"


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{objects.BASE}/monitors.yaml", [*_own(service), *_data(service)],
        "The service, what its data lives in, and its way in, as Prometheus finds them.",
        ("service", "traffic.protocol", "kubernetes", "resilience",
         "observability.metrics_path", "observability.scrape", "probes.ready.path"),
        ("T86", "T89", "T90"),
    )  # fmt: skip
    yield Artifact(
        f"{objects.PLATFORM}/monitors.yaml", [*_platform(service), *_kubelet(service)],
        "What carries the service, as Prometheus finds it.",
        ("kubernetes.mesh", "kubernetes.ingress", "observability.scrape"), ("T86", "T87", "T88"),
    )  # fmt: skip


def _every(service: Service) -> str:
    return duration(service.observability.scrape)


def _monitor(kind: str, name: str, space: str, chosen: Object, endpoint: Object) -> Object:
    field = "endpoints" if kind == "ServiceMonitor" else "podMetricsEndpoints"
    spec = {"namespaceSelector": {"matchNames": [space]} if space else {"any": True},
            "selector": chosen, field: [endpoint]}  # fmt: skip
    return objects.thing(_API, kind, name, MONITORING, spec=spec)


# ---- the service ---------------------------------------------------------------------------------


def _own(service: Service) -> Iterator[Object]:
    meshed = service.kubernetes.mesh == "istio"
    endpoint: Object = {"interval": _every(service)}
    if meshed:
        endpoint |= {"port": "http-envoy-prom", "path": "/stats/prometheus"}
        endpoint["relabelings"] = [_address(15020), *_said(service)]
        endpoint["metricRelabelings"] = [_drop("istio_.*|envoy_.*")]
    else:
        endpoint |= {"port": port_name(service), "path": service.observability.metrics_path}
        endpoint["relabelings"] = _said(service)
    chosen: Object = {"matchLabels": selector(service)}
    found = _monitor("PodMonitor", service.service, namespace(service), chosen, endpoint)
    found["metadata"]["labels"] = labels(service, "monitor")
    yield found
    yield _outside(service)


def _said(service: Service) -> list[Object]:
    """Whose series they are, and of which release."""
    label = "__meta_kubernetes_pod_label_" + re.sub(r"[^a-zA-Z0-9_]", "_", RELEASE_LABEL)
    return [
        _constant("service", service.service),
        {"sourceLabels": [label], "targetLabel": "release"},
    ]


def _outside(service: Service) -> Object:
    """A user's view: name resolution, certificate, the way in; an instance, but over plain TCP."""
    module, target = _asked(service)
    spec = {
        "jobName": f"{service.service}-outside",
        "interval": "30s",
        "module": module,
        "prober": {"url": f"blackbox-exporter.{MONITORING}.svc:9115"},
        "targets": {"staticConfig": {"static": [target]}},
    }
    return objects.thing(_API, "Probe", service.service, MONITORING, spec=spec)


def _asked(service: Service) -> tuple[str, str]:
    """By which module of the blackbox exporter, and what: every way in is TLS at port 443."""
    if service.traffic.protocol == "tcp":
        return "tcp_tls", f"{host(service)}:443"
    if service.traffic.protocol == "grpc":
        return "grpc_tls", f"{host(service)}:443"
    return "http_2xx", f"https://{host(service)}{service.probes.ready.path or '/'}"


def _address(port: int) -> Object:
    """Another port of the same pod."""
    return {
        "sourceLabels": ["__meta_kubernetes_pod_ip"],
        "regex": "(.+)",
        "targetLabel": "__address__",
        "replacement": f"$1:{port}",
    }


def _constant(name: str, value: str) -> Object:
    return {"targetLabel": name, "replacement": value}


def _drop(names: str) -> Object:
    return {"sourceLabels": ["__name__"], "regex": names, "action": "drop"}


def _keep(names: str) -> Object:
    return {"sourceLabels": ["__name__"], "regex": names, "action": "keep"}


# ---- its data ------------------------------------------------------------------------------------


def _data(service: Service) -> Iterator[Object]:
    own, space, every = service.service, namespace(service), _every(service)
    data = service.resilience

    def pods(
        suffix: str, chosen: Mapping[str, str], port: str, path: str = "/metrics", **tls: object
    ) -> Object:
        endpoint: Object = {"port": port, "path": path, "interval": every, **tls}
        selected = {"matchLabels": dict(chosen)}
        return _monitor("PodMonitor", f"{own}-{suffix}", space, selected, endpoint)

    if data.database == "postgres":
        yield pods("db", {"cnpg.io/cluster": f"{own}-db"}, "metrics")
        yield pods("db-pooler", {"cnpg.io/poolerName": f"{own}-db-pooler"}, "metrics")
    if data.database == "cockroach":
        name = {**family(service), "app.kubernetes.io/component": "cockroachdb"}
        yield pods("db", name, "http", "/_status/vars", **_TLS)
    if data.cache == "redis":
        yield pods("cache", {"app.kubernetes.io/name": f"{own}-cache-exporter"}, "metrics")
    if data.queue == "kafka":
        yield pods("queue", {"strimzi.io/cluster": f"{own}-queue"}, "tcp-prometheus")
    if data.objects == "minio":
        name = {"v1.min.io/tenant": f"{own}-objects"}
        own_tls = service.kubernetes.mesh == "none"  # in the mesh its sidecar speaks TLS
        port, tls = ("https-minio", _TLS) if own_tls else ("http-minio", {})
        yield pods("objects", name, port, "/minio/v2/metrics/cluster", **tls)


#: Pods are scraped by their address, which no certificate of theirs names; what is read is no
#: secret, and network policies say who reaches the port.
_TLS: Mapping[str, object] = {"scheme": "https", "tlsConfig": {"insecureSkipVerify": True}}


# ---- the platform --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Watched:
    """Something with ``/metrics``: its namespace, labels and port as its own manifests name them.

    ``honest``: its labels say whom it speaks of, and stay when a target's label has their name.
    """

    namespace: str
    labels: Mapping[str, str]
    port: str = "metrics"
    kind: str = "PodMonitor"
    honest: bool = False


def _named(name: str) -> Mapping[str, str]:
    return objects.selector(name)


_SERVICE = "ServiceMonitor"
_COLLECTORS = {"app.kubernetes.io/component": "opentelemetry-collector"}  # by their operator
_PLATFORM: Mapping[str, Watched] = {
    "prometheus": Watched(MONITORING, {"operated-prometheus": "true"}, "web", _SERVICE),
    "alertmanager": Watched(MONITORING, {"operated-alertmanager": "true"}, "web", _SERVICE),
    "node-exporter": Watched(objects.NODES, _named("node-exporter")),
    "kube-state-metrics": Watched(MONITORING, _named("kube-state-metrics"), honest=True),
    "cert-manager": Watched("cert-manager", _named("cert-manager"), "http-metrics", honest=True),
    "argocd": Watched("argocd", _named("argocd-metrics"), "metrics", _SERVICE, honest=True),
    "flagger": Watched("flagger-system", _named("flagger"), "http", honest=True),
    "velero": Watched("velero", _named("velero"), "http-monitoring", honest=True),
    "otel-collector": Watched(objects.TRACING, _COLLECTORS),
    "otel-spans": Watched(objects.TRACING, _COLLECTORS, "spans", honest=True),
    "jaeger": Watched(objects.LOGGING, _COLLECTORS),
    "fluent-bit": Watched(objects.LOGGING, fluentbit.CHOSEN),
}
_WAYS_IN: Mapping[str, Watched] = {
    "nginx": Watched("ingress-nginx", _named("ingress-nginx")),
    "traefik": Watched("traefik", _named("traefik")),
}


def _platform(service: Service) -> Iterator[Object]:
    every, ways = _every(service), dict(_PLATFORM)
    if service.kubernetes.ingress in _WAYS_IN:
        ways[service.kubernetes.ingress] = _WAYS_IN[service.kubernetes.ingress]
    for name, each in ways.items():
        endpoint: Object = {"port": each.port, "interval": every}
        if each.honest:
            endpoint["honorLabels"] = True
        chosen = {"matchLabels": dict(each.labels)}
        yield _monitor(each.kind, name, each.namespace, chosen, endpoint)
    if service.kubernetes.mesh == "istio" or service.kubernetes.ingress == "gateway":
        yield _proxies(service)


def _proxies(service: Service) -> Object:
    """Every Envoy of the mesh and its gateways: callers count what users got."""
    chosen = {
        "matchExpressions": [
            {"key": "service.istio.io/canonical-name", "operator": "Exists"},
        ]
    }
    endpoint = {
        "port": "http-envoy-prom",
        "path": "/stats/prometheus",
        "interval": _every(service),
        "metricRelabelings": [_keep("istio_.*")],
    }
    return _monitor("PodMonitor", "istio-proxies", "", chosen, endpoint)


def _kubelet(service: Service) -> Iterator[Object]:
    for name, path in (("kubelet", "/metrics"), ("cadvisor", "/metrics/cadvisor")):
        spec = {
            "jobName": name,
            "scrapeClass": "kubelet",
            "scheme": "HTTPS",
            "metricsPath": path,
            "scrapeInterval": _every(service),
            "kubernetesSDConfigs": [{"role": "Node"}],
            "relabelings": [
                {"sourceLabels": ["__meta_kubernetes_node_name"], "targetLabel": "node"}
            ],
        }
        yield objects.thing(
            "monitoring.coreos.com/v1alpha1", "ScrapeConfig", name, MONITORING, spec=spec
        )
