"""Charts of what runs below a service, by exact version.

The version of the program is the one whose schema the objects are held against. Where a tag is
named, the version of the chart was read in its ``Chart.yaml`` or its release's tag. Where "the
program's own version" is written, the project says so in the place named and the file was not read:
``helm show chart`` with the version beside it is worth its second before the first installation.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chart:
    """``repository`` without a scheme is a registry (OCI), as Argo CD wants it."""

    repository: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Source:
    """A directory of a repository at one commit; the tag is what people read."""

    repository: str
    path: str
    tag: str
    commit: str


_PROMETHEUS = "https://prometheus-community.github.io/helm-charts"
_POSTGRES = "https://cloudnative-pg.github.io/charts"

#: prometheus-operator v0.93.0 (tag kube-prometheus-stack-88.3.0).
PROMETHEUS_OPERATOR = Chart(_PROMETHEUS, "kube-prometheus-stack", "88.3.0")
#: prometheus-adapter v0.12.0 (tag prometheus-adapter-5.3.0).
PROMETHEUS_ADAPTER = Chart(_PROMETHEUS, "prometheus-adapter", "5.3.0")
#: The program's own version (cert-manager, Installing with Helm).
CERT_MANAGER = Chart("https://charts.jetstack.io", "cert-manager", "v1.21.1")
#: The program's own version (cert-manager/trust-manager, tag v0.24.0).
TRUST_MANAGER = Chart("https://charts.jetstack.io", "trust-manager", "v0.24.0")
#: The program's own version (external-secrets, tag v2.9.0).
EXTERNAL_SECRETS = Chart("https://charts.external-secrets.io", "external-secrets", "2.9.0")
#: Kyverno v1.19.0 (kyverno/kyverno, tag v1.19.0).
KYVERNO = Chart("https://kyverno.github.io/kyverno", "kyverno", "3.9.0")
#: The program's own version (elastic/cloud-on-k8s, tag v3.5.0).
ECK = Chart("https://helm.elastic.co", "eck-operator", "3.5.0")
#: fluent-operator v3.10.0 (fluent/helm-charts at 5b81bf7).
FLUENT_OPERATOR = Chart("https://fluent.github.io/helm-charts", "fluent-operator", "4.3.0")
#: opentelemetry-operator v0.158.0 (opentelemetry-helm-charts at dd5665c).
OPENTELEMETRY = Chart(
    "https://open-telemetry.github.io/opentelemetry-helm-charts",
    "opentelemetry-operator",
    "0.122.0",
)
#: The program's own version (grafana/grafana-operator, tag v5.24.0).
GRAFANA = Chart("ghcr.io/grafana/helm-charts", "grafana-operator", "5.24.0")
#: Velero v1.18.1 (vmware-tanzu/helm-charts at 73466ca).
VELERO = Chart("https://vmware-tanzu.github.io/helm-charts", "velero", "12.1.0")
#: aquasecurity/helm-charts, tag trivy-operator-0.32.1.
TRIVY_OPERATOR = Chart("https://aquasecurity.github.io/helm-charts", "trivy-operator", "0.32.1")
#: The program's own version (chaos-mesh/chaos-mesh, tag v2.8.3).
CHAOS_MESH = Chart("https://charts.chaos-mesh.org", "chaos-mesh", "2.8.3")
#: CloudNativePG v1.30.0 and its plugin v0.13.0 (cloudnative-pg/charts at b21ad2d).
CLOUDNATIVE_PG = Chart(_POSTGRES, "cloudnative-pg", "0.29.0")
BARMAN_CLOUD = Chart(_POSTGRES, "plugin-barman-cloud", "0.7.0")
#: redis-operator v0.26.0 (OT-CONTAINER-KIT/redis-operator, charts/redis-operator).
REDIS_OPERATOR = Chart("https://ot-container-kit.github.io/helm-charts", "redis-operator", "0.26.1")
#: The program's own version (strimzi/strimzi-kafka-operator, tag 1.2.0).
STRIMZI = Chart("quay.io/strimzi-helm", "strimzi-kafka-operator", "1.2.0")
#: The program's own version (minio/operator, tag v7.1.1).
MINIO = Chart("https://operator.min.io", "operator", "7.1.1")
#: The program's own version (kedacore/charts at 1444d00).
KEDA = Chart("https://kedacore.github.io/charts", "keda", "2.20.2")
#: VPA 1.7.1 (kubernetes/autoscaler, tag vertical-pod-autoscaler-chart-0.11.0).
VPA = Chart("https://kubernetes.github.io/autoscaler", "vertical-pod-autoscaler", "0.11.0")
#: The program's own version (aws/karpenter-provider-aws, tag v1.14.1).
KARPENTER = Chart("public.ecr.aws/karpenter", "karpenter", "1.14.1")
#: The program's own version (aws/eks-charts).
LOAD_BALANCERS = Chart("https://aws.github.io/eks-charts", "aws-load-balancer-controller", "3.5.0")
#: external-dns v0.21.0 (tag external-dns-helm-chart-1.21.1).
EXTERNAL_DNS = Chart("https://kubernetes-sigs.github.io/external-dns", "external-dns", "1.21.1")
#: Traefik v3.7.9 (traefik/traefik-helm-chart, tag v41.1.1).
TRAEFIK = Chart("https://traefik.github.io/charts", "traefik", "41.1.1")
#: controller-v1.15.1, its last (kubernetes/ingress-nginx, tag helm-chart-4.15.1).
INGRESS_NGINX = Chart("https://kubernetes.github.io/ingress-nginx", "ingress-nginx", "4.15.1")
#: The program's own version, and the load tester whose gate people open (fluxcd/flagger v1.44.0).
FLAGGER = Chart("https://flagger.app", "flagger", "1.44.0")
FLAGGER_GATE = Chart("https://flagger.app", "loadtester", "0.38.0")
#: The program's own version (NVIDIA/gpu-operator, tag v26.7.0).
GPU_OPERATOR = Chart("https://helm.ngc.nvidia.com/nvidia", "gpu-operator", "v26.7.0")
#: The program's own version (k8snetworkplumbingwg/sriov-network-operator, tag v1.6.0).
SRIOV = Chart("ghcr.io/k8snetworkplumbingwg", "sriov-network-operator-chart", "1.6.0")

#: Definitions that are no part of a chart.
GATEWAY_API = Source(
    "https://github.com/kubernetes-sigs/gateway-api",
    "config/crd",
    "v1.6.1",
    "8bb74df00e56ec8f944d48c25e6c1c9c2f6848e3",
)
_SNAPSHOTS = (
    "https://github.com/kubernetes-csi/external-snapshotter",
    "v8.6.0",
    "78e32cd84e0abec2621924a30e38c755f93e180a",
)
SNAPSHOTS = Source(_SNAPSHOTS[0], "client/config/crd", *_SNAPSHOTS[1:])
SNAPSHOT_CONTROLLER = Source(
    _SNAPSHOTS[0], "deploy/kubernetes/snapshot-controller", *_SNAPSHOTS[1:]
)
