"""Where log lines are kept: Elasticsearch and Kibana by Elastic's operator, retention by ILM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.observability import objects, thirdparty
from holdfast.artifacts.observability.objects import LOGGING
from holdfast.spec.model import Service

NAME: Final = "logs"
HOST: Final = f"{NAME}-es-http.{LOGGING}.svc"
CERTIFICATE: Final = f"{NAME}-es-http-certs-public"
#: Who may add log lines: keys ``username``, ``password`` and ``roles``.
WRITER: Final = "logs-writer"
SPANS: Final = "jaeger-elasticsearch"  # the same for Jaeger
POLICY: Final = "holdfast-logs"
DAY = 86400.0


def render(service: Service) -> Iterator[Artifact]:
    keys = ("observability.keep_logs",)
    yield Artifact(
        f"{objects.PLATFORM}/elasticsearch.yaml",
        [_space(), _role(), *writer(WRITER, "fluent-bit", "log_writer"), _cluster()],
        "Elasticsearch: three nodes in three zones, encrypted, with roles for who writes.", (),
        ("T91", "T93"),
    )  # fmt: skip
    yield Artifact(
        f"{objects.PLATFORM}/kibana.yaml", _kibana(), "Kibana: two instances.", (), ("T91",)
    )
    yield Artifact(
        "observability/logging/lifecycle-policy.json", policy(service),
        "When log lines move to cheaper disks, and when they are deleted.", keys, ("T94",),
    )  # fmt: skip
    yield Artifact(
        "observability/logging/index-template.json", template(),
        "What a log line's fields are.", (), ("T93", "T95"),
    )  # fmt: skip
    yield Artifact(
        f"{objects.PLATFORM}/retention.yaml", list(_setup(service)),
        "Puts the lifecycle policy and the index template into Elasticsearch.", keys, ("T94",),
    )  # fmt: skip


def _space() -> Object:
    """Fluent Bit reads the nodes' log directories, which only a privileged namespace allows."""
    space = objects.thing("v1", "Namespace", LOGGING, "")
    space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"
    return space


def _cluster() -> Object:
    claim = {
        "metadata": {"name": "elasticsearch-data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "holdfast-ssd",
            "resources": {"requests": {"storage": "200Gi"}},
        },
    }
    nodes = {
        "name": "zone",
        "count": 3,
        # mmap needs a kernel setting that only a privileged container could make.
        "config": {"node.store.allow_mmap": False, "xpack.security.enabled": True},
        "podTemplate": {"spec": _pod()},
        "volumeClaimTemplates": [claim],
    }
    spec = {
        "version": thirdparty.ELASTIC,
        "auth": {
            "roles": [{"secretName": "logs-roles"}],
            "fileRealm": [{"secretName": WRITER}, {"secretName": SPANS}],
        },
        "nodeSets": [nodes],
        "volumeClaimDeletePolicy": "DeleteOnScaledownOnly",
        "updateStrategy": {"changeBudget": {"maxSurge": 1, "maxUnavailable": 1}},
    }
    return objects.thing(
        "elasticsearch.k8s.elastic.co/v1", "Elasticsearch", NAME, LOGGING, spec=spec
    )


def _pod() -> Object:
    container = {
        "name": "elasticsearch",
        "resources": objects.resources("1", "4Gi"),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000},
        "containers": [container],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {f"{_ES}/cluster-name": NAME}},
            }
        ],
    }


_ES = "elasticsearch.k8s.elastic.co"


def _role() -> Object:
    """Who ships log lines may add to them; Jaeger owns the indices of its spans and no others."""
    lines = {"names": ["logs-*"], "privileges": ["auto_configure", "create_doc"]}
    spans = {"names": ["jaeger-*"], "privileges": ["all"]}
    roles = {
        "log_writer": {"cluster": ["monitor", "read_ilm"], "indices": [lines]},
        "span_writer": {"cluster": ["monitor", "manage_index_templates"], "indices": [spans]},
    }
    text = json.dumps(roles, indent=2) + "\n"  # JSON is YAML
    data = {"roles.yml": text}
    return objects.thing("v1", "Secret", "logs-roles", LOGGING, type="Opaque", stringData=data)


def writer(name: str, user: str, role: str) -> list[Object]:
    """A user with a password that is made in the cluster, once, and the only role it has."""
    generators = "generators.external-secrets.io/v1alpha1"
    made = {"length": 40, "digits": 10, "symbols": 0, "noUpper": False, "allowRepeat": True}
    generator = {"apiVersion": generators, "kind": "Password", "name": name}
    words = {"username": user, "password": "{{ .password }}", "roles": role}
    spec = {
        "refreshPolicy": "CreatedOnce",
        "target": {"name": name, "template": {"type": "kubernetes.io/basic-auth", "data": words}},
        "dataFrom": [{"sourceRef": {"generatorRef": generator}}],
    }
    return [
        objects.thing(generators, "Password", name, LOGGING, spec=made),
        objects.thing("external-secrets.io/v1", "ExternalSecret", name, LOGGING, spec=spec),
    ]


