"""Pieces of Kubernetes objects that several modules of this family use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.names import MANAGER

MONITORING: Final = "monitoring"
LOGGING: Final = "logging"
TRACING: Final = "tracing"
NODES: Final = "node-monitoring"
#: Directories of what a cluster is given: for the service, and once for all its services.
BASE: Final = "observability/base"
PLATFORM: Final = "observability/platform/base"
OVERLAYS: Final = "observability/platform/overlays"  # one directory for each region
NOBODY: Final = 65534  # the user of Prometheus' own images


def labels(name: str) -> dict[str, str]:
    """Labels of something that all services of a cluster share."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": MANAGER}


def thing(api: str, kind: str, name: str, namespace: str, **rest: object) -> Object:
    """An object that all services share; an empty namespace: it belongs to the cluster."""
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api, "kind": kind, "metadata": {**metadata, "labels": labels(name)},
            **rest}  # fmt: skip


def account(name: str, namespace: str) -> Object:
    return thing("v1", "ServiceAccount", name, namespace, automountServiceAccountToken=False)


def cluster_role(name: str, namespace: str, rules: Sequence[Object]) -> list[Object]:
    """What a service account may read in the whole cluster."""
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": f"holdfast-{name}"}
    return [
        thing(f"{rbac}/v1", "ClusterRole", f"holdfast-{name}", "", rules=list(rules)),
        thing(f"{rbac}/v1", "ClusterRoleBinding", f"holdfast-{name}", "", roleRef=role,
              subjects=[subject]),
    ]  # fmt: skip


def reads(group: str, *resources: str, verbs: Sequence[str] = ("get", "list", "watch")) -> Object:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def pod_security(user: int = NOBODY) -> Object:
    return {
        "runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip


def container_security() -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def resources(cpu: str, memory: str, most: str = "") -> Object:
    """Memory is limited to what is asked for unless ``most`` says more; the processor is not."""
    return {
        "requests": {"cpu": cpu, "memory": memory},
        "limits": {"memory": most or memory},
    }


def bounded(cpu: str, memory: str, most: str = "") -> Object:
    """Of a small program, which is given one processor at most when it runs wild."""
    found = resources(cpu, memory, most)
    return {**found, "limits": {"cpu": "1", **found["limits"]}}


def accepted(found: Object, **reasons: str) -> Object:
    """The object, with why it is as it is, said to checkov: ``CKV_K8S_38="it reads the API"``."""
    said = {f"checkov.io/skip{n}": f"{check}={why}"
            for n, (check, why) in enumerate(reasons.items(), 1)}  # fmt: skip
    found["metadata"].setdefault("annotations", {}).update(said)
    return found


def http_probe(path: str, port: str) -> Object:
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": 10, "timeoutSeconds": 5}


def deployment(name: str, namespace: str, container: Object, **pod: object) -> Object:
    """One instance that is replaced by a new one before it goes."""
    template = {
        "metadata": {"labels": labels(name)},
        "spec": {
            "serviceAccountName": name,
            "automountServiceAccountToken": bool(pod.pop("token", False)),
            "securityContext": pod_security(),
            "containers": [container],
            **pod,
        },
    }
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": selector(name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
        "template": template,
    }
    return thing("apps/v1", "Deployment", name, namespace, spec=spec)


def selector(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name}


def service(name: str, namespace: str, port: int, port_name: str = "metrics") -> Object:
    ports = [{"name": port_name, "port": port, "targetPort": port_name}]
    return thing(
        "v1", "Service", name, namespace, spec={"selector": selector(name), "ports": ports}
    )


def nobody_connects(name: str, namespace: str) -> Object:
    """Nobody connects to it."""
    spec = {"podSelector": {"matchLabels": selector(name)}, "policyTypes": ["Ingress"]}
    return thing("networking.k8s.io/v1", "NetworkPolicy", name, namespace, spec=spec)


def ingress_only(name: str, namespace: str, port: int, *sources: Mapping[str, str]) -> Object:
    """Nobody connects to it but pods of the namespaces named."""
    senders = [{"namespaceSelector": {"matchLabels": dict(each)}} for each in sources]
    spec = {
        "podSelector": {"matchLabels": selector(name)},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": senders, "ports": [{"port": port, "protocol": "TCP"}]}],
    }
    return thing("networking.k8s.io/v1", "NetworkPolicy", name, namespace, spec=spec)


def of_namespace(name: str) -> dict[str, str]:
    """The label by which a NetworkPolicy knows a namespace."""
    return {"kubernetes.io/metadata.name": name}
