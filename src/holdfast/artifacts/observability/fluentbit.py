"""Log lines from every node to Elasticsearch: parsed, named, never with secrets.

The program writes one JSON object a line; what is no JSON is kept as ``message``. The same
pipeline is written twice: for the Fluent operator, and as a plain ``fluent-bit.conf``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.names import namespace
from holdfast.artifacts.observability import elastic, objects, thirdparty
from holdfast.artifacts.observability.objects import LOGGING
from holdfast.spec.model import Service

#: The label of the pods that the operator makes.
CHOSEN: Final = {"fluentbit.fluent.io/daemon": "fluent-bit"}
_API = "fluentbit.fluent.io/v1alpha2"
_TAG = "kube.*"
_TIME = "%Y-%m-%dT%H:%M:%S.%LZ"
_CRI = r"^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<log>.*)$"
_CRI_TIME = "%Y-%m-%dT%H:%M:%S.%L%z"
#: From the names programs use to those of the Elastic Common Schema.
RENAMED: Final = (
    ("level", "log.level"), ("severity", "log.level"), ("msg", "message"),
    ("trace_id", "trace.id"), ("span_id", "span.id"), ("status", "http.response.status_code"),
    ("method", "http.request.method"), ("path", "url.path"),
)  # fmt: skip
#: Never stored, whatever a program prints.
SECRET: Final = ("password", "authorization", "cookie", "set-cookie", "token", "secret", "api_key")


def render(service: Service) -> Iterator[Artifact]:
    keys = ("service", "kubernetes.namespace")
    rows = ("T92", "T93", "T95")
    yield Artifact(
        f"{objects.PLATFORM}/fluent-bit.yaml", list(_objects()),
        "Fluent Bit on every node, by the Fluent operator.", (), rows,
    )  # fmt: skip
    yield Artifact(
        f"{objects.BASE}/logs.yaml", _lines(service),
        "Which log lines of the nodes are the service's.", keys, rows,
    )  # fmt: skip
    yield Artifact(
        "observability/logging/fluent-bit.conf", _plain(service),
        "The same pipeline for a Fluent Bit without an operator.", keys, rows,
    )  # fmt: skip
    yield Artifact(
        "observability/logging/parsers.conf", _parsers(),
        "How a line of the container runtime and a line of the program are read.", (), ("T95",),
    )  # fmt: skip


def _labelled(kind: str, name: str, spec: Object) -> Object:
    found = objects.thing(_API, kind, name, "", spec=spec)
    found["metadata"]["labels"]["fluentbit.fluent.io/enabled"] = "true"
    return found


def _objects() -> Iterator[Object]:
    yield _daemon()
    yield _labelled("ClusterFluentBitConfig", "fluent-bit", _selectors())
    yield _labelled("ClusterParser", "program", {"json": {"timeKey": "time", "timeFormat": _TIME,
                                                          "timeKeep": False}})  # fmt: skip
    yield _labelled("ClusterInput", "itself", {"fluentBitMetrics": {"scrapeInterval": "15s",
                                                                    "tag": "metrics"}})  # fmt: skip
    filters = [{"kubernetes": _kubernetes()}, {"parser": _program()}, {"modify": _renames()},
               {"recordModifier": {"removeKeys": list(SECRET)}}]  # fmt: skip
    yield _labelled("ClusterFilter", "program", {"match": _TAG, "filters": filters})
    yield _labelled("ClusterOutput", "elasticsearch", {"match": _TAG, **_output()})
    exporter = {"host": "0.0.0.0", "port": 2021}
    yield _labelled("ClusterOutput", "metrics", {"match": "metrics",
                                                 "prometheusExporter": exporter})  # fmt: skip


def _lines(service: Service) -> Object:
    own = service.service
    return _labelled("ClusterInput", own, {"tail": _tail(own, _path(service))})


def _path(service: Service) -> str:
    """What is read: every pod of the service's namespace."""
    return f"/var/log/containers/*_{namespace(service)}_*.log"


def _daemon() -> Object:
    spec: Object = {
        "image": thirdparty.FLUENT_BIT.reference,
        "fluentBitConfigName": "fluent-bit",
        "labels": {**objects.labels("fluent-bit"), **CHOSEN},
        "ports": [{"name": "metrics", "containerPort": 2021, "protocol": "TCP"}],
        "positionDB": {"hostPath": {"path": "/var/lib/fluent-bit"}},
        "resources": objects.resources("50m", "64Mi", "256Mi"),
        "containerSecurityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "tolerations": [{"operator": "Exists"}],
        "priorityClassName": "system-node-critical",
        "volumes": [{"name": "ca", "secret": {"secretName": elastic.CERTIFICATE}}],
        "volumesMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
        "envVars": [_secret("WRITER", "username"), _secret("WRITER_PASSWORD", "password")],
    }
    return objects.thing(_API, "FluentBit", "fluent-bit", LOGGING, spec=spec)


def _secret(name: str, key: str) -> Object:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": elastic.WRITER, "key": key}}}


def _selectors() -> Object:
    chosen = {"matchLabels": {"fluentbit.fluent.io/enabled": "true"}}
    kinds = ("input", "filter", "parser", "output")
    return {
        "service": {"daemon": False, "flushSeconds": 1, "logLevel": "info", "httpServer": True,
                    "parsersFile": "/fluent-bit/etc/parsers.conf",
                    "storage": {"path": "/fluent-bit/tail", "maxChunksUp": 64}},
        **{f"{kind}Selector": dict(chosen) for kind in kinds},
    }  # fmt: skip


