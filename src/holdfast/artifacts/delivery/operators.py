"""Which operators a service needs below it, by what its own objects are.

Istio, Vault and the cluster's network are not among them: a cluster is made with its network,
Istio is installed from ``kubernetes/cluster/REGION/istio.yaml`` by ``istioctl``, and Vault is
unsealed and set up by people (``resilience/security/vault``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.artifacts import charts
from holdfast.artifacts.charts import Chart, Source
from holdfast.spec.model import Service

FIRST, THEN = "1", "2"  # what others need before they start, and the others


@dataclass(frozen=True, slots=True)
class Operator:
    """``name`` of its release, ``space``: its namespace, ``standard``: of the pods in it."""

    name: str
    chart: Chart
    space: str
    standard: str = "restricted"
    wave: str = THEN
    given: str = ""  # values that another file of the set already says


#: What every service needs: certificates, secrets, signatures, watching, backups, experiments.
_ALWAYS = (
    Operator("cert-manager", charts.CERT_MANAGER, "cert-manager", wave=FIRST),
    Operator("prometheus-operator", charts.PROMETHEUS_OPERATOR, "monitoring", wave=FIRST),
    Operator("external-secrets", charts.EXTERNAL_SECRETS, "external-secrets", wave=FIRST),
    Operator("karpenter", charts.KARPENTER, "kube-system", "privileged", wave=FIRST),
    Operator("trust-manager", charts.TRUST_MANAGER, "cert-manager"),
    Operator("kyverno", charts.KYVERNO, "kyverno"),
    Operator("eck-operator", charts.ECK, "elastic-system"),
    Operator("fluent-operator", charts.FLUENT_OPERATOR, "fluent-system"),
    Operator("opentelemetry-operator", charts.OPENTELEMETRY, "opentelemetry-operator-system"),
    Operator("grafana-operator", charts.GRAFANA, "monitoring"),
    Operator("velero", charts.VELERO, "velero"),
    Operator(
        "trivy-operator", charts.TRIVY_OPERATOR, "trivy-system",
        given="resilience/security/helm/scanner.yaml",
    ),
    Operator("chaos-mesh", charts.CHAOS_MESH, "chaos-mesh", "privileged"),
    Operator("vertical-pod-autoscaler", charts.VPA, "vertical-pod-autoscaler", "baseline"),
    Operator(
        "aws-load-balancer-controller", charts.LOAD_BALANCERS, "kube-system", "privileged"
    ),
    Operator("external-dns", charts.EXTERNAL_DNS, "external-dns"),
)  # fmt: skip
_DATA = {
    "postgres": (
        Operator("cloudnative-pg", charts.CLOUDNATIVE_PG, "cnpg-system"),
        Operator("barman-cloud", charts.BARMAN_CLOUD, "cnpg-system"),
    ),
    "redis": (Operator("redis-operator", charts.REDIS_OPERATOR, "redis-operator", "baseline"),),
    "kafka": (Operator("strimzi", charts.STRIMZI, "strimzi"),),
    "minio": (Operator("minio-operator", charts.MINIO, "minio-operator"),),
}
_DOORS = {
    "traefik": Operator("traefik", charts.TRAEFIK, "traefik"),
    "nginx": Operator("ingress-nginx", charts.INGRESS_NGINX, "ingress-nginx", "baseline"),
}
_SCALERS = {
    "keda": Operator("keda", charts.KEDA, "keda"),
    "adapter": Operator("prometheus-adapter", charts.PROMETHEUS_ADAPTER, "monitoring"),
}
_GPU = Operator("gpu-operator", charts.GPU_OPERATOR, "gpu-operator", "privileged")
_CARDS = Operator("sriov-network-operator", charts.SRIOV, "sriov-network-operator", "privileged")
_FLAGGER = Operator("flagger", charts.FLAGGER, "flagger-system")
_GATE = Operator("flagger-loadtester", charts.FLAGGER_GATE, "flagger-system")
KEYS = (
    "resilience.database", "resilience.cache", "resilience.queue", "resilience.objects",
    "kubernetes.ingress", "kubernetes.workload", "kubernetes.sriov.functions", "resources.gpus",
    "autoscaling.by", "autoscaling.metrics", "delivery.flagger", "rollout.strategy",
    "rollout.approvals", "rollout.steps",
)  # fmt: skip


def operators(service: Service) -> Iterator[Operator]:
    """In no order: the waves say which is first."""
    yield from _ALWAYS
    data = service.resilience
    for kind in (data.database, data.cache, data.queue, data.objects):
        yield from _DATA.get(kind, ())
    if service.kubernetes.ingress in _DOORS:
        yield _DOORS[service.kubernetes.ingress]
    if service.autoscaling.metrics and service.kubernetes.workload != "daemon":
        yield _SCALERS[service.autoscaling.by]
    if service.resources.gpus:
        yield _GPU
    if service.kubernetes.sriov.functions:
        yield _CARDS
    yield from _progressive(service)


def _progressive(service: Service) -> Iterator[Operator]:
    """Flagger, where it does the rollouts; its gate, where people are asked."""
    rollout = service.rollout
    if not service.delivery.flagger:
        return
    yield _FLAGGER
    stepped = rollout.strategy == "canary" and any(step.approvals for step in rollout.steps)
    if rollout.approvals or stepped:
        yield _GATE


def definitions(service: Service) -> Iterator[tuple[str, Source]]:
    """Kinds, and one controller, that no chart brings."""
    if service.kubernetes.ingress == "gateway":
        yield "gateway-api", charts.GATEWAY_API
    yield "volume-snapshots", charts.SNAPSHOTS
    yield "snapshot-controller", charts.SNAPSHOT_CONTROLLER
