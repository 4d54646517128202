"""Names that can be used: no object twice, no name a cluster refuses, namespaces that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.artifacts.check.whole import Item, Whole, table
from holdfast.supply.finding import Finding

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
#: Kinds whose names become DNS labels; RBAC and CRDs have looser or other rules.
_LABELS = frozenset({"Service", "Namespace"})
_LOOSE = frozenset({"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "APIService"})
_ANNOTATIONS_MAX = 256 * 1024


def check(whole: Whole) -> Iterator[Finding]:
    yield from _twice(whole)
    for item in (*whole.items, *whole.patching):
        yield from _name(item)
        yield from _labels(item, ("metadata", "labels"))
        yield from _annotations(item)
        if item.namespace and item.namespace not in whole.known_namespaces:
            found = f"the namespace {item.namespace}, which nothing makes"
            yield item.finding("namespace", ("metadata", "namespace"), found, "a Namespace object")
    for pods in whole.pods:
        if pods.at:
            yield from _labels(pods.item, (*pods.at, "metadata", "labels"))


def _twice(whole: Whole) -> Iterator[Finding]:
    """The same object in one region, or in a region and for all."""
    seen: dict[tuple[str, ...], list[Item]] = {}
    for item in whole.items:
        known = seen.setdefault((item.group, item.kind, item.namespace, item.name), [])
        for other in known:
            if item.region == other.region or "" in (item.region, other.region):
                found = "the same object twice"
                yield item.finding(
                    "twice", ("metadata", "name"), found, f"not in {other.file.path}"
                )
                break
        known.append(item)


def _name(item: Item) -> Iterator[Finding]:
    pattern, most = (_LABEL, 63) if item.kind in _LABELS else (_SUBDOMAIN, 253)
    if item.kind in _LOOSE:
        return
    if len(item.name) > most or not pattern.fullmatch(item.name):
        wanted = f"lower case letters, digits and -, at most {most}"
        place = ("metadata", "name")
        yield item.finding("name", place, f"the name {item.name[:80]!r}", wanted, key="service")


def _labels(item: Item, place: tuple[str, ...]) -> Iterator[Finding]:
    for key, value in table(item.body, *place).items():
        name = key.rpartition("/")[2]
        if not _KEY.fullmatch(key) or len(name) > 63:
            yield item.finding("label", (*place, key), f"the label {key[:80]!r}", "a label's name")
        if not isinstance(value, str) or not _VALUE.fullmatch(value) or len(value) > 63:
            found = f"the label value {str(value)[:80]!r}"
            yield item.finding("label", (*place, key), found, "at most 63 of A-Z a-z 0-9 - _ .")


def _annotations(item: Item) -> Iterator[Finding]:
    annotations = table(item.body, "metadata", "annotations")
    size = sum(len(str(key)) + len(str(value)) for key, value in annotations.items())
    if size > _ANNOTATIONS_MAX:
        place = ("metadata", "annotations")
        yield item.finding("annotations", place, f"{size} bytes of annotations", "256 KiB at most")