def _tail(name: str, path: str) -> Object:
    return {
        "tag": _TAG, "path": path, "multilineParser": "cri", "db": f"/fluent-bit/tail/{name}.db",
        "memBufLimit": "50MB", "skipLongLines": True, "refreshIntervalSeconds": 5,
        "storageType": "filesystem",
    }  # fmt: skip


def _kubernetes() -> Object:
    """Names of pod and container; annotations may hold anything and are left out."""
    return {"mergeLog": False, "keepLog": True, "labels": True, "annotations": False,
            "k8sLoggingExclude": False}  # fmt: skip


def _program() -> Object:
    return {"keyName": "log", "parser": "program", "reserveData": True, "preserveKey": False}


def _renames() -> Object:
    """A line that is no JSON still has its text under ``log``."""
    pairs = (*RENAMED, ("log", "message"))
    return {"rules": [{"rename": {old: new}} for old, new in pairs]}


def _output() -> Object:
    writer = {"valueFrom": {"secretKeyRef": {"name": elastic.WRITER, "key": "username"}}}
    password = {"valueFrom": {"secretKeyRef": {"name": elastic.WRITER, "key": "password"}}}
    return {
        "retry_limit": "no_limits",
        "es": {
            "host": elastic.HOST, "port": 9200, "index": "logs-holdfast-default",
            "httpUser": writer, "httpPassword": password, "writeOperation": "create",
            "suppressTypeName": "On", "replaceDots": False, "traceError": True,
            "timeKey": "@timestamp", "compress": "gzip", "totalLimitSize": "2G",
            "tls": {"verify": True, "caFile": "/ca/tls.crt"},
        },
    }  # fmt: skip


# ---- without an operator -------------------------------------------------------------------------


def _section(name: str, words: Sequence[tuple[str, str]]) -> str:
    width = max(len(key) for key, _ in words)
    lines = (f"    {key:<{width}}  {value}" for key, value in words)
    return "\n".join((f"[{name}]", *lines)) + "\n"


def _plain(service: Service) -> str:
    tail = [
        ("Name", "tail"), ("Tag", _TAG), ("Path", _path(service)),
        ("multiline.parser", "cri"), ("DB", "/fluent-bit/tail/service.db"),
        ("Mem_Buf_Limit", "50MB"), ("Skip_Long_Lines", "On"), ("storage.type", "filesystem"),
    ]  # fmt: skip
    renames = [("Rename", f"{old} {new}") for old, new in (*RENAMED, ("log", "message"))]
    secrets = [("Remove_key", each) for each in SECRET]
    parts = (
        ("SERVICE", _PLAIN_SERVICE),
        ("INPUT", tail),
        ("INPUT", [("Name", "fluentbit_metrics"), ("Tag", "metrics"), ("scrape_interval", "15s")]),
        ("FILTER", [("Name", "kubernetes"), ("Match", _TAG), ("Merge_Log", "Off"),
                    ("Keep_Log", "On"), ("Labels", "On"), ("Annotations", "Off")]),
        ("FILTER", [("Name", "parser"), ("Match", _TAG), ("Key_Name", "log"),
                    ("Parser", "program"), ("Reserve_Data", "On"), ("Preserve_Key", "Off")]),
        ("FILTER", [("Name", "modify"), ("Match", _TAG), *renames]),
        ("FILTER", [("Name", "record_modifier"), ("Match", _TAG), *secrets]),
        ("OUTPUT", _PLAIN_OUTPUT),
        ("OUTPUT", [("Name", "prometheus_exporter"), ("Match", "metrics"), ("Port", "2021")]),
    )  # fmt: skip
    return "\n".join(_section(name, words) for name, words in parts)


_PLAIN_SERVICE: Final = [
    ("Flush", "1"), ("Daemon", "Off"), ("Log_Level", "info"),
    ("Parsers_File", "parsers.conf"), ("storage.path", "/fluent-bit/tail"),
    ("storage.max_chunks_up", "64"),
]  # fmt: skip
_PLAIN_OUTPUT: Final = [
    ("Name", "es"), ("Match", _TAG), ("Host", elastic.HOST), ("Port", "9200"),
    ("Index", "logs-holdfast-default"), ("HTTP_User", "${WRITER}"),
    ("HTTP_Passwd", "${WRITER_PASSWORD}"), ("Write_Operation", "create"),
    ("Suppress_Type_Name", "On"), ("Replace_Dots", "Off"), ("Trace_Error", "On"),
    ("Time_Key", "@timestamp"), ("Compress", "gzip"), ("tls", "On"), ("tls.verify", "On"),
    ("tls.ca_file", "/ca/tls.crt"), ("Retry_Limit", "no_limits"),
    ("storage.total_limit_size", "2G"),
]  # fmt: skip


def _parsers() -> str:
    program = [("Name", "program"), ("Format", "json"), ("Time_Key", "time"),
               ("Time_Format", _TIME), ("Time_Keep", "Off")]  # fmt: skip
    runtime = [("Name", "cri"), ("Format", "regex"), ("Regex", _CRI), ("Time_Key", "time"),
               ("Time_Format", _CRI_TIME)]  # fmt: skip
    return "\n".join(_section("PARSER", words) for words in (program, runtime))
