"""Spans: received over OTLP, sampled at both ends, kept by Jaeger, counted as metrics.

Head sampling, where a trace begins, takes every request: whether one fails or is slow is known only
at its end. Tail sampling, when the whole trace is known, keeps each failure, each that is slower
than promised, and ``observability.sampling`` percent of the rest. All spans of a trace must meet in
one collector, so there are two layers: the first sends by trace id, the second decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.names import labels, namespace
from holdfast.artifacts.observability import objects, thirdparty
from holdfast.artifacts.observability.objects import LOGGING, MONITORING, TRACING
from holdfast.artifacts.signals import ENVOY_BUCKETS
from holdfast.spec.model import Service

_API = "opentelemetry.io/v1beta1"
_KEYS = ("observability.sampling", "promises.p99")
_ROWS = ("T97", "T98", "T99", "T100")
_DECIDE: Final = "otel-sampling"
_COLLECT: Final = "otel-collector"
_STORE: Final = f"jaeger-collector.{LOGGING}.svc:4317"


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{objects.PLATFORM}/collector.yaml",
        [_space(), *_collectors(service)],
        "Two layers of OpenTelemetry collectors, by their operator.", _KEYS, _ROWS,
    )  # fmt: skip
    yield Artifact(
        f"{objects.BASE}/instrumentation.yaml", _instrumentation(service),
        "Where the service's own pods send their spans, and how they begin a trace.",
        ("service", "kubernetes.namespace"), ("T97", "T98"),
    )  # fmt: skip
    yield Artifact(
        "observability/tracing/otelcol.yaml", alone(service),
        "One collector without an operator, for one machine.",
        _KEYS, _ROWS,
    )  # fmt: skip


def _space() -> Object:
    space = objects.thing("v1", "Namespace", TRACING, "")
    space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    return space


# ---- the pipelines -------------------------------------------------------------------------------


def receivers() -> Object:
    """Any address of the pod: the network policy says who may connect."""
    protocols = {"grpc": {"endpoint": "0.0.0.0:4317"}, "http": {"endpoint": "0.0.0.0:4318"}}
    return {"otlp": {"protocols": protocols}}


def limits() -> Object:
    return {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20}


def batch() -> Object:
    return {"send_batch_size": 8192, "send_batch_max_size": 16384, "timeout": "1s"}


def policies(service: Service) -> list[Object]:
    """Which traces are kept: the first policy that says yes decides."""
    slow = max(1, round(service.promises.p99 * 1000))
    rest = {"sampling_percentage": service.observability.sampling}
    return [
        {"name": "failed", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "slow", "type": "latency", "latency": {"threshold_ms": slow}},
        {
            "name": "rest",
            "type": "probabilistic",
            "probabilistic": rest,
        },
    ]


def _sampling(service: Service) -> Object:
    return {
        "decision_wait": "10s",
        "num_traces": 100_000,
        "expected_new_traces_per_sec": 1000,
        "policies": policies(service),
    }


def _buckets() -> list[str]:
    return [f"{round(bound * 1000, 3):g}ms" for bound in ENVOY_BUCKETS]


def _connectors() -> Object:
    """Requests, failures and latency of every operation, and who calls whom, from the spans."""
    dimensions = [{"name": name} for name in ("http.request.method", "http.response.status_code")]
    return {
        "spanmetrics": {
            "histogram": {"explicit": {"buckets": _buckets()}},
            "dimensions": dimensions,
            "exemplars": {"enabled": True},
            "metrics_flush_interval": "15s",
        },
        "servicegraph": {
            "latency_histogram_buckets": _buckets(),
            "store": {"ttl": "10s", "max_items": 10_000},
        },
    }


def telemetry() -> Object:
    """The collector's own metrics, under the names that alerts read."""
    exporter = {
        "host": "0.0.0.0", "port": 8888, "without_type_suffix": True, "without_units": True,
        "without_scope_info": True,
    }  # fmt: skip
    readers = [{"pull": {"exporter": {"prometheus": exporter}}}]
    return {"metrics": {"level": "normal", "readers": readers}, "logs": {"level": "info"}}


def _store(endpoint: str, plaintext: bool) -> Object:
    return {
        "endpoint": endpoint,
        "tls": {"insecure": plaintext},
        "sending_queue": {"enabled": True, "queue_size": 5000},
        "retry_on_failure": {"enabled": True, "max_elapsed_time": "300s"},
    }


