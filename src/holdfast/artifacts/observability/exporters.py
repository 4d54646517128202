"""Programs that export what others do not say of themselves: nodes, objects, outside, the cache."""

from __future__ import annotations

import json
from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.names import beside, labels, namespace
from holdfast.artifacts.observability import objects, thirdparty
from holdfast.artifacts.observability.objects import MONITORING, NODES
from holdfast.spec.model import Service

_PRIVILEGED = "pod-security.kubernetes.io/enforce"


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{objects.PLATFORM}/node-exporter.yaml", list(_node_exporter()),
        "Processor, memory, disks and network of every node.", (), ("T88",),
    )  # fmt: skip
    yield Artifact(
        f"{objects.PLATFORM}/kube-state-metrics.yaml", list(_kube_state_metrics()),
        "What the cluster's objects want and have, as metrics.", (), ("T87",),
    )  # fmt: skip
    yield Artifact(
        f"{objects.PLATFORM}/blackbox-exporter.yaml", list(_blackbox()),
        "Asks from outside, as users do.", (), ("T87",),
    )  # fmt: skip
    if service.resilience.cache == "redis":
        yield Artifact(
            f"{objects.BASE}/cache-exporter.yaml", list(_cache(service)),
            "What the cache does.", ("service", "kubernetes.namespace", "resilience.cache"),
            ("T87",),
        )  # fmt: skip


# ---- nodes ---------------------------------------------------------------------------------------


def _node_exporter() -> Iterator[Object]:
    """In a namespace of its own: it must see the node, which nothing else here may."""
    name = "node-exporter"
    space = objects.thing("v1", "Namespace", NODES, "")
    space["metadata"]["labels"][_PRIVILEGED] = "privileged"
    yield space
    yield objects.account(name, NODES)
    yield objects.thing("apps/v1", "DaemonSet", name, NODES, spec=_on_every_node(name))
    yield objects.service(name, NODES, 9100)
    yield objects.ingress_only(name, NODES, 9100, objects.of_namespace(MONITORING))


def _on_every_node(name: str) -> Object:
    mount = {"name": "root", "mountPath": "/host/root", "readOnly": True,
             "mountPropagation": "HostToContainer"}  # fmt: skip
    container: Object = {
        "name": name,
        "image": thirdparty.NODE_EXPORTER.reference,
        "args": [
            "--path.rootfs=/host/root", "--path.procfs=/host/root/proc",
            "--path.sysfs=/host/root/sys", "--no-collector.wifi",
            "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|run|var/lib/kubelet/.+)($|/)",
        ],
        "ports": [{"name": "metrics", "containerPort": 9100}],
        "readinessProbe": objects.http_probe("/", "metrics"),
        "livenessProbe": objects.http_probe("/", "metrics"),
        "resources": objects.bounded("50m", "64Mi"),
        "securityContext": objects.container_security(),
        "volumeMounts": [mount],
    }  # fmt: skip
    pod = {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "priorityClassName": "system-node-critical",
        "securityContext": objects.pod_security(),
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": [{"name": "root", "hostPath": {"path": "/", "type": "Directory"}}],
    }
    return {
        "selector": {"matchLabels": objects.selector(name)},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
        "template": {"metadata": {"labels": objects.labels(name)}, "spec": pod},
    }


# ---- objects of the cluster ----------------------------------------------------------------------


def _kube_state_metrics() -> Iterator[Object]:
    name = "kube-state-metrics"
    yield objects.account(name, MONITORING)
    yield from objects.cluster_role(name, MONITORING, _watched())
    kinds = "daemonsets deployments horizontalpodautoscalers jobs cronjobs nodes"
    more = "persistentvolumeclaims pods poddisruptionbudgets statefulsets"
    container: Object = {
        "name": name,
        "image": thirdparty.KUBE_STATE_METRICS.reference,
        "args": [
            "--port=8080",
            "--telemetry-port=8081",
            f"--resources={','.join(sorted(f'{kinds} {more}'.split()))}",
        ],
        "ports": [{"name": "metrics", "containerPort": 8080}],
        "readinessProbe": objects.http_probe("/readyz", "metrics"),
        "livenessProbe": objects.http_probe("/livez", "metrics"),
        "resources": objects.bounded("50m", "128Mi", "512Mi"),
        "securityContext": objects.container_security(),
    }
    found = objects.deployment(name, MONITORING, container, token=True)
    yield objects.accepted(found, CKV_K8S_38="it watches objects of the cluster")
    yield objects.service(name, MONITORING, 8080)
    yield objects.ingress_only(name, MONITORING, 8080, objects.of_namespace(MONITORING))


