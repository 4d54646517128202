"""The rendered set as a whole, with the questions that rules ask of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from holdfast.artifacts.check.forms import kind_key
from holdfast.artifacts.check.written import Pointer, Written, walk
from holdfast.spec.model import Service
from holdfast.supply.finding import Finding, Severity

#: Where a workload keeps its pod template.
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
#: Objects that no cluster serves.
_NOT_SERVED = ("openslo/", "kustomize.config.k8s.io/")
_BUILT_IN = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


def at(value: Any, *pointer: str | int) -> Any:
    """What is there, or None."""
    for part in pointer:
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def items(value: Any, *pointer: str | int) -> Sequence[Any]:
    """The list that is there, or an empty one."""
    found = at(value, *pointer)
    return found if isinstance(found, list) else ()


def table(value: Any, *pointer: str | int) -> dict[str, Any]:
    """The object that is there, or an empty one."""
    found = at(value, *pointer)
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Item:
    """One Kubernetes object of the set. ``region`` is empty where it is for all."""

    file: Written
    index: int
    body: dict[str, Any]
    namespace: str
    region: str

    @property
    def kind(self) -> str:
        return str(self.body.get("kind") or "")

    @property
    def group(self) -> str:
        return str(self.body["apiVersion"]).rpartition("/")[0]

    @property
    def name(self) -> str:
        return str(at(self.body, "metadata", "name") or "")

    @property
    def said(self) -> str:
        named = f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}".strip()
        return named or self.file.path

    def finding(
        self, rule: str, pointer: Pointer, found: str, wanted: str = "", *, key: str = "",
        severity: Severity = Severity.ERROR,
    ) -> Finding:  # fmt: skip
        line = self.file.line(self.index, pointer)
        words = f"{found} in {self.said}"
        name = f"holdfast/{rule}"
        return Finding(name, self.file.path, words, wanted, line, key or self.file.key, severity)


@dataclass(frozen=True, slots=True)
class Pods:
    """A pod template, and where it is in its object."""

    item: Item
    at: tuple[str, ...]

    @property
    def labels(self) -> dict[str, Any]:
        return table(self.item.body, *self.at, "metadata", "labels")

    @property
    def spec(self) -> dict[str, Any]:
        return table(self.item.body, *self.at, "spec")

    @property
    def containers(self) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
        """Every container with its place in the object; those of initialisation too."""
        for field in ("initContainers", "containers"):
            for index, each in enumerate(items(self.spec, field)):
                if isinstance(each, dict):
                    yield (*self.at, "spec", field, index), each

    @property
    def ports(self) -> Iterator[tuple[Any, Any]]:
        """Name and number of every port that a container opens."""
        for _place, container in self.containers:
            for port in items(container, "ports"):
                yield at(port, "name"), at(port, "containerPort")


class Whole:
    """Every file of a set. ``service`` is its spec, where it is known."""

    def __init__(self, files: Iterable[Written], service: Service | None = None) -> None:
        self.files = tuple(files)
        self.service = service
        self.paths = frozenset(file.path for file in self.files)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Every object with apiVersion, kind and a name, but patches of others."""
        return tuple(self._items())

    @cached_property
    def documents(self) -> tuple[Item, ...]:
        """Every document that is an object in the sense of JSON, whatever it is."""
        return tuple(
            Item(file, index, document, str(at(document, "metadata", "namespace") or ""), "")
            for file in self.files
            for index, document in enumerate(file.objects)
            if isinstance(document, dict)
        )

    @cached_property
    def patching(self) -> tuple[Item, ...]:
        """What only changes objects of others."""
        return tuple(
            each for each in self.documents if each.file.path in self.patches and each.name
        )

    @cached_property
    def kustomizations(self) -> tuple[Item, ...]:
        return tuple(
            Item(file, index, document, "", "")
            for file in self.files
            for index, document in enumerate(file.objects)
            if isinstance(document, dict)
            and kind_key(document).startswith("kustomize.config.k8s.io/")
        )

    def of(self, *kinds: str) -> Iterator[Item]:
        return (item for kind in kinds for item in self._by_kind.get(kind, ()))

    def named(self, kind: str, name: str, namespace: str | None = None) -> Item | None:
        """An object by name; in any namespace where none is said."""
        fits = (each for each in self.of(kind) if each.name == name)
        return next((each for each in fits if namespace in (None, each.namespace)), None)

    @cached_property
    def pods(self) -> tuple[Pods, ...]:
        """Every pod template of the built-in workloads."""
        return tuple(
            Pods(item, _TEMPLATES[item.kind])
            for item in self.items
            if item.kind in _TEMPLATES and item.group in ("", "apps", "batch")
        )

    @cached_property
    def _by_kind(self) -> dict[str, list[Item]]:
        found: dict[str, list[Item]] = defaultdict(list)
        for item in self.items:
            found[item.kind].append(item)
        return found

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions: the spec's, else those that have an overlay."""
        if self.service:
            return tuple(region.name for region in self.service.regions)
        parts = (path.split("/") for path in self.paths)
        return tuple(sorted({p[2] for p in parts if p[:2] == ["kubernetes", "overlays"]}))

    def _items(self) -> Iterator[Item]:
        for file in self.files:
            if file.path not in self.patches:
                for index, document in enumerate(file.objects):
                    if _served(document):
                        yield self._item(file, index, document)

    def _item(self, file: Written, index: int, document: dict[str, Any]) -> Item:
        said = at(document, "metadata", "namespace")
        namespace = str(said or self._namespace_of(file.path))
        region = next((part for part in file.path.split("/") if part in self.regions), "")
        return Item(file, index, document, namespace, region)

    @cached_property
    def patches(self) -> frozenset[str]:
        """Files that only change objects of others: listed as patches of a kustomization."""
        return frozenset(
            beside(each.file.path, str(at(patch, "path")))
            for each in self.kustomizations
            for patch in items(each.body, "patches")
            if at(patch, "path")
        )

    @cached_property
    def _namespaces(self) -> dict[str, str]:
        """Directory of a kustomization -> the namespace it sets."""
        return {
            each.file.path.rpartition("/")[0]: str(each.body["namespace"])
            for each in self.kustomizations
            if "namespace" in each.body
        }

    def _namespace_of(self, path: str) -> str:
        return self._namespaces.get(path.rpartition("/")[0], "")

    @cached_property
    def known_namespaces(self) -> frozenset[str]:
        made = {each.name for each in self.of("Namespace")}
        made |= {name for each in self.of("ApplicationSet") for name in _installed(each.body)}
        return frozenset(made) | _BUILT_IN


