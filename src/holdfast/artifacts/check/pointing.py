"""An object that names another by a reference finds it: issuers, stores, clusters, gateways.

A field whose name ends in ``Ref`` or ``Refs`` says kind and name, and where it leaves the kind out
its own upstream has a default. Labels by which operators find their objects are references, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from holdfast.artifacts.check.references import external
from holdfast.artifacts.check.structure import Place
from holdfast.artifacts.check.whole import Item, Whole, at, items
from holdfast.artifacts.check.written import walk
from holdfast.supply.finding import Finding

Pointing = tuple[Item, Place, str, str]  # who, where, kind, name
#: The kind that a reference means when it says none, by the field's name.
_MEANT = {
    "issuerRef": "Issuer",
    "secretStoreRef": "SecretStore",
    "parentRefs": "Gateway",
    "templateRef": "MetricTemplate",
    "authenticationRef": "TriggerAuthentication",
    "elasticsearchRef": "Elasticsearch",
    "serviceAccountRef": "ServiceAccount",
}
#: Kinds of which the set makes what it refers to, though it may have none.
_NEEDED = frozenset({*_MEANT.values(), "ClusterSecretStore"})
#: A field of a kind that is the plain name of an object of another kind.
_PLAIN: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "Pooler": ((("spec", "cluster", "name"), "Cluster"),),
    "ScheduledBackup": ((("spec", "cluster", "name"), "Cluster"),),
    "Database": ((("spec", "cluster", "name"), "Cluster"),),
    "KafkaTopic": ((("metadata", "labels", "strimzi.io/cluster"), "Kafka"),),
    "KafkaUser": ((("metadata", "labels", "strimzi.io/cluster"), "Kafka"),),
    "KafkaNodePool": ((("metadata", "labels", "strimzi.io/cluster"), "Kafka"),),
    "RedisSentinel": (
        (("spec", "redisSentinelConfig", "redisReplicationName"), "RedisReplication"),
    ),
}


def check(whole: Whole) -> Iterator[Finding]:
    made = {(each.kind, each.name) for each in whole.items}
    kinds = {kind for kind, _name in made}
    for item in (*whole.items, *whole.patching):
        for who, place, kind, name in (*_references(item), *_plain(item)):
            known = (kind, name) in made or f"{kind}/{name}" in external(who)
            if known:
                continue
            if kind in kinds or kind in _NEEDED:
                yield who.finding("reference", place, f"no {kind} {name}", _near(kind, made))
            elif near := get_close_matches(kind, kinds, n=1, cutoff=0.85):
                place = (*place[:-1], "kind")
                yield who.finding("reference", place, f"the kind {kind}", near[0])
        yield from _delivered(item, whole)
        yield from _gateways(item, whole)


def _delivered(item: Item, whole: Whole) -> Iterator[Finding]:
    """What Argo CD syncs: a directory of the set, in a project that is there."""
    if item.kind not in ("Application", "ApplicationSet"):
        return
    folders = {path.rpartition("/")[0] for path in whole.paths} - {""}
    for place, value in walk(item.body.get("spec")):
        if not isinstance(value, str) or not _is_one(value):
            continue
        synced = any(f"/{value}".endswith(f"/{folder}") for folder in folders)
        if place[-1:] == ("path",) and not synced:
            found = f"the directory {value}"
            yield item.finding("path", ("spec", *place), found, "a directory of the set")
        if place[-1:] == ("project",) and whole.named("AppProject", value) is None:
            found, wanted = f"no AppProject {value}", "a project of the set"
            yield item.finding("reference", ("spec", *place), found, wanted)


def _gateways(item: Item, whole: Whole) -> Iterator[Finding]:
    if item.kind != "VirtualService":
        return
    for index, said in enumerate(items(item.body, "spec", "gateways")):
        name = str(said).rpartition("/")[2]
        if name != "mesh" and whole.named("Gateway", name) is None:
            place = ("spec", "gateways", index)
            yield item.finding("reference", place, f"no Gateway {name}", "one of the set, or mesh")


def _references(item: Item) -> Iterator[Pointing]:
    for place, value in walk(item.body.get("spec")):
        field = next((part for part in reversed(place) if isinstance(part, str)), "")
        name = at(value, "name")
        if (
            field.endswith(("Ref", "Refs"))
            and field != "backendRefs"
            and isinstance(name, str)
            and _is_one(name)
        ):
            kind = at(value, "kind") or _MEANT.get(field)
            if isinstance(kind, str) and _is_here(value, item):
                yield item, ("spec", *place, "name"), kind, name


def _is_one(name: str) -> bool:
    return bool(name) and not any(sign in name for sign in "{}$*")


def _is_here(reference: dict[str, Any], item: Item) -> bool:
    """Not one that Flagger or a controller makes while it works."""
    name = str(reference["name"])
    return not (item.kind == "HTTPRoute" and name.endswith(("-canary", "-primary")))


def _plain(item: Item) -> Iterator[Pointing]:
    for place, kind in _PLAIN.get(item.kind, ()):
        name = at(item.body, *place)
        if isinstance(name, str):
            yield item, place, kind, name


def _near(kind: str, made: set[tuple[str, str]]) -> str:
    names = sorted(name for each, name in made if each == kind)
    return f"one of {', '.join(names[:8])}" if names else f"a {kind} of the set"