def _kibana() -> Object:
    container = {"name": "kibana", "resources": objects.resources("200m", "1Gi")}
    spec = {
        "version": thirdparty.ELASTIC,
        "count": 2,
        "elasticsearchRef": {"name": NAME},
        "podTemplate": {"spec": {"automountServiceAccountToken": False, "containers": [container]}},
    }
    return objects.thing("kibana.k8s.elastic.co/v1", "Kibana", NAME, LOGGING, spec=spec)


# ---- how long ------------------------------------------------------------------------------------


def _age(seconds: float) -> str:
    """Elasticsearch's time units."""
    hours = max(1, round(seconds / 3600))
    return f"{hours // 24}d" if hours % 24 == 0 else f"{hours}h"


def policy(service: Service) -> Object:
    """Rolled over each day; read-only and merged when a third of its time is gone; then deleted."""
    keep = service.observability.keep_logs
    rollover = {"max_age": _age(min(DAY, keep / 2)), "max_primary_shard_size": "50gb"}
    warm = {"forcemerge": {"max_num_segments": 1}, "readonly": {}, "set_priority": {"priority": 50}}
    phases: Object = {
        "hot": {
            "min_age": "0ms",
            "actions": {"rollover": rollover, "set_priority": {"priority": 100}},
        },
        "warm": {"min_age": _age(keep / 3), "actions": warm},
        "delete": {"min_age": _age(keep), "actions": {"delete": {}}},
    }
    return {"policy": {"phases": phases}}


def template() -> Object:
    """Fields of the Elastic Common Schema; what is not known stays searchable as text."""
    word = {"type": "keyword", "ignore_above": 1024}
    properties = {
        "@timestamp": {"type": "date"},
        "message": {"type": "match_only_text"},
        "log": {"properties": {"level": word}},
        "service": {"properties": {"name": word, "version": word}},
        "trace": {"properties": {"id": word}},
        "span": {"properties": {"id": word}},
        "http": {
            "properties": {
                "request": {"properties": {"method": word}},
                "response": {"properties": {"status_code": {"type": "short"}}},
            }
        },
        "url": {"properties": {"path": word}},
        "event": {"properties": {"duration": {"type": "long"}}},
        "kubernetes": {"type": "flattened", "ignore_above": 1024},
    }
    settings = {
        "index.lifecycle.name": POLICY,
        "index.number_of_shards": 1,
        "index.number_of_replicas": 1,
        "index.codec": "best_compression",
        "index.mapping.total_fields.limit": 500,
    }
    mappings = {"dynamic": False, "properties": properties}
    return {
        "index_patterns": ["logs-holdfast-*"],
        "data_stream": {},
        "priority": 500,
        "template": {"settings": settings, "mappings": mappings},
    }


def _setup(service: Service) -> Iterator[Object]:
    name = "logs-setup"
    data = {
        "policy.json": json.dumps(policy(service), indent=2) + "\n",
        "template.json": json.dumps(template(), indent=2) + "\n",
    }
    yield objects.thing("v1", "ConfigMap", name, LOGGING, data=data)
    yield objects.account(name, LOGGING)
    yield objects.thing("batch/v1", "Job", name, LOGGING, spec=_job(name))
    yield objects.nobody_connects(name, LOGGING)


_SCRIPT = """\
set -eu
put() {
  curl --fail-with-body --silent --show-error --retry 30 --retry-all-errors --retry-delay 10 \\
    --cacert /ca/tls.crt --user "elastic:$(cat /user/elastic)" --request PUT \\
    --header 'Content-Type: application/json' --data-binary "@$2" "https://$HOST:9200/$1"
}
put "_ilm/policy/$POLICY" /setup/policy.json
put "_index_template/$POLICY" /setup/template.json
"""


def _job(name: str) -> Object:
    container: Object = {
        "name": "setup",
        "image": thirdparty.ELASTICSEARCH.reference,
        "command": ["/bin/sh", "-c", _SCRIPT],
        "env": [
            {"name": "HOST", "value": HOST},
            {"name": "POLICY", "value": POLICY},
        ],
        "resources": objects.bounded("50m", "64Mi"),
        "securityContext": objects.container_security(),
        "volumeMounts": [
            {"name": "setup", "mountPath": "/setup", "readOnly": True},
            {"name": "ca", "mountPath": "/ca", "readOnly": True},
            {"name": "user", "mountPath": "/user", "readOnly": True},
        ],
    }
    pod = {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "restartPolicy": "OnFailure",
        "securityContext": objects.pod_security(),
        "containers": [container],
        "volumes": [
            {"name": "setup", "configMap": {"name": name}},
            {"name": "ca", "secret": {"secretName": CERTIFICATE}},
            {"name": "user", "secret": {"secretName": f"{NAME}-es-elastic-user"}},
        ],
    }
    template = {"metadata": {"labels": objects.labels(name)}, "spec": pod}
    return {"backoffLimit": 5, "template": template}
