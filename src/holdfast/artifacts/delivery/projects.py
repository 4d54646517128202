"""Projects of Argo CD: what may be synced, from where, to where, when and by whom.

One for the service, which touches its own namespace only, and one for what is below it: cluster,
monitoring, data. Cluster-wide kinds are named one by one, and so is every kind of the service.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery import calendar
from holdfast.artifacts.delivery.objects import ARGOCD, FOLDER, owned
from holdfast.spec.model import Service

#: API group -> kinds in the namespace of the service.
SERVICE_KINDS = {
    "": ("ConfigMap", "LimitRange", "PersistentVolumeClaim", "ResourceQuota", "Service",
         "ServiceAccount"),
    "apps": ("DaemonSet", "Deployment", "StatefulSet"),
    "autoscaling": ("HorizontalPodAutoscaler",),
    "autoscaling.k8s.io": ("VerticalPodAutoscaler",),
    "batch": ("CronJob", "Job"),
    "cert-manager.io": ("Certificate", "Issuer"),
    "cilium.io": ("CiliumNetworkPolicy",),
    "external-secrets.io": ("ExternalSecret", "SecretStore"),
    "flagger.app": ("Canary", "MetricTemplate"),
    "gateway.networking.k8s.io": ("BackendTLSPolicy", "Gateway", "GRPCRoute", "HTTPRoute",
                                  "TCPRoute", "TLSRoute"),
    "k8s.cni.cncf.io": ("NetworkAttachmentDefinition",),
    "keda.sh": ("ScaledObject", "TriggerAuthentication"),
    "monitoring.coreos.com": ("PodMonitor", "PrometheusRule", "ServiceMonitor"),
    "networking.istio.io": ("DestinationRule", "Sidecar", "VirtualService"),
    "networking.k8s.io": ("Ingress", "NetworkPolicy"),
    "policy": ("PodDisruptionBudget",),
    "projectcalico.org": ("NetworkPolicy",),
    "rbac.authorization.k8s.io": ("Role", "RoleBinding"),
    "resource.k8s.io": ("ResourceClaim", "ResourceClaimTemplate"),
    "security.istio.io": ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"),
    "telemetry.istio.io": ("Telemetry",),
    "traefik.io": ("IngressRoute", "IngressRouteTCP", "Middleware", "MiddlewareTCP",
                   "ServersTransport", "TLSOption"),
}  # fmt: skip
#: Cluster-wide kinds of what a cluster has once.
PLATFORM_KINDS = {
    "": ("Namespace",),
    "admissionregistration.k8s.io": ("ValidatingAdmissionPolicy",
                                     "ValidatingAdmissionPolicyBinding"),
    "apiregistration.k8s.io": ("APIService",),
    "aquasecurity.github.io": ("ClusterComplianceReport",),
    "cert-manager.io": ("ClusterIssuer",),
    "cilium.io": ("CiliumClusterwideNetworkPolicy",),
    "external-secrets.io": ("ClusterSecretStore",),
    "fluentbit.fluent.io": ("ClusterFilter", "ClusterFluentBitConfig", "ClusterInput",
                            "ClusterOutput", "ClusterParser"),
    "gateway.networking.k8s.io": ("GatewayClass",),
    "karpenter.k8s.aws": ("EC2NodeClass",),
    "karpenter.sh": ("NodeOverlay", "NodePool"),
    "kyverno.io": ("ClusterPolicy",),
    "networking.k8s.io": ("IngressClass",),
    "node.k8s.io": ("RuntimeClass",),
    "nvidia.com": ("ClusterPolicy",),
    "policies.kyverno.io": ("ImageValidatingPolicy", "ValidatingPolicy"),
    "projectcalico.org": ("GlobalNetworkPolicy",),
    "rbac.authorization.k8s.io": ("ClusterRole", "ClusterRoleBinding"),
    "resource.k8s.io": ("DeviceClass",),
    "scheduling.k8s.io": ("PriorityClass",),
    "snapshot.storage.k8s.io": ("VolumeSnapshotClass",),
    "storage.k8s.io": ("StorageClass",),
    "trust.cert-manager.io": ("Bundle",),
}  # fmt: skip
#: Namespaces of what a cluster has once.
PLATFORM_NAMESPACES = (
    "cert-manager", "chaos-mesh", "gpu-operator", "ingress-nginx", "istio-system", "kube-system",
    "kyverno", "logging", "monitoring", "node-monitoring", "sriov-network-operator", "tracing",
    "traefik", "trivy-system", "vault", "velero",
)  # fmt: skip
_KEYS = ("service", "delivery.repository", "regions")


def platform(service: Service) -> str:
    """The project of what a cluster has once."""
    return f"{service.service}-platform"


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{FOLDER}/projects.yaml",
        (_service(service), _platform(service)),
        "What Argo CD may sync, from where, to where, and when.",
        (*_KEYS, "kubernetes.namespace", "delivery.approvers", *calendar.KEYS),
        ("T61", "T63"),
    )


def _service(service: Service) -> Object:
    namespace = names.namespace(service)
    own = {"group": "", "kind": "Namespace", "name": namespace}
    spec = _spec(service, "The service, in its own namespace.", (namespace,))
    spec |= {
        "clusterResourceWhitelist": [own],
        "namespaceResourceWhitelist": _listed(SERVICE_KINDS),
        "orphanedResources": {"warn": True},
        "roles": [_approver(service, service.service)],
    }
    if windows := calendar.sync_windows(service):
        spec["syncWindows"] = windows
    return _project(service, service.service, spec)


def _platform(service: Service) -> Object:
    # The service's databases, secrets and monitors are in its own namespace.
    places = (*PLATFORM_NAMESPACES, names.namespace(service))
    spec = _spec(service, "What a cluster needs once.", places)
    spec |= {
        "clusterResourceWhitelist": _listed(PLATFORM_KINDS),
        "roles": [_approver(service, platform(service))],
    }
    return _project(service, platform(service), spec)


def _spec(service: Service, description: str, namespaces: Iterable[str]) -> Object:
    return {
        "description": description,
        "sourceRepos": [names.git(service)],
        "destinations": [
            {"name": region.name, "namespace": namespace}
            for region in service.regions
            for namespace in namespaces
        ],
    }


def _listed(kinds: dict[str, tuple[str, ...]]) -> list[Object]:
    return [{"group": group, "kind": kind} for group, found in kinds.items() for kind in found]


def _approver(service: Service, project: str) -> Object:
    """Approvers may look, and sync by hand: to go back to an earlier commit at any time."""
    role = f"proj:{project}:approver"
    policies = [f"p, {role}, applications, {act}, {project}/*, allow" for act in ("get", "sync")]
    found: Object = {"name": "approver", "description": "May go back.", "policies": policies}
    groups = [approver.replace("/", ":") for approver in service.delivery.approvers]
    return found | ({"groups": groups} if groups else {})


def _project(service: Service, name: str, spec: Object) -> Object:
    return owned(service, "argoproj.io/v1alpha1/AppProject", name, ARGOCD, spec=spec)