def _watched() -> list[Object]:
    """No secrets, no config maps: only what an alert or a dashboard looks at."""
    seen = ("list", "watch")
    return [
        objects.reads("", "nodes", "persistentvolumeclaims", "pods", verbs=seen),
        objects.reads("apps", "daemonsets", "deployments", "statefulsets", verbs=seen),
        objects.reads("autoscaling", "horizontalpodautoscalers", verbs=seen),
        objects.reads("batch", "cronjobs", "jobs", verbs=seen),
        objects.reads("policy", "poddisruptionbudgets", verbs=seen),
    ]


# ---- from outside --------------------------------------------------------------------------------


def _blackbox() -> Iterator[Object]:
    name = "blackbox-exporter"
    yield objects.account(name, MONITORING)
    modules = {"modules": {"http_2xx": _http(), "grpc_tls": _grpc(), "tcp_tls": _tls()}}
    text = json.dumps(modules, indent=2) + "\n"  # JSON is YAML
    yield objects.thing("v1", "ConfigMap", name, MONITORING, data={"config.yml": text})
    container: Object = {
        "name": name,
        "image": thirdparty.BLACKBOX.reference,
        "args": ["--config.file=/etc/blackbox/config.yml"],
        "ports": [{"name": "metrics", "containerPort": 9115}],
        "readinessProbe": objects.http_probe("/-/healthy", "metrics"),
        "livenessProbe": objects.http_probe("/-/healthy", "metrics"),
        "resources": objects.bounded("20m", "64Mi"),
        "securityContext": objects.container_security(),
        "volumeMounts": [{"name": "config", "mountPath": "/etc/blackbox", "readOnly": True}],
    }
    volume = {"name": "config", "configMap": {"name": name}}
    yield objects.deployment(name, MONITORING, container, volumes=[volume])
    yield objects.service(name, MONITORING, 9115)
    yield objects.ingress_only(name, MONITORING, 9115, objects.of_namespace(MONITORING))


def _http() -> Object:
    return {
        "prober": "http",
        "timeout": "5s",
        "http": {"method": "GET", "fail_if_not_ssl": True, "preferred_ip_protocol": "ip4"},
    }


def _grpc() -> Object:
    """grpc.health.v1 about the whole server, for the exporter is shared by all services."""
    return {
        "prober": "grpc",
        "timeout": "5s",
        "grpc": {"tls": True, "preferred_ip_protocol": "ip4"},
    }


def _tls() -> Object:
    return {"prober": "tcp", "timeout": "5s", "tcp": {"tls": True, "preferred_ip_protocol": "ip4"}}


# ---- the cache -----------------------------------------------------------------------------------


def _cache(service: Service) -> Iterator[Object]:
    """Beside the cache, in the service's namespace; its password is the cache's own."""
    name = f"{service.service}-cache-exporter"
    own = {**labels(service, "cache-exporter"), **beside(service, "cache-exporter")}
    found = [
        objects.account(name, namespace(service)),
        objects.deployment(name, namespace(service), _cache_container(service, name)),
        objects.service(name, namespace(service), 9121),
    ]
    for each in found:
        each["metadata"]["labels"] = own
    objects.accepted(found[1], CKV_K8S_35="the exporter reads a password from nowhere else")
    yield from found


def _cache_container(service: Service, name: str) -> Object:
    """It looks at the primary alone: a copy has no copies, and every alert is about the primary."""
    cache, primary = f"{service.service}-cache", f"{service.service}-cache-master"
    secret = {"secretKeyRef": {"name": cache, "key": "password", "optional": True}}
    return {
        "name": "exporter",
        "image": thirdparty.REDIS_EXPORTER.reference,
        "env": [
            {"name": "REDIS_ADDR", "value": f"redis://{primary}:6379"},
            {"name": "REDIS_PASSWORD", "valueFrom": secret},
        ],
        "ports": [{"name": "metrics", "containerPort": 9121}],
        "readinessProbe": objects.http_probe("/health", "metrics"),
        "livenessProbe": objects.http_probe("/health", "metrics"),
        "resources": objects.bounded("20m", "64Mi"),
        "securityContext": objects.container_security(),
    }
