"""One Application for each region and part: the service in waves, what is below it at once.

RollingSync starts each wave itself when the one before is healthy, and heals what drifts. It turns
``automated`` off on what it made, and still reads there whether to prune (argo-cd v3.5,
``applicationset/progressivesync``). The parts below the service have no waves.

Texts of the spec are parameters: a template would run what is in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery import notifications, projects, waves
from holdfast.artifacts.delivery.objects import ARGOCD, FLAGGER_OVERLAYS, FOLDER, owned
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

#: A person holds an Application still with it while they roll back; see the workflow of rollbacks.
HOLD = "argocd.argoproj.io/skip-reconcile"
#: Part -> its directory in the set; a star stands for the region. What a cluster has once:
SHARED = {
    "platform": "kubernetes/platform",
    "observability-platform": "observability/platform/overlays/*",
    "resilience-platform": "resilience/platform",
}
#: What belongs to the service alone.
OWN = {"observability": "observability/base", "resilience": "resilience/overlays/*"}
PARTS = SHARED | OWN
SERVICE_PART = "kubernetes/overlays/*"
FLAGGER_PART = f"{FLAGGER_OVERLAYS}/*"
#: The same where the set is at the top of its repository (``holdfast render --gitops``).
SERVICE_APP = "apps/*"
_KEYS = (
    "service", "kubernetes.namespace", "delivery.repository", "delivery.branch", "delivery.path",
    "delivery.platform", "delivery.flagger", "rollout.deadline", "kubernetes.workload", *waves.KEYS,
)  # fmt: skip
#: Workload -> the kind whose number of replicas an autoscaler owns.
_SCALED = {"deployment": "Deployment", "stateful": "StatefulSet"}
_RETRIES = 5


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{FOLDER}/applicationsets.yaml",
        (_in_waves(service), *(_at_once(service, part) for part in parts(service))),
        "Which directory is synced to which region, and in which order.",
        _KEYS,
        ("T62", "T63", "T64", "T73"),
    )


def parts(service: Service) -> dict[str, str]:
    """What is synced below the service; what all services share by one of them only."""
    return PARTS if service.delivery.platform else OWN


def path(service: Service, pattern: str, region: str) -> str:
    """A directory of the set in the repository."""
    return "/".join(filter(None, (_root(service), pattern.replace("*", region))))


def _root(service: Service) -> str:
    parts = (part for part in service.delivery.path.split("/") if part not in ("", "."))
    return "/".join(parts)


def _in_waves(service: Service) -> Object:
    template = _template(service, service.service, service.service)
    spec = _spec(service, _part(service), template)
    spec["strategy"] = {
        "type": "RollingSync",
        "deletionOrder": "Reverse",
        "rollingSync": {"steps": [_wave(region) for region in waves.waves(service)]},
    }
    return _set(service, service.service, spec)


def _part(service: Service) -> str:
    if not _root(service):
        return SERVICE_APP
    return FLAGGER_PART if service.delivery.flagger else SERVICE_PART


def _at_once(service: Service, part: str) -> Object:
    """An operator may bring a kind later: what is of it waits, and a sync is tried again."""
    name = f"{service.service}-{part}"
    template = _template(service, name, projects.platform(service))
    syncing = template["spec"]["syncPolicy"]
    syncing["syncOptions"].append("SkipDryRunOnMissingResource=true")
    syncing["retry"] |= {"limit": -1, "refresh": True}
    return _set(service, name, _spec(service, PARTS[part], template))


def _spec(service: Service, pattern: str, template: Object) -> Object:
    return {
        "goTemplate": True,
        "goTemplateOptions": ["missingkey=error"],
        "generators": [{"list": {"elements": list(_elements(service, pattern))}}],
        "syncPolicy": {"preserveResourcesOnDeletion": True},
        "preservedFields": {"annotations": [HOLD]},
        "template": template,
    }


def _elements(service: Service, pattern: str) -> Iterator[Object]:
    for region in waves.waves(service):
        yield {
            "region": region.name,
            "repository": names.git(service),
            "revision": service.delivery.branch,
            "path": path(service, pattern, region.name),
        }


def _wave(region: Region) -> Object:
    chosen = {"key": names.REGION_LABEL, "operator": "In", "values": [region.name]}
    return {"matchExpressions": [chosen]}


def _template(service: Service, name: str, project: str) -> Object:
    labels = {**names.labels(service, "delivery"), names.REGION_LABEL: "{{ .region }}"}
    metadata = {
        "name": f"{name}-{{{{ .region }}}}",
        "labels": labels,
        "annotations": notifications.subscriptions(service),
    }
    source = {
        "repoURL": "{{ .repository }}",
        "targetRevision": "{{ .revision }}",
        "path": "{{ .path }}",
    }
    spec = {
        "project": project,
        "source": source,
        "destination": {"name": "{{ .region }}", "namespace": names.namespace(service)},
        "syncPolicy": _syncing(service),
        "revisionHistoryLimit": 10,
    }
    if kind := _SCALED.get(service.kubernetes.workload):
        # How many there are is the autoscaler's word: healing it back would fight every peak.
        whose = {"group": "apps", "kind": kind, "name": service.service}
        spec["ignoreDifferences"] = [{**whose, "jsonPointers": ["/spec/replicas"]}]
    return {"metadata": metadata, "spec": spec}


def _syncing(service: Service) -> Object:
    """How a sync is done. What is no longer in the repository goes last, after the new is healthy.

    An image in the registry may be late, a webhook of the cluster may be away for a moment: a sync
    is tried again, and ends with the deadline of a rollout.
    """
    longest = names.duration(max(60.0, service.rollout.deadline))
    options = ("CreateNamespace=false", "PruneLast=true", "PrunePropagationPolicy=foreground",
               "ServerSideApply=true", "FailOnSharedResource=true",
               "RespectIgnoreDifferences=true")  # fmt: skip
    backoff = {"duration": "5s", "factor": 2, "maxDuration": longest}
    return {
        "automated": {"prune": True, "selfHeal": True, "allowEmpty": False},
        "syncOptions": list(options),
        "retry": {"limit": _RETRIES, "backoff": backoff},
    }


def _set(service: Service, name: str, spec: Object) -> Object:
    return owned(service, "argoproj.io/v1alpha1/ApplicationSet", name, ARGOCD, spec=spec)