def beside(path: str, relative: str) -> str:
    """A path relative to the directory of another, ``..`` resolved."""
    parts = path.split("/")[:-1]
    for part in relative.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _installed(body: Mapping[str, Any]) -> Iterator[str]:
    """Namespaces that Argo CD makes for what an ApplicationSet lists."""
    template = at(body, "spec", "template", "spec")
    if "CreateNamespace=true" not in items(template, "syncPolicy", "syncOptions"):
        return
    said = str(at(template, "destination", "namespace"))
    field = said.strip("{} ").removeprefix(".")
    for place, value in walk(at(body, "spec", "generators")):
        if place[-1:] == (field,) and isinstance(value, str):
            yield value


def chosen(selector: dict[str, Any], labels: Mapping[str, Any]) -> bool:
    """Whether a label selector (``matchLabels``, ``matchExpressions``) fits labels."""
    wanted = table(selector, "matchLabels")
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(each, labels) for each in items(selector, "matchExpressions"))


def _holds(expression: Any, labels: Mapping[str, Any]) -> bool:
    key, operator = at(expression, "key"), at(expression, "operator")
    values = items(expression, "values")
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(str(operator), False)


def _served(document: Any) -> bool:
    key = kind_key(document) if isinstance(document, dict) else ""
    named = isinstance(at(document, "metadata", "name"), str)
    return bool(key) and named and not key.startswith(_NOT_SERVED)
