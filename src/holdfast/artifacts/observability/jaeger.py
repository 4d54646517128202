"""Where spans are kept: Jaeger 2 on the Elasticsearch of the logs, deleted when their time is over.

It stands in the namespace of Elasticsearch, whose certificate it must see.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.observability import elastic, objects, thirdparty
from holdfast.artifacts.observability.objects import LOGGING, MONITORING
from holdfast.artifacts.observability.tracing import batch, limits, receivers, telemetry
from holdfast.spec.model import Service

_URL = f"https://{elastic.HOST}:9200"


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{objects.PLATFORM}/jaeger.yaml",
        [
            objects.account("jaeger", LOGGING),
            *elastic.writer(elastic.SPANS, "jaeger", "span_writer"),
            _jaeger(),
            _cleaner(service),
            objects.nobody_connects("jaeger-cleaner", LOGGING),
        ],
        "Jaeger 2 on Elasticsearch: stores spans, answers questions.",
        ("observability.keep_traces",),
        ("T96", "T99", "T100"),
    )


def _jaeger() -> Object:
    """Jaeger 2 is a collector with a store and a query extension, so its operator is the same."""
    spec = {
        "mode": "deployment",
        "image": thirdparty.JAEGER.reference,
        "replicas": 2,
        "serviceAccount": "jaeger",
        "ports": [{"name": "query", "port": 16686, "protocol": "TCP"}],
        "env": [_password()],
        "config": configuration(),
        "podSecurityContext": objects.pod_security(10001),
        "securityContext": objects.container_security(),
        "resources": objects.resources("200m", "512Mi", "1Gi"),
        "volumes": [_certificate()],
        "volumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
        "podDisruptionBudget": {"maxUnavailable": 1},
    }
    return objects.thing(
        "opentelemetry.io/v1beta1", "OpenTelemetryCollector", "jaeger", LOGGING, spec=spec
    )


def _certificate() -> Object:
    return {"name": "ca", "secret": {"secretName": elastic.CERTIFICATE}}


def _password() -> Object:
    secret = {"name": elastic.SPANS, "key": "password"}
    return {"name": "ES_PASSWORD", "valueFrom": {"secretKeyRef": secret}}


def _storage() -> Object:
    """Spans in Elasticsearch; latency by operation out of Prometheus (the monitor tab)."""
    store = {
        "server_urls": [_URL],
        "auth": {"basic": {"username": "jaeger", "password": "${env:ES_PASSWORD}"}},
        "tls": {"ca_file": "/ca/tls.crt"},
        "indices": {"index_prefix": "jaeger", "spans": {"date_layout": "2006-01-02", "shards": 3}},
    }
    metrics = {"endpoint": f"http://prometheus-operated.{MONITORING}.svc:9090"}
    return {
        "backends": {"spans": {"elasticsearch": store}},
        "metric_backends": {"metrics": {"prometheus": metrics}},
    }


def configuration() -> Object:
    query = {
        "storage": {"traces": "spans", "metrics": "metrics"},
        "http": {"endpoint": "0.0.0.0:16686"},
    }
    pipeline = {
        "receivers": ["otlp"],
        "processors": ["memory_limiter", "batch"],
        "exporters": ["jaeger_storage_exporter"],
    }
    return {
        "receivers": receivers(),
        "processors": {"memory_limiter": limits(), "batch": batch()},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "spans"}},
        "extensions": {
            "jaeger_storage": _storage(),
            "jaeger_query": query,
            "health_check": {"endpoint": "0.0.0.0:13133"},
        },
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "health_check"],
            "telemetry": telemetry(),
            "pipelines": {"traces": pipeline},
        },
    }


# ---- how long ------------------------------------------------------------------------------------

#: Jaeger makes an index a day; its name ends in the day.
_SCRIPT = """\
set -euo pipefail
oldest=$(date -u -d "$DAYS days ago" +%Y-%m-%d)
call() {
  curl --fail --silent --show-error --cacert /ca/tls.crt --user "jaeger:$(cat /user/password)" "$@"
}
for index in $(call "$URL/_cat/indices/jaeger-*?h=index"); do
  day=${index: -10}
  if [[ $day =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}$ && $day < $oldest ]]; then
    call --request DELETE "$URL/$index"
  fi
done
"""


def _cleaner(service: Service) -> Object:
    """Deletes the indices of days that are over, each night."""
    days = max(1, round(service.observability.keep_traces / elastic.DAY))
    container: Object = {
        "name": "cleaner",
        "image": thirdparty.ELASTICSEARCH.reference,
        "command": ["/bin/bash", "-c", _SCRIPT],
        "env": [
            {"name": "DAYS", "value": str(days)},
            {"name": "URL", "value": _URL},
        ],
        "resources": objects.bounded("20m", "64Mi"),
        "securityContext": objects.container_security(),
        "volumeMounts": [
            {"name": "ca", "mountPath": "/ca", "readOnly": True},
            {"name": "user", "mountPath": "/user", "readOnly": True},
        ],
    }
    pod = {
        "serviceAccountName": "jaeger",
        "automountServiceAccountToken": False,
        "restartPolicy": "OnFailure",
        "securityContext": objects.pod_security(),
        "containers": [container],
        "volumes": [
            _certificate(),
            {"name": "user", "secret": {"secretName": elastic.SPANS}},
        ],
    }
    template = {"metadata": {"labels": objects.labels("jaeger-cleaner")}, "spec": pod}
    job = {"spec": {"backoffLimit": 3, "template": template}}
    spec = {"schedule": "15 0 * * *", "concurrencyPolicy": "Forbid", "jobTemplate": job}
    return objects.thing("batch/v1", "CronJob", "jaeger-cleaner", LOGGING, spec=spec)
