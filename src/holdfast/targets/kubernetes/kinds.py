"""Where the API server keeps which kind of object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

#: An object as the API server says it.
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource of the API."""

    version: str  # "v1", "apps/v1"
    name: str  # "Deployment"
    plural: str  # "deployments"
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; empty for the oldest one."""
        return self.version.rpartition("/")[0]

    @property
    def resource(self) -> str:
        """As roles and refusals call it: ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str, name: str = "") -> str:
        """The address of an object, or of all objects of a namespace."""
        base = f"/apis/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced else ""
        end = f"/{quote(name, safe='')}" if name else ""
        return f"{base}{inside}/{self.plural}{end}"


POD = Kind("v1", "Pod", "pods")
SERVICE = Kind("v1", "Service", "services")
ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
PRIORITY = Kind("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", namespaced=False)
ENDPOINTS = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
SCALED_OBJECT = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects")
GATEWAY = Kind("gateway.networking.k8s.io/v1", "Gateway", "gateways")
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
GRPC_ROUTE = Kind("gateway.networking.k8s.io/v1", "GRPCRoute", "grpcroutes")
VIRTUAL_SERVICE = Kind("networking.istio.io/v1", "VirtualService", "virtualservices")
DESTINATION_RULE = Kind("networking.istio.io/v1", "DestinationRule", "destinationrules")
ACCESS_REVIEW = Kind(
    "authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews",
    namespaced=False,
)  # fmt: skip
EVENT = Kind("v1", "Event", "events")
TOKEN_REVIEW = Kind("authentication.k8s.io/v1", "TokenReview", "tokenreviews", namespaced=False)
SUBJECT_REVIEW = Kind(
    "authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
RELEASE = Kind("holdfast.dev/v1alpha1", "Release", "releases")
#: To list and follow those of all namespaces at once.
RELEASES_EVERYWHERE = Kind("holdfast.dev/v1alpha1", "Release", "releases", namespaced=False)
#: What an installation of the conductor is made of, besides kinds above.
INSTALLED = (
    Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", False),
    Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False),
    Kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", False),
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    *(
        Kind("admissionregistration.k8s.io/v1", name, plural, namespaced=False)
        for name, plural in (
            ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
            ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
        )
    ),
)

_KNOWN = (
    RELEASE, EVENT, TOKEN_REVIEW, SUBJECT_REVIEW, *INSTALLED,
    POD, SERVICE, ACCOUNT, NAMESPACE, DEPLOYMENT, PRIORITY, ENDPOINTS, LEASE, AUTOSCALER,
    SCALED_OBJECT, GATEWAY, HTTP_ROUTE, GRPC_ROUTE, VIRTUAL_SERVICE, DESTINATION_RULE,
    ACCESS_REVIEW,
)  # fmt: skip
_BY_NAME = {(kind.version, kind.name): kind for kind in _KNOWN}


def kind_of(found: Object) -> Kind:
    """The kind of an object that says it. Raises ``KeyError`` for one that is not known here."""
    return _BY_NAME[found["apiVersion"], found["kind"]]


def name_of(found: Object) -> str:
    return str(found.get("metadata", {}).get("name", ""))


def notes(found: Object) -> dict[str, str]:
    """Its annotations."""
    return found.get("metadata", {}).get("annotations") or {}


def labels(found: Object) -> dict[str, str]:
    return found.get("metadata", {}).get("labels") or {}


def condition(found: Object, kind: str) -> Object:
    """A condition of ``status.conditions``; an empty one where there is none."""
    listed = found.get("status", {}).get("conditions") or ()
    return next((each for each in listed if each.get("type") == kind), {})
