"""Operators by Argo CD: an Application for each operator and region, definitions first.

Two lists are multiplied, regions and operators. RollingSync goes region by region like a release of
the service, and in a region first through what others need: certificates, secrets, monitoring
kinds, nodes. Values are files of the set, so that a change of one is reviewed like everything else.
Source: Argo CD v3.5, Matrix generator, Multiple sources, Helm value files from another repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery import applicationsets, notifications, values, waves
from holdfast.artifacts.delivery.objects import ARGOCD, FOLDER, owned
from holdfast.artifacts.delivery.operators import FIRST, KEYS, THEN, definitions, operators
from holdfast.spec.model import Service

_STANDARD = "pod-security.kubernetes.io/enforce"
_WAVE = "holdfast.dev/wave"
#: Cluster-wide kinds that charts of operators bring.
KINDS = {
    "": ("Namespace",),
    "admissionregistration.k8s.io": (
        "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
    ),
    "apiextensions.k8s.io": ("CustomResourceDefinition",),
    "apiregistration.k8s.io": ("APIService",),
    "elbv2.k8s.aws": ("IngressClassParams",),
    "networking.k8s.io": ("IngressClass",),
    "gateway.networking.k8s.io": ("GatewayClass",),
    "rbac.authorization.k8s.io": ("ClusterRole", "ClusterRoleBinding"),
    "scheduling.k8s.io": ("PriorityClass",),
}  # fmt: skip
_KEYS = (
    "service", "regions", "replicas", "delivery.repository", "delivery.branch", "delivery.path",
    "delivery.platform", *KEYS,
)  # fmt: skip


def render(service: Service) -> Iterable[Artifact]:
    if not service.delivery.platform:
        return
    yield Artifact(
        f"{FOLDER}/operators.yaml",
        (_project(service), _definitions(service), _charts(service)),
        "The operators that the service needs in each cluster, and in which order they come.",
        _KEYS,
        ("T61", "T62", "T63"),
    )


def project(service: Service) -> str:
    """The project of operators: they may make kinds and rights, and no Application of ours may."""
    return f"{service.service}-operators"


def _project(service: Service) -> Object:
    wanted = list(operators(service))
    fetched = dict.fromkeys(each.chart.repository for each in wanted)
    made = dict.fromkeys(source.repository for _, source in definitions(service))
    spaces = dict.fromkeys(("kube-system", *(each.space for each in wanted)))
    spec = {
        "description": "Operators, from the repositories of their makers.",
        "sourceRepos": [names.git(service), *fetched, *made],
        "destinations": [
            {"name": region.name, "namespace": space}
            for region in service.regions
            for space in spaces
        ],
        "clusterResourceWhitelist": [
            {"group": group, "kind": kind} for group, kinds in KINDS.items() for kind in kinds
        ],
    }
    return owned(service, "argoproj.io/v1alpha1/AppProject", project(service), ARGOCD, spec=spec)


def _definitions(service: Service) -> Object:
    elements = [
        {"name": name, "source": source.repository, "directory": source.path,
         "commit": source.commit, "tag": source.tag}
        for name, source in definitions(service)
    ]  # fmt: skip
    source = {
        "repoURL": "{{ .source }}",
        "targetRevision": "{{ .commit }}",
        "path": "{{ .directory }}",
    }
    spec = {"source": source, "destination": _destination("kube-system"), "syncPolicy": _syncing()}
    template = _template(service, {}, spec)
    return _set(service, "definitions", elements, template)


def _charts(service: Service) -> Object:
    spec = {
        "sources": _sources(),
        "destination": _destination("{{ .space }}"),
        "syncPolicy": {
            **_syncing("CreateNamespace=true"),
            "managedNamespaceMetadata": {"labels": {_STANDARD: "{{ .standard }}"}},
        },
    }
    template = _template(service, {_WAVE: "{{ .wave }}"}, spec)
    found = _set(service, "operators", list(_wanted(service)), template)
    steps = [_step(region.name, wave) for region in waves.waves(service) for wave in (FIRST, THEN)]
    found["spec"]["strategy"] = {"type": "RollingSync", "rollingSync": {"steps": steps}}
    return found


def _wanted(service: Service) -> Iterator[Object]:
    for each in operators(service):
        own = f"{values.FOLDER}/{each.name}.yaml"
        yield {
            "name": each.name,
            "source": each.chart.repository,
            "chart": each.chart.name,
            "version": each.chart.version,
            "space": each.space,
            "standard": each.standard,
            "wave": each.wave,
            "values": applicationsets.path(service, each.given or own, ""),
        }


def _sources() -> list[Object]:
    """The chart, and the repository of the set as the place of its values."""
    files = ["$set/{{ .values }}", "$set/{{ .regional }}/{{ .name }}.yaml"]
    helm = {"releaseName": "{{ .name }}", "valueFiles": files, "ignoreMissingValueFiles": True}
    chart = {
        "repoURL": "{{ .source }}",
        "chart": "{{ .chart }}",
        "targetRevision": "{{ .version }}",
        "helm": helm,
    }
    own = {"repoURL": "{{ .repository }}", "targetRevision": "{{ .revision }}", "ref": "set"}
    return [chart, own]


def _destination(space: str) -> Object:
    return {"name": "{{ .region }}", "namespace": space}


def _syncing(*options: str) -> Object:
    """Without an end: an operator that could not start yet starts when it can. Its kinds stay."""
    return {
        "automated": {"prune": True, "selfHeal": True, "allowEmpty": False},
        "syncOptions": ["ServerSideApply=true", "PruneLast=true", *options],
        "retry": {
            "limit": -1,
            "refresh": True,
            "backoff": {"duration": "10s", "factor": 2, "maxDuration": "10m"},
        },
    }


def _template(service: Service, labels: dict[str, str], spec: Object) -> Object:
    known = {**names.labels(service, "delivery"), names.REGION_LABEL: "{{ .region }}", **labels}
    metadata = {
        "name": f"{service.service}-{{{{ .name }}}}-{{{{ .region }}}}",
        "labels": known,
        "annotations": notifications.subscriptions(service),
    }
    return {
        "metadata": metadata,
        "spec": {"project": project(service), **spec, "revisionHistoryLimit": 10},
    }


def _set(service: Service, suffix: str, elements: list[Object], template: Object) -> Object:
    """What a person deletes here stays in the clusters: with an operator its objects would go."""
    lists = [list(_regions(service)), elements]
    spec = {
        "goTemplate": True,
        "goTemplateOptions": ["missingkey=error"],
        "generators": [{"matrix": {"generators": [{"list": {"elements": e}} for e in lists]}}],
        "syncPolicy": {"preserveResourcesOnDeletion": True},
        "preservedFields": {"annotations": [applicationsets.HOLD]},
        "template": template,
    }
    name = f"{service.service}-{suffix}"
    return owned(service, "argoproj.io/v1alpha1/ApplicationSet", name, ARGOCD, spec=spec)


def _regions(service: Service) -> Iterator[Object]:
    for region in waves.waves(service):
        yield {
            "region": region.name,
            "repository": names.git(service),
            "revision": service.delivery.branch,
            "regional": applicationsets.path(service, f"{values.FOLDER}/*", region.name),
        }


def _step(region: str, wave: str) -> Object:
    wanted = {names.REGION_LABEL: region, _WAVE: wave}
    return {
        "matchExpressions": [
            {"key": key, "operator": "In", "values": [value]} for key, value in wanted.items()
        ]
    }
