"""What each operator's chart is told: more than one of each, the restricted standard, our names."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery import flagger, fleets
from holdfast.artifacts.delivery.operators import operators
from holdfast.artifacts.signals import NGINX_BUCKETS, TRAEFIK_BUCKETS
from holdfast.artifacts.versions import VELERO_AWS
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

FOLDER = "delivery/helm"
_BOUND = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_POD: Object = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_NUMBERED = {**_POD, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532}
_OFF = {"enabled": False}
#: Everything of the stack but its operator: the rest is rendered by ``observability``.
_ONLY_OPERATOR: Object = {
    "crds": {"enabled": True},
    "defaultRules": {"create": False},
    **dict.fromkeys(
        ("alertmanager", "grafana", "kubeApiServer", "kubelet", "kubeControllerManager", "coreDns",
         "kubeEtcd", "kubeScheduler", "kubeProxy", "kubeStateMetrics", "nodeExporter",
         "prometheus"), _OFF,
    ),
}  # fmt: skip


def _buckets(bounds: tuple[float, ...]) -> str:
    """Upper bounds in seconds: those that rules and dashboards ask for, and no others."""
    return ",".join(f"{each:g}" for each in bounds)


#: What else an operator is for, by requirement row.
_ROWS = {
    "external-dns": ("T112", "T115"),
    "traefik": ("T35", "T86"),
    "ingress-nginx": ("T35", "T86"),
    "karpenter": ("T48",),
    "keda": ("T49",),
    "prometheus-adapter": ("T49",),
    "flagger": ("T72",),
}
_FIXED: dict[str, Object] = {
    "cert-manager": {
        "crds": {"enabled": True},
        "replicaCount": 2,
        "podDisruptionBudget": {"enabled": True},
        "webhook": {"replicaCount": 3, "podDisruptionBudget": {"enabled": True}},
        "cainjector": {"replicaCount": 2},
    },
    "prometheus-operator": _ONLY_OPERATOR,
    "external-secrets": {
        "replicaCount": 2,
        "leaderElect": True,
        "webhook": {"replicaCount": 2},
        "certController": {"replicaCount": 2},
    },
    "trust-manager": {"app": {"trust": {"namespace": "cert-manager"}}},
    "kyverno": {
        "admissionController": {"replicas": 3},
        "backgroundController": {"replicas": 2},
        "cleanupController": {"replicas": 2},
        "reportsController": {"replicas": 2},
    },
    "fluent-operator": {"containerRuntime": "containerd", "fluentbit": {"enable": False}},
    "velero": {
        "backupsEnabled": False,  # where to and when are objects of resilience/backup
        "snapshotsEnabled": False,
        "upgradeCRDs": False,
        "configuration": {"features": "EnableCSI"},
        "credentials": {"useSecret": False},
        "serviceAccount": {"server": {"name": "velero"}},
        "podSecurityContext": _NUMBERED,
        "containerSecurityContext": _BOUND,
        "initContainers": [
            {
                "name": "velero-plugin-for-aws",
                "image": VELERO_AWS.reference,
                "securityContext": _BOUND,
                "volumeMounts": [{"name": "plugins", "mountPath": "/target"}],
            }
        ],
    },
    "chaos-mesh": {
        "controllerManager": {"replicaCount": 3},
        "chaosDaemon": {"runtime": "containerd", "socketPath": "/run/containerd/containerd.sock"},
        "dashboard": {"create": False},
    },
    "cloudnative-pg": {"replicaCount": 2},
    "strimzi": {
        "replicas": 2,
        "watchAnyNamespace": True,
        "generateNetworkPolicy": False,  # its own would let everybody in beside ours
        "podSecurityContext": _POD,
        "securityContext": _BOUND,
    },
    "keda": {
        "operator": {"replicaCount": 2},
        "metricsServer": {"replicaCount": 2},
        "webhooks": {"replicaCount": 2},
    },
    "prometheus-adapter": {
        "replicas": 2,
        "prometheus": {"url": "http://prometheus-operated.monitoring.svc", "port": 9090},
        "rules": {"default": False, "existing": "prometheus-adapter"},
    },
    "traefik": {
        "deployment": {"replicas": 3},
        "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
        "metrics": {"prometheus": {"buckets": _buckets(TRAEFIK_BUCKETS)}},
    },
    "ingress-nginx": {
        "controller": {
            "replicaCount": 3,
            "maxUnavailable": 1,
            "allowSnippetAnnotations": False,
            "metrics": {"enabled": True},
            "extraArgs": {"time-buckets": _buckets(NGINX_BUCKETS)},
        }
    },
}


#: Keys that decide whether an operator is there at all.
_SCALING = ("autoscaling.by", "autoscaling.metrics", "kubernetes.workload")
_WHETHER: dict[str, tuple[str, ...]] = {
    "cloudnative-pg": ("resilience.database",),
    "strimzi": ("resilience.queue",),
    "keda": _SCALING,
    "prometheus-adapter": _SCALING,
    "traefik": ("kubernetes.ingress",),
    "ingress-nginx": ("kubernetes.ingress",),
    "external-dns": ("service", "kubernetes.host"),
    "flagger": ("delivery.flagger", "kubernetes.mesh", "kubernetes.ingress"),
}  # fmt: skip


def render(service: Service) -> Iterable[Artifact]:
    if not service.delivery.platform:
        return
    wanted = {each.name for each in operators(service)}
    for name, told in _everywhere(service).items():
        if name in wanted:
            keys = ("delivery.platform", *_WHETHER.get(name, ()))
            about = f"What the chart of {name} is told."
            yield Artifact(
                f"{FOLDER}/{name}.yaml", told, about, keys, ("T61", *_ROWS.get(name, ()))
            )
    for region in service.regions:
        for name, told in _regional(service, region).items():
            keys = ("service", "regions", "delivery.platform")
            about = f"What the chart of {name} is told in {region.name}."
            path = f"{FOLDER}/{region.name}/{name}.yaml"
            yield Artifact(path, told, about, keys, ("T61", *_ROWS.get(name, ())))


def _everywhere(service: Service) -> dict[str, Object]:
    return {**_FIXED, "external-dns": _names(service), "flagger": _flagger(service)}


def _names(service: Service) -> Object:
    """Doors of data services get the names by which other regions call them; the public name and
    those of regions are of the cloud's stacks, and nothing else is touched."""
    return {
        "provider": {"name": "aws"},
        "sources": ["service"],
        "domainFilters": [names.host(service)],
        "policy": "sync",
        "registry": "txt",
    }


def _flagger(service: Service) -> Object:
    return {
        "meshProvider": flagger.provider(service),
        "metricsServer": names.PROMETHEUS,
        "selectorLabels": fleets.FLEET,
    }


def _regional(service: Service, region: Region) -> dict[str, Object]:
    cluster = names.cluster(service, region)
    return {
        "karpenter": {"settings": {"clusterName": cluster}},
        "aws-load-balancer-controller": {
            "clusterName": cluster,
            "region": region.cloud,
            "serviceAccount": {"name": "aws-load-balancer-controller"},
        },
        "external-dns": {"txtOwnerId": cluster},
    }