def deciding(service: Service, store: str = _STORE, plaintext: bool = True) -> Object:
    """Receives whole traces, counts all of them, keeps some."""
    counted = {"receivers": ["otlp"], "processors": ["memory_limiter"],
               "exporters": ["spanmetrics", "servicegraph"]}  # fmt: skip
    kept = {"receivers": ["otlp"], "processors": ["memory_limiter", "tail_sampling", "batch"],
            "exporters": ["otlp_grpc"]}  # fmt: skip
    metrics = {"receivers": ["spanmetrics", "servicegraph"], "processors": ["batch"],
               "exporters": ["prometheus"]}  # fmt: skip
    return {
        "receivers": receivers(),
        "processors": {"memory_limiter": limits(), "tail_sampling": _sampling(service),
                       "batch": batch()},
        "connectors": _connectors(),
        "exporters": {"otlp_grpc": _store(store, plaintext),
                      "prometheus": {"endpoint": "0.0.0.0:8889"}},
        "extensions": {"health_check": {"endpoint": "0.0.0.0:13133"}},
        "service": {
            "extensions": ["health_check"],
            "telemetry": telemetry(),
            "pipelines": {"traces/counted": counted, "traces/kept": kept, "metrics": metrics},
        },
    }  # fmt: skip


def alone(service: Service) -> Object:
    """Both layers in one process, on loopback only."""
    config = deciding(service, "127.0.0.1:14317")
    protocols = {"grpc": {"endpoint": "127.0.0.1:4317"}, "http": {"endpoint": "127.0.0.1:4318"}}
    config["receivers"] = {"otlp": {"protocols": protocols}}
    config["exporters"]["prometheus"]["endpoint"] = "127.0.0.1:8889"
    config["extensions"]["health_check"]["endpoint"] = "127.0.0.1:13133"
    reader = config["service"]["telemetry"]["metrics"]["readers"][0]
    reader["pull"]["exporter"]["prometheus"]["host"] = "127.0.0.1"
    return config


def _sending() -> Object:
    """Receives spans of any service and sends each trace to one place."""
    resolver = {"k8s": {"service": f"{_DECIDE}-collector.{TRACING}", "ports": [4317]}}
    balanced = {
        "routing_key": "traceID",
        "protocol": {"otlp": {"tls": {"insecure": True}, "timeout": "5s"}},
        "resolver": resolver,
    }
    pipeline = {"receivers": ["otlp"], "processors": ["memory_limiter", "batch"],
                "exporters": ["loadbalancing"]}  # fmt: skip
    return {
        "receivers": receivers(),
        "processors": {"memory_limiter": limits(), "batch": batch()},
        "exporters": {"loadbalancing": balanced},
        "extensions": {"health_check": {"endpoint": "0.0.0.0:13133"}},
        "service": {
            "extensions": ["health_check"],
            "telemetry": telemetry(),
            "pipelines": {"traces": pipeline},
        },
    }


# ---- objects -------------------------------------------------------------------------------------


def _collectors(service: Service) -> Iterator[Object]:
    for name in (_COLLECT, _DECIDE):
        yield objects.account(name, TRACING)
    watch = objects.reads("discovery.k8s.io", "endpointslices")
    yield from objects.cluster_role(_COLLECT, TRACING, [watch])
    yield _collector(_COLLECT, _sending(), [])
    ports = [{"name": "spans", "port": 8889, "protocol": "TCP"}]
    yield _collector(_DECIDE, deciding(service), ports)
    yield _senders()


def _collector(name: str, config: Object, ports: list[Object]) -> Object:
    spec: Object = {
        "mode": "statefulset" if name == _DECIDE else "deployment",
        "image": thirdparty.COLLECTOR.reference,
        "replicas": 2,
        "serviceAccount": name,
        "config": config,
        "podSecurityContext": objects.pod_security(10001),
        "securityContext": objects.container_security(),
        "resources": objects.resources("200m", "512Mi", "1Gi"),
        "podDisruptionBudget": {"maxUnavailable": 1},
        **({"ports": ports} if ports else {}),
    }
    return objects.thing(_API, "OpenTelemetryCollector", name, TRACING, spec=spec)


def _senders() -> Object:
    """Programs, the mesh's proxies and the first layer may send spans; Prometheus may look."""
    spec = {
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "opentelemetry-collector"}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [{"namespaceSelector": {}}],
                "ports": [{"port": port, "protocol": "TCP"} for port in (4317, 4318)],
            },
            {
                "from": [{"namespaceSelector": {"matchLabels": objects.of_namespace(MONITORING)}}],
                "ports": [{"port": port, "protocol": "TCP"} for port in (8888, 8889)],
            },
        ],
    }
    return objects.thing(
        "networking.k8s.io/v1", "NetworkPolicy", "otel-collectors", TRACING, spec=spec
    )


def _instrumentation(service: Service) -> Object:
    """Head sampling of instrumented programs: whoever called has decided, else yes."""
    spec = {
        "exporter": {"endpoint": f"http://{_COLLECT}-collector.{TRACING}.svc:4317"},
        "propagators": ["tracecontext", "baggage"],
        "sampler": {"type": "parentbased_always_on"},
    }
    metadata = {"name": service.service, "namespace": namespace(service),
                "labels": labels(service, "tracing")}  # fmt: skip
    return {"apiVersion": "opentelemetry.io/v1alpha1", "kind": "Instrumentation",
            "metadata": metadata, "spec": spec}  # fmt: skip
