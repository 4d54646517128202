"""The conductor's pods: one acts, the other stands by; nobody is let in, little is let out.

There is no liveness probe: a conductor that hangs loses its Lease, and the other takes over. Its
API listens on loopback, where ``kubectl port-forward`` ends; so nothing needs a Service.
"""

from __future__ import annotations

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.installation.access import ACCOUNT
from holdfast.artifacts.installation.wish import Installation

NAME = "holdfast-conductor"
PORT = 8080
_LABELS = {"app.kubernetes.io/name": NAME}
_USER = 65532
_KEYS, _HOME = "/etc/holdfast/keys", "/var/lib/holdfast"
#: The API server (443, 6443), PostgreSQL, Prometheus; names.
_PORTS = (443, 6443, 5432, 9090)


def objects(wish: Installation) -> list[Object]:
    """Namespace first: all else but the cluster's own is in it."""
    return [_deployment(wish), _budget(wish), _policy(wish)]


def space(wish: Installation) -> Object:
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": wish.namespace, "labels": enforced}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _deployment(wish: Installation) -> Object:
    made = _object("apps/v1", "Deployment", wish)
    made["spec"] = {
        "replicas": wish.replicas,
        "selector": {"matchLabels": _LABELS},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "template": {"metadata": {"labels": _LABELS}, "spec": _pod(wish)},
    }
    return made


def _pod(wish: Installation) -> Object:
    return {
        "serviceAccountName": ACCOUNT,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [{
            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": _LABELS},
        }],
        "containers": [_container(wish)],
        "volumes": [
            {"name": "home", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            {"name": "keys", "secret": {"secretName": wish.keys_secret, "defaultMode": 0o440}},
        ],
    }  # fmt: skip


def _container(wish: Installation) -> Object:
    reference = {"secretKeyRef": {"name": wish.postgres_secret, "key": "url"}}
    return {
        "name": "conductor",
        "image": wish.image,
        "command": ["holdfast", "conductor", "--in-cluster"],
        "env": [
            {"name": "HOLDFAST_HOME", "value": f"{_HOME}/home"},
            {"name": "HOLDFAST_KEYS", "value": _KEYS},
            {"name": "HOLDFAST_POSTGRES", "valueFrom": reference},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "home", "mountPath": _HOME},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "keys", "mountPath": _KEYS, "readOnly": True},
        ],
    }  # fmt: skip


def _budget(wish: Installation) -> Object:
    made = _object("policy/v1", "PodDisruptionBudget", wish)
    made["spec"] = {"maxUnavailable": 1, "selector": {"matchLabels": _LABELS}}
    return made


def _policy(wish: Installation) -> Object:
    made = _object("networking.k8s.io/v1", "NetworkPolicy", wish)
    names = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    ports = [{"port": port, "protocol": "TCP"} for port in _PORTS]
    made["spec"] = {
        "podSelector": {"matchLabels": _LABELS},
        "policyTypes": ["Ingress", "Egress"],
        "egress": [{"ports": [*names, *ports]}],
    }
    return made


def _object(version: str, kind: str, wish: Installation) -> Object:
    metadata = {"name": NAME, "namespace": wish.namespace, "labels": _LABELS}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
