"""What a pod needs is there: secrets, config maps, accounts, volumes, classes.

Things that others bring are declared on the object that needs them:
``holdfast.dev/external: Secret/name, ConfigMap/name``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from holdfast.artifacts.bundle import MANIFEST
from holdfast.artifacts.check.structure import Place
from holdfast.artifacts.check.whole import Item, Whole, at, items, table
from holdfast.artifacts.check.written import walk
from holdfast.supply.finding import Finding

EXTERNAL = "holdfast.dev/external"
_ANY_CLASS = frozenset({"system-cluster-critical", "system-node-critical"})
Need = tuple[Item, Place, str, str]  # who needs, where it says so, kind, name


def check(whole: Whole) -> Iterator[Finding]:
    made = set(_made(whole))
    for item, place, kind, name in _needs(whole):
        if (kind, name) not in made and f"{kind}/{name}" not in external(item):
            wanted = f"one of the set, or {EXTERNAL}: {kind}/{name}"
            yield item.finding("reference", place, f"no {kind} {name}", wanted)
    yield from _unread(whole)


def _unread(whole: Whole) -> Iterator[Finding]:
    """A certificate in a Secret that nothing else names serves nobody."""
    for item in whole.of("Certificate"):
        name = str(at(item.body, "spec", "secretName"))
        texts = (each.text for each in whole.files if each.path != MANIFEST)
        if sum(text.count(name) for text in texts) < 2:
            found = f"the Secret {name}, which nothing reads"
            yield item.finding("reference", ("spec", "secretName"), found, "a name that is read")


def external(item: Item) -> set[str]:
    """What an object says that others bring, as ``Kind/name``."""
    said = str(at(item.body, "metadata", "annotations", EXTERNAL) or "")
    return {part.strip() for part in said.split(",")}


def _made(whole: Whole) -> Iterator[tuple[str, str]]:
    yield "ServiceAccount", "default"
    yield from (("PriorityClass", name) for name in _ANY_CLASS)
    for item in whole.items:
        yield item.kind, item.name
        for place in _SECRET_MAKERS.get(item.kind, ()):
            if name := at(item.body, *place):
                yield "Secret", str(name)
        for suffix in _SUFFIXES.get(item.kind, ()):
            if suffix not in _GIVEN or not at(item.body, "spec", "certificates"):
                yield "Secret", item.name + suffix
    for each in whole.kustomizations:
        for field, kind in (("secretGenerator", "Secret"), ("configMapGenerator", "ConfigMap")):
            for generator in items(each.body, field):
                yield kind, str(at(generator, "name"))


#: Who makes a Secret, and where its name is said.
_SECRET_MAKERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "ExternalSecret": (("spec", "target", "name"), ("metadata", "name")),
    "Certificate": (("spec", "secretName"),),
    "SealedSecret": (("metadata", "name"),),
    "VaultStaticSecret": (("spec", "destination", "name"),),
    "VaultDynamicSecret": (("spec", "destination", "name"),),
    "KafkaUser": (("metadata", "name"),),
}
#: Operators that make Secrets beside their objects (CloudNativePG, Strimzi, ECK).
_SUFFIXES = {
    "Cluster": ("-app", "-superuser", "-ca", "-server", "-replication"),
    "Kafka": ("-cluster-ca-cert", "-clients-ca-cert"),
    "Elasticsearch": ("-es-elastic-user", "-es-http-certs-public", "-es-http-ca-internal"),
    "Kibana": ("-kb-http-certs-public",),
}


#: Those that CloudNativePG does not make where the object says who does.
_GIVEN = ("-ca", "-server", "-replication")


def _needs(whole: Whole) -> Iterator[Need]:
    for pods in whole.pods:
        if pods.at != ("spec",):
            yield from _of_template(pods.item, (*pods.at, "spec"))
    for item in whole.of("Ingress", "Gateway"):
        yield from _of_edge(item)
    for item in whole.of("RoleBinding", "ClusterRoleBinding"):
        yield from _of_binding(item)
    for item in whole.items:
        yield from _of_storage(item)
        if item.kind in ("Issuer", "ClusterIssuer"):
            yield from _named(item, ("spec", "ca", "secretName"), "Secret")
        if item.kind not in _MAKERS:
            yield from _of_template(item, ("spec",))


def _of_storage(item: Item) -> Iterator[Need]:
    """Storage classes, whatever an operator calls the field."""
    for place, value in walk(table(item.body, "spec")):
        named = place[-1:] in (("storageClassName",), ("storageClass",))
        if (named or place[-2:] == ("storage", "class")) and value and isinstance(value, str):
            yield item, ("spec", *place), "StorageClass", value


def _named(item: Item, place: Place, kind: str) -> Iterator[Need]:
    name = at(item.body, *place)
    if isinstance(name, str) and name:
        yield item, place, kind, name


#: Whose ``secretName`` is what they make, or what others read elsewhere.
_MAKERS = frozenset({"Certificate", "ExternalSecret", "ClusterIssuer", "Issuer", "Ingress"})


def _of_template(item: Item, spec: Place) -> Iterator[Need]:
    yield from _named(item, (*spec, "serviceAccountName"), "ServiceAccount")
    yield from _named(item, (*spec, "priorityClassName"), "PriorityClass")
    yield from _named(item, (*spec, "runtimeClassName"), "RuntimeClass")
    for index, _each in enumerate(items(item.body, *spec, "imagePullSecrets")):
        yield from _named(item, (*spec, "imagePullSecrets", index, "name"), "Secret")
    for place, value in walk(at(item.body, *spec)):
        if isinstance(value, dict) and place and value.get("optional") is not True:
            yield from _of_field(item, (*spec, *place), value)
            for field in _SECRET_FIELDS:
                yield from _named(item, (*spec, *place, field), "Secret")


#: Fields that name a Secret wherever they are (pods, prometheus-operator, Strimzi, CloudNativePG).
_SECRET_FIELDS = (
    "secretName", "serverTLSSecret", "serverCASecret", "clientCASecret", "replicationTLSSecret",
)  # fmt: skip
#: A field of a pod -> what it names, and by which of its fields.
_FIELDS = {
    "secretKeyRef": ("Secret", "name"),
    "secretRef": ("Secret", "name"),
    "configMapKeyRef": ("ConfigMap", "name"),
    "configMapRef": ("ConfigMap", "name"),
    "configMap": ("ConfigMap", "name"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}


def _of_field(item: Item, place: Place, value: dict[str, Any]) -> Iterator[Need]:
    field = str(place[-1])
    if field in _FIELDS:
        kind, by = _FIELDS[field]
        yield from _named(item, (*place, by), kind)
    elif field == "secret":  # projected volumes; the others say secretName
        yield from _named(item, (*place, "name"), "Secret")


def _of_edge(item: Item) -> Iterator[Need]:
    for index, _tls in enumerate(items(item.body, "spec", "tls")):
        yield from _named(item, ("spec", "tls", index, "secretName"), "Secret")
    for lane, listener in enumerate(items(item.body, "spec", "listeners")):
        for index, reference in enumerate(items(listener, "tls", "certificateRefs")):
            if at(reference, "kind") in (None, "Secret"):
                place = ("spec", "listeners", lane, "tls", "certificateRefs", index, "name")
                yield from _named(item, place, "Secret")


def _of_binding(item: Item) -> Iterator[Need]:
    kind, name = table(item.body, "roleRef").get("kind"), at(item.body, "roleRef", "name")
    if isinstance(name, str) and not name.startswith("system:") and name not in _ROLES:
        yield item, ("roleRef", "name"), str(kind), name
    for index, subject in enumerate(items(item.body, "subjects")):
        if at(subject, "kind") == "ServiceAccount":
            yield from _named(item, ("subjects", index, "name"), "ServiceAccount")


_ROLES = frozenset({"view", "edit", "admin", "cluster-admin"})
