"""Each document against the schema of what its upstream accepts, as strict as an API server.

An unknown apiVersion/kind is a failure and not a skip; nulls, unknown fields, broken CEL rules
and double list entries are refused; ``metadata`` is checked everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import jsonschema_rs

from holdfast.artifacts.check.forms import form_of, kind_key
from holdfast.artifacts.check.structure import Place, Schema, below, breaches, filled, resolve
from holdfast.artifacts.check.written import Written, walk
from holdfast.supply.finding import Finding

_META = {"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
_CORE = "core/"
_SAID_MAX = 200
#: Kinds of which there is no schema here: not covered, so never called accepted.
_UNJUDGED = frozenset({
    "openslo/v1/AlertCondition", "openslo/v1/AlertNotificationTarget", "openslo/v1/AlertPolicy",
    "openslo/v1/DataSource", "openslo/v1/SLI", "openslo/v1/SLO", "openslo/v1/Service",
    "infrastructure.cluster.x-k8s.io/v1beta2/AWSCluster",
    "infrastructure.cluster.x-k8s.io/v1beta2/AWSMachineTemplate",
    "elbv2.k8s.aws/v1beta1/TargetGroupBinding",
})  # fmt: skip
#: The only format here whose file names a draft that nobody else knows.
_FORCED = {"other/compose-spec.json": jsonschema_rs.Draft7Validator}


@dataclass(slots=True)
class Schemas:
    """The schemas of all formats. ``read`` gives the parsed file of a name in the index."""

    index: Mapping[str, Mapping[str, Any]]  # "apps/v1/Deployment" -> file, pointer
    read: Callable[[str], Schema]
    _made: dict[str, Judge] = field(default_factory=dict)

    def of(self, path: str, document: dict[str, Any]) -> Judge | None:
        """Who judges a document; none for formats that no schema knows."""
        key = kind_key(document)
        if key in self.index:
            entry = self.index[key]
            return self._judge(key, entry["file"], entry["pointer"])
        form = None if key else form_of(path, document)
        if form is None:
            return None
        return self._judge(form.schema + form.pointer, form.schema, form.pointer)

    def meta(self) -> Judge:
        """Who judges ``metadata``."""
        file = next(e["file"] for e in self.index.values() if e["file"].startswith(_CORE))
        return self._judge("metadata", file, _META["$ref"][1:])

    def _judge(self, name: str, file: str, pointer: str) -> Judge:
        if name not in self._made:
            root = self.read(file)
            schema = {"$ref": f"#{pointer}", "$defs": root["$defs"]} if pointer else root
            folder = file.rpartition("/")[0]
            neighbour = lambda uri: self.read(f"{folder}/{uri.rpartition('/')[2]}")  # noqa: E731
            kind = _FORCED.get(file) or jsonschema_rs.validator_cls_for(root)
            validator = kind(schema, retriever=neighbour)
            structural = not file.startswith("other/")
            self._made[name] = Judge(schema, validator, structural)
        return self._made[name]


@dataclass(frozen=True, slots=True)
class Judge:
    """One schema, ready to use."""

    schema: Schema
    validator: Any  # one of jsonschema_rs' validators
    structural: bool  # with Kubernetes' defaults, CEL rules and list types

    def breaches(self, document: Any) -> Iterator[tuple[Place, str, str, str]]:
        """Place, rule, what was found, what was wanted."""
        whole = filled(self.schema, document, self.schema) if self.structural else document
        sound = True
        for error in self.validator.iter_errors(whole):
            sound = False
            yield from self._told(error)
        if self.structural and sound:  # CEL on a wrong shape only repeats the complaint
            for at, rule, wrong in breaches(self.schema, whole, self.schema):
                yield at, rule, wrong, ""

    def _told(self, error: Any) -> Iterator[tuple[Place, str, str, str]]:
        at, kind = tuple(error.instance_path), error.kind.name
        if kind == "additionalProperties":
            for name in error.kind.as_dict()["unexpected"]:
                near = get_close_matches(name, self._known(at), n=1)
                yield (*at, name), kind, f"the unknown field {name!r}", near[0] if near else ""
        elif kind == "required":
            name = error.kind.as_dict()["property"]
            yield at, kind, f"no {name}", name
        elif kind in ("anyOf", "oneOf") and isinstance(error.instance, dict):
            keys = ", ".join(sorted(map(str, error.instance)))
            yield at, kind, f"no form that upstream knows, but {keys}"[:_SAID_MAX], ""
        else:
            yield at, kind, error.message[:_SAID_MAX], ""

    def _known(self, at: Place) -> list[str]:
        schema: Schema | None = resolve(self.schema, self.schema)
        for part in at:
            schema = below(schema, part) if schema else None
            schema = resolve(schema, self.schema) if schema else None
        return list(schema.get("properties", ())) if schema else []


def check(files: Iterable[Written], schemas: Schemas) -> list[Finding]:
    """What upstream would refuse, file by file."""
    return [finding for file in files for finding in check_file(file, schemas)]


def check_file(file: Written, schemas: Schemas) -> list[Finding]:
    found = list(file.problems)
    for index, document in enumerate(file.objects):
        for at, rule, wrong, wanted in _document(file.path, document, schemas):
            line = file.line(index, at)
            where = ".".join(map(str, at))
            said = f"{wrong} at {where}" if where else wrong
            found.append(Finding(f"schema/{rule}", file.path, said, wanted, line, file.key))
    return found


def covered(file: Written, schemas: Schemas) -> bool:
    """Whether a schema speaks for every document of the file."""
    return bool(file.objects) and all(
        isinstance(each, dict) and schemas.of(file.path, each) for each in file.objects
    )


def _document(
    path: str,
    document: Any,
    schemas: Schemas,
) -> Iterator[tuple[Place, str, str, str]]:
    if not isinstance(document, dict):
        return
    judge, key = schemas.of(path, document), kind_key(document)
    if key:
        yield from _nulls(document)
    if judge is None:
        if key and key not in _UNJUDGED:
            yield ("kind",), "kind", f"the unknown kind {key}", "a kind that a schema knows"
        elif not key and ("kind" in document or isinstance(document.get("apiVersion"), str)):
            yield ("apiVersion",), "kind", "no kind", "apiVersion and kind"
        return
    if key:
        yield from _metadata(document, schemas)
    yield from judge.breaches(document)


def _nulls(document: dict[str, Any]) -> Iterator[tuple[Place, str, str, str]]:
    for at, value in walk(document):
        if value is None:
            yield at, "null", "nothing", "a value, or no field"


def _metadata(document: dict[str, Any], schemas: Schemas) -> Iterator[tuple[Place, str, str, str]]:
    if isinstance(document.get("metadata"), dict):
        for at, rule, wrong, wanted in schemas.meta().breaches(document["metadata"]):
            yield ("metadata", *at), rule, wrong, wanted
