"""Whoever chooses pods or objects by labels or by name finds some."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from holdfast.artifacts.bundle import MANIFEST
from holdfast.artifacts.check.structure import Place
from holdfast.artifacts.check.whole import Item, Pods, Whole, at, chosen, items, table
from holdfast.artifacts.check.written import walk
from holdfast.supply.finding import Finding

#: Labels that operators give the pods they make; such pods are in no file of the set.
_OPERATORS = (
    "cnpg.io/", "operated-", "strimzi.io/", "v1.min.io/", "k8s-app", "crdb", "redis_setup_type",
    "app.kubernetes.io/part-of", "kubernetes.io/metadata.name",
    "elasticsearch.k8s.elastic.co/", "common.k8s.elastic.co/",
    "istio", "gateway.networking.k8s.io/", "job-name", "role",
    "service.istio.io/", "operated-", "fluentbit.fluent.io/",
)  # fmt: skip
#: The same where only the value tells: the OpenTelemetry operator names what it makes so.
_MADE = {
    "app.kubernetes.io/component": "opentelemetry-collector",
    "app.kubernetes.io/name": "cockroachdb",  # by its chart
}
#: kind -> where its selector of pods is, and whether it is a plain map of labels.
_OF_PODS = {
    "Service": (("spec", "selector"), True),
    "PodDisruptionBudget": (("spec", "selector"), False),
    "NetworkPolicy": (("spec", "podSelector"), False),
    "PodMonitor": (("spec", "selector"), False),
    "AuthorizationPolicy": (("spec", "selector"), False),
    "PeerAuthentication": (("spec", "selector"), False),
    "RequestAuthentication": (("spec", "selector"), False),
    "Telemetry": (("spec", "selector"), False),
    "CiliumNetworkPolicy": (("spec", "endpointSelector"), False),
    "Sidecar": (("spec", "workloadSelector", "labels"), True),
}
_TARGETS = {
    "HorizontalPodAutoscaler": ("spec", "scaleTargetRef"),
    "VerticalPodAutoscaler": ("spec", "targetRef"),
    "ScaledObject": ("spec", "scaleTargetRef"),
    "Canary": ("spec", "targetRef"),
}


def check(whole: Whole) -> Iterator[Finding]:
    for item in whole.items:
        if item.kind in _OF_PODS:
            yield from _of_pods(item, whole)
        if item.kind in _TARGETS:
            yield from _target(item, whole)
    yield from _own(whole)
    yield from _instances(whole)
    yield from _operated(whole)
    for monitor in whole.of("ServiceMonitor"):
        yield from _of_services(monitor, whole)


def _of_pods(item: Item, whole: Whole) -> Iterator[Finding]:
    place, plain = _OF_PODS[item.kind]
    said = at(item.body, *place)
    if not isinstance(said, dict) or not said:
        return  # everything in the namespace, or nothing on purpose
    selector = {"matchLabels": said} if plain else said
    if _is_operators(selector):
        yield from _unheard_of(item, place, said if plain else table(said, "matchLabels"), whole)
        return
    if _of_others(item, whole) or not _has_pods(item, whole):
        return
    if not any(chosen(selector, pods.labels) for pods in whole.pods):
        found = f"a selector that no pod has: {_words(selector)}"
        yield item.finding("selector", place, found, "labels of a pod template")


#: Recommended labels whose values are names of something (Kubernetes, "Recommended Labels").
_NAMING = frozenset(
    f"app.kubernetes.io/{word}" for word in ("name", "instance", "part-of", "component")
)


def _unheard_of(
    item: Item, place: Place, labels: dict[str, Any], whole: Whole
) -> Iterator[Finding]:
    """Pods that an operator or a chart makes bear names that the set says somewhere else too."""
    texts = [each.text for each in whole.files if each.path != MANIFEST]
    for key, value in labels.items():
        named = key in _NAMING and value not in _MADE.values()
        if named and sum(text.count(str(value)) for text in texts) < 2:
            found = f"{value}, a name that nothing else of the set has"
            yield item.finding("selector", (*place, key), found, "the name of what it chooses")


def _apart(pods: Pods) -> Iterator[Finding]:
    """Pods that keep away from pods keep away from their own kind."""
    base: Place = (*pods.at, "spec", "affinity", "podAntiAffinity")
    for place, value in walk(at(pods.item.body, *base)):
        is_selector = place[-1:] == ("labelSelector",) and isinstance(value, dict)
        if is_selector and not chosen(value, pods.labels):
            found = f"a distance to pods that are not its own: {_words(value)}"
            yield pods.item.finding("selector", (*base, *place), found, str(pods.labels))


def _has_pods(item: Item, whole: Whole) -> bool:
    """Whether any pod of the set lives where the selector looks; else others fill that place."""
    if at(item.body, "spec", "namespaceSelector", "any"):
        return False
    spaces = items(item.body, "spec", "namespaceSelector", "matchNames") or [item.namespace]
    return any(pods.item.namespace in spaces for pods in whole.pods)


def _own(whole: Whole) -> Iterator[Finding]:
    """The selector of a workload chooses its own pods: the API server refuses it otherwise."""
    for pods in whole.pods:
        selector = at(pods.item.body, "spec", "selector")
        if isinstance(selector, dict) and not chosen(selector, pods.labels):
            found = f"a selector that its own pods do not have: {_words(selector)}"
            yield pods.item.finding("selector", ("spec", "selector"), found, str(pods.labels))
        yield from _apart(pods)
        for index, spread in enumerate(items(pods.spec, "topologySpreadConstraints")):
            selector = table(spread, "labelSelector")
            if selector and not chosen(selector, pods.labels):
                place: Place = (
                    *pods.at, "spec", "topologySpreadConstraints", index, "labelSelector",
                )  # fmt: skip
                found = f"a spread over pods that are not its own: {_words(selector)}"
                yield pods.item.finding("selector", place, found, str(pods.labels))


def _operated(whole: Whole) -> Iterator[Finding]:
    """Pods of the Prometheus operator are named after their kind."""
    for item in whole.of("Prometheus", "Alertmanager"):
        for index, spread in enumerate(items(item.body, "spec", "topologySpreadConstraints")):
            name = table(spread, "labelSelector", "matchLabels").get("app.kubernetes.io/name")
            if name is not None and name != item.kind.lower():
                place = ("spec", "topologySpreadConstraints", index, "labelSelector")
                yield item.finding("selector", place, f"pods named {name}", item.kind.lower())


def _instances(whole: Whole) -> Iterator[Finding]:
    """Objects of the Grafana operator choose their Grafana by its labels."""
    known = [table(each.body, "metadata", "labels") for each in whole.of("Grafana")]
    for item in whole.items:
        selector = table(item.body, "spec", "instanceSelector")
        if selector and not any(chosen(selector, labels) for labels in known):
            place, found = ("spec", "instanceSelector"), f"no Grafana with {_words(selector)}"
            yield item.finding("selector", place, found, "labels of a Grafana")


def _target(item: Item, whole: Whole) -> Iterator[Finding]:
    place = _TARGETS[item.kind]
    target = table(item.body, *place)
    kind, name = str(target.get("kind") or "Deployment"), str(target.get("name"))
    if whole.named(kind, name) is None:
        yield item.finding("target", (*place, "name"), f"no {kind} {name}", "one of the set")


def _of_services(monitor: Item, whole: Whole) -> Iterator[Finding]:
    selector = table(monitor.body, "spec", "selector")
    if not selector or _is_operators(selector):
        return
    spaces = items(monitor.body, "spec", "namespaceSelector", "matchNames")
    services = [s for s in whole.of("Service") if not spaces or s.namespace in spaces]
    fits = [s for s in services if chosen(selector, table(s.body, "metadata", "labels"))]
    if not fits and not (spaces and not services):
        found = f"a selector that no Service has: {_words(selector)}"
        yield monitor.finding("selector", ("spec", "selector"), found, "labels of a Service")
    ports = [at(port, "name") for s in fits for port in items(s.body, "spec", "ports")]
    for index, endpoint in enumerate(items(monitor.body, "spec", "endpoints")):
        port = at(endpoint, "port")
        if fits and port is not None and port not in ports:
            place = ("spec", "endpoints", index, "port")
            yield monitor.finding("port", place, f"the port {port}", f"one of {_list(ports)}")


def _of_others(item: Item, whole: Whole) -> bool:
    """A monitor of a namespace in which the set itself runs nothing."""
    spaces = items(item.body, "spec", "namespaceSelector", "matchNames")
    return bool(spaces) and not any(pods.item.namespace in spaces for pods in whole.pods)


def _is_operators(selector: dict[str, Any]) -> bool:
    if any(table(selector, "matchLabels").get(key) == value for key, value in _MADE.items()):
        return True
    keys = [*table(selector, "matchLabels")]
    keys += [str(at(each, "key")) for each in items(selector, "matchExpressions")]
    plain = [key.rpartition(":")[2] for key in keys]
    return any(key.startswith(_OPERATORS) for key in plain)


def _is_a_charts(selector: dict[str, Any], whole: Whole) -> bool:
    """Pods of a chart have its name as theirs (Helm, Labels and Annotations)."""
    name = table(selector, "matchLabels").get("app.kubernetes.io/name")
    charts = [c for each in whole.kustomizations for c in items(each.body, "helmCharts")]
    return any(name is not None and at(chart, "name") == name for chart in charts)


def _words(selector: dict[str, Any]) -> str:
    said = [f"{key}={value}" for key, value in table(selector, "matchLabels").items()]
    said += [str(at(each, "key")) for each in items(selector, "matchExpressions")]
    return ", ".join(said)


def _list(values: list[Any]) -> str:
    return ", ".join(sorted({str(value) for value in values}))
