"""Who names a Service and a port of it in a text, and policies that open ports which are open.

An address such as ``blackbox.monitoring.svc:9115`` in a probe, an exporter or a configuration says
both; the Service is one of the set, or one that an operator makes for an object of the set.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from holdfast.artifacts.check.structure import Place
from holdfast.artifacts.check.whole import Item, Pods, Whole, at, chosen, items, table
from holdfast.artifacts.check.written import walk
from holdfast.supply.finding import Finding

_ADDRESS = re.compile(
    r"(?<![\w.-])([a-z][a-z0-9-]*)\.([a-z][a-z0-9-]*)(?:\.svc[\w.]*)?:(\d{2,5})(?!\d)"
)


def check(whole: Whole) -> Iterator[Finding]:
    known, doors = _services(whole), _doors(whole)
    for item in whole.items:
        for place, value in walk(item.body.get("spec")):
            if isinstance(value, str) and ":" in value:
                yield from _addresses(item, ("spec", *place), value, known)
                yield from _knocks(item, ("spec", *place), value, doors)
            elif isinstance(value, dict) and {"host", "port"} <= value.keys():
                text = f"{value['host']}:{value['port']}"
                yield from _addresses(item, ("spec", *place, "port"), text, known)
    for kafka in whole.of("Kafka"):
        yield from _advertised(kafka)
    for policy in whole.of("NetworkPolicy"):
        if policy.group == "networking.k8s.io":
            yield from _policy(policy, whole)
            yield from _collecting(policy, whole)
    for canary in whole.of("Canary"):
        yield from _canary(canary, whole)


def _services(whole: Whole) -> dict[tuple[str, str], set[int]]:
    """Ports of every Service by name and namespace."""
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    for service in whole.of("Service"):
        for port in items(service.body, "spec", "ports"):
            found[service.name, service.namespace].add(at(port, "port"))
    for kafka in whole.of("Kafka"):
        for listener in items(kafka.body, "spec", "kafka", "listeners"):
            found[f"{kafka.name}-kafka-bootstrap", kafka.namespace].add(at(listener, "port"))
    for search in whole.of("Elasticsearch"):
        found[f"{search.name}-es-http", search.namespace].add(9200)
    return found


def _addresses(
    item: Item, place: Place, text: str, known: dict[tuple[str, str], set[int]]
) -> Iterator[Finding]:
    for name, namespace, port in _ADDRESS.findall(text):
        ports = known.get((name, namespace))
        if ports and int(port) not in ports:
            found = f"the port {port} of {name}.{namespace}"
            yield item.finding("port", place, found, f"one of {_list(ports)}")


_HOST = re.compile(r"(?<![\w.-])([a-z0-9][a-z0-9.-]*\.[a-z]+):(\d{2,5})(?!\d)")


def _doors(whole: Whole) -> dict[str, set[int]]:
    """Ports by the public names under which brokers of the set are reached."""
    found: dict[str, set[int]] = defaultdict(set)
    for kafka in whole.of("Kafka"):
        for listener in items(kafka.body, "spec", "kafka", "listeners"):
            for name in items(listener, "configuration", "bootstrap", "alternativeNames"):
                found[str(name)].add(at(listener, "port"))
    return found


def _knocks(item: Item, place: Place, text: str, doors: dict[str, set[int]]) -> Iterator[Finding]:
    for name, port in _HOST.findall(text):
        if name in doors and int(port) not in doors[name]:
            wanted = f"one of {_list(doors[name])}"
            yield item.finding("port", place, f"the port {port} of {name}", wanted)


def _advertised(kafka: Item) -> Iterator[Finding]:
    """A load balancer of Strimzi opens the port of its listener; brokers send clients there."""
    for lane, listener in enumerate(items(kafka.body, "spec", "kafka", "listeners")):
        if at(listener, "type") != "loadbalancer":
            continue
        for index, broker in enumerate(items(listener, "configuration", "brokers")):
            port = at(broker, "advertisedPort")
            if port not in (None, at(listener, "port")):
                place: Place = ("spec", "kafka", "listeners", lane, "configuration", "brokers",
                                index, "advertisedPort")  # fmt: skip
                found = f"the port {port} for clients"
                yield kafka.finding("port", place, found, f"{at(listener, 'port')}, the listener's")


def _policy(policy: Item, whole: Whole) -> Iterator[Finding]:
    own = _chosen(whole, policy.namespace, at(policy.body, "spec", "podSelector"))
    for r, rule in enumerate(items(policy.body, "spec", "ingress")):
        yield from _opened(policy, ("spec", "ingress", r), rule, own)
    for r, rule in enumerate(items(policy.body, "spec", "egress")):
        peers = items(rule, "to")
        selectors = [at(each, "podSelector") for each in peers if set(table(each)) == {_PODS}]
        if peers and len(selectors) == len(peers):
            fits = [p for s in selectors for p in _chosen(whole, policy.namespace, s)]
            yield from _opened(policy, ("spec", "egress", r), rule, fits)


def _collecting(policy: Item, whole: Whole) -> Iterator[Finding]:
    """The OpenTelemetry operator makes pods that listen where their configuration says."""
    chosen_by = table(policy.body, "spec", "podSelector", "matchLabels")
    if chosen_by != {"app.kubernetes.io/component": "opentelemetry-collector"}:
        return
    made = (c for c in whole.of("OpenTelemetryCollector") if c.namespace == policy.namespace)
    opened = {port for each in made for port in _listening(each)}
    for r, rule in enumerate(items(policy.body, "spec", "ingress")):
        yield from _closed(policy, ("spec", "ingress", r), rule, opened)


def _listening(collector: Item) -> Iterator[int]:
    for place, value in walk(collector.body.get("spec")):
        if place[-1:] == ("port",) and isinstance(value, int):
            yield value
        elif place[-1:] == ("endpoint",) and str(value).rpartition(":")[2].isdigit():
            yield int(str(value).rpartition(":")[2])


_PODS = "podSelector"


def _chosen(whole: Whole, namespace: str, selector: Any) -> list[Pods]:
    return [
        pods
        for pods in whole.pods
        if pods.item.namespace == namespace and chosen(table(selector), pods.labels)
    ]


#: Ports of the proxy that the mesh puts into each pod (Istio, "Ports used by Istio").
_MESH = range(15000, 15100)


def _opened(policy: Item, place: Place, rule: Any, pods: list[Pods]) -> Iterator[Finding]:
    """Ports of a rule that none of the pods opens; where none says its ports, nothing is known."""
    opened = {value for each in pods for port in each.ports for value in port if value}
    yield from _closed(policy, place, rule, opened)


def _closed(policy: Item, place: Place, rule: Any, opened: set[Any]) -> Iterator[Finding]:
    for index, port in enumerate(items(rule, "ports")):
        number = at(port, "port")
        if opened and number not in {None, *opened, *_MESH} and "endPort" not in port:
            found = f"the port {number}, which no pod behind it opens"
            yield policy.finding("port", (*place, "ports", index, "port"), found, _list(opened))


def _canary(canary: Item, whole: Whole) -> Iterator[Finding]:
    """Flagger makes the Services of a canary: their ports are those of the pods."""
    target = str(at(canary.body, "spec", "targetRef", "name"))
    pods = [each for each in whole.pods if each.item.name == target]
    opened = {value for each in pods for port in each.ports for value in port if value}
    service = whole.named("Service", target)
    ports = {at(port, "port") for port in items(service.body if service else None, "spec", "ports")}
    asked = at(canary.body, "spec", "service", "targetPort")
    if opened and asked is not None and asked not in opened:
        place = ("spec", "service", "targetPort")
        yield canary.finding("port", place, f"the port {asked}", f"one of {_list(opened)}")
    port = at(canary.body, "spec", "service", "port")
    if (ports or opened) and port is not None and port not in ports | opened:
        place = ("spec", "service", "port")
        yield canary.finding("port", place, f"the port {port}", f"one of {_list(ports | opened)}")


def _list(values: set[Any]) -> str:
    return ", ".join(sorted(str(value) for value in values if value))
