"""Prometheus and Alertmanager of each region, as objects of the Prometheus operator."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.names import MANAGER, duration, labels
from holdfast.artifacts.observability import objects, routing, thirdparty
from holdfast.artifacts.observability.objects import MONITORING
from holdfast.artifacts.observability.plain_prometheus import evaluation
from holdfast.artifacts.observability.routing import ESCALATION, NOBODY, PAGE, TICKET
from holdfast.artifacts.observability.rule import literal
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
_NAMES = {
    "group_by": "groupBy", "group_wait": "groupWait", "group_interval": "groupInterval",
    "repeat_interval": "repeatInterval",
}  # fmt: skip


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{objects.PLATFORM}/prometheus-access.yaml", list(_access()),
        "What Prometheus may read of the cluster.", (), ("T86",),
    )  # fmt: skip
    yield Artifact(
        f"{objects.PLATFORM}/alertmanager.yaml",
        [objects.account("alertmanager", MONITORING), _alertmanager(service)],
        "Alertmanager; every service adds its routes.",
        ("observability.replicas",), ("T106",),
    )  # fmt: skip
    yield Artifact(
        f"{objects.BASE}/alert-routes.yaml", _routes(service),
        "Who hears of which alert of the service.",
        ("service", "observability.slack", "observability.escalate_after"),
        ("T106", "T107", "T108", "T109", "T110"),
    )  # fmt: skip
    for region in service.regions:
        yield Artifact(
            f"{objects.OVERLAYS}/{region.name}/prometheus.yaml",
            _prometheus(service, region),
            f"The Prometheus of {region.name}; all it scrapes carries the region's name.",
            ("regions", "observability.scrape", "observability.keep_metrics",
             "observability.replicas"),
            ("T86",),
        )  # fmt: skip


def _access() -> Iterator[Object]:
    yield objects.account("prometheus", MONITORING)
    rules = [
        objects.reads("", "nodes", "services", "endpoints", "pods"),
        objects.reads("", "nodes/metrics", verbs=("get",)),
        objects.reads("discovery.k8s.io", "endpointslices"),
        {"nonResourceURLs": ["/metrics", "/metrics/cadvisor"], "verbs": ["get"]},
    ]
    yield from objects.cluster_role("prometheus", MONITORING, rules)


def _prometheus(service: Service, region: Region) -> Object:
    everywhere: Object = {"matchLabels": {"app.kubernetes.io/managed-by": "holdfast"}}
    chosen = {
        f"{kind}{what}": dict(everywhere) if what == "Selector" else {}
        for kind in ("serviceMonitor", "podMonitor", "probe", "scrapeConfig", "rule")
        for what in ("Selector", "NamespaceSelector")
    }
    spec: Object = {
        "version": thirdparty.PROMETHEUS.tag.removeprefix("v"),
        "image": thirdparty.PROMETHEUS.reference,
        "replicas": service.observability.replicas,
        "serviceAccountName": "prometheus",
        "automountServiceAccountToken": True,
        "externalLabels": {"cluster": region.name},
        "scrapeInterval": duration(service.observability.scrape),
        "evaluationInterval": evaluation(service),
        "retention": duration(service.observability.keep_metrics),
        "retentionSize": "80GB",
        "scrapeClasses": _scrape_classes(region),
        **chosen,
        "alerting": {"alertmanagers": [_where()]},
        "enableFeatures": ["exemplar-storage"],
        "securityContext": objects.pod_security(),
        "resources": objects.resources("500m", "2Gi", "4Gi"),
        "storage": _storage("100Gi"),
        "topologySpreadConstraints": _spread("prometheus"),
    }
    return objects.thing(
        "monitoring.coreos.com/v1", "Prometheus", "holdfast", MONITORING, spec=spec
    )


def _scrape_classes(region: Region) -> list[Object]:
    """The region is a label of every series, and not only of what leaves the region."""
    here = [{"targetLabel": "region", "replacement": region.name}]
    kubelet = {
        "name": "kubelet",
        "relabelings": here,
        "authorization": {"credentialsFile": f"{_TOKEN}/token"},
        "tlsConfig": {"caFile": f"{_TOKEN}/ca.crt"},
    }
    return [{"name": "region", "default": True, "relabelings": here}, kubelet]


def _where() -> Object:
    return {"namespace": MONITORING, "name": "alertmanager-operated", "port": "web",
            "apiVersion": "v2"}  # fmt: skip


def _storage(size: str) -> Object:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}},
             "storageClassName": "holdfast-ssd"}  # fmt: skip
    return {"volumeClaimTemplate": {"spec": claim}}


def _spread(name: str) -> list[Object]:
    return [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
        }
    ]


# ---- Alertmanager --------------------------------------------------------------------------------


def _alertmanager(service: Service) -> Object:
    spec = {
        "version": thirdparty.ALERTMANAGER.tag.removeprefix("v"),
        "image": thirdparty.ALERTMANAGER.reference,
        "replicas": service.observability.replicas,
        "serviceAccountName": "alertmanager",
        "alertmanagerConfigSelector": {"matchLabels": {"app.kubernetes.io/managed-by": MANAGER}},
        # A route chooses by the label ``service`` itself; alerts come from many namespaces.
        "alertmanagerConfigMatcherStrategy": {"type": "None"},
        "retention": "120h",
        "securityContext": objects.pod_security(),
        "resources": objects.resources("50m", "128Mi"),
        "storage": _storage("5Gi"),
        "topologySpreadConstraints": _spread("alertmanager"),
    }
    return objects.thing(
        "monitoring.coreos.com/v1", "Alertmanager", "holdfast", MONITORING, spec=spec
    )


def _matcher(name: str, value: str) -> Object:
    return {"name": name, "matchType": "=", "value": value}


def _routes(service: Service) -> Object:
    rules = [
        {
            "sourceMatch": [_matcher(*each) for each in source.items()],
            "targetMatch": [_matcher(*each) for each in target.items()],
            "equal": list(equal),
        }
        for source, target, equal in routing.INHIBITIONS
    ]
    mine = {"matchers": [_matcher("service", service.service)]}
    spec = {
        "route": {**mine, **routing.tree(service, _matcher, _NAMES)},
        "inhibitRules": rules,
        "receivers": _receivers(service),
    }
    metadata = {"name": service.service, "namespace": MONITORING,
                "labels": labels(service, "alerting")}  # fmt: skip
    return {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "AlertmanagerConfig",
        "metadata": metadata,
        "spec": spec,
    }


def _receivers(service: Service) -> list[Object]:
    slack = _slack(service)
    again = {**slack, "text": f"<!channel> Nobody answered.\n{routing.TEXT}"}
    return [
        {"name": PAGE, "pagerdutyConfigs": [_pagerduty(service)], "slackConfigs": [slack]},
        {
            "name": ESCALATION,
            "pagerdutyConfigs": [_pagerduty(service, "escalation")],
            "slackConfigs": [again],
        },
        {"name": TICKET, "slackConfigs": [slack]},
        {"name": NOBODY},
    ]


def _key(service: Service, name: str) -> Object:
    return {"name": f"{service.service}-alerting", "key": name}


def _pagerduty(service: Service, group: str = "first line") -> Object:
    return {
        "routingKey": _key(service, "pagerduty-key"),
        "severity": "critical",
        "class": "{{ .CommonLabels.alertname }}",
        "group": group,
        "description": routing.SUMMARY,
        "pagerDutyLinkConfigs": [{"href": routing.RUNBOOK, "alt": "Runbook"}],
        "sendResolved": True,
    }


def _slack(service: Service) -> Object:
    return {
        "apiURL": _key(service, "slack-url"),
        "channel": literal(service.observability.slack),
        "sendResolved": True,
        "title": routing.TITLE,
        "text": routing.TEXT,
    }
