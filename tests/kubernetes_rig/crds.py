"""CustomResourceDefinitions made from the schemas of what upstream accepts.

The schemas are closed and share definitions, as JSON Schema may; a CRD wants a structural schema:
everything in place, open, with ``nullable`` as a word. A real server then evaluates CEL rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from holdfast.supply.schemas import SchemaDirectory
from kubernetes_rig.api_server import Server

SHARED = Path(__file__).resolve().parents[3] / "shared" / "schemas"
_DROPPED = {"$schema", "$id", "$defs", "$comment", "examples"}


def definition(key: str, schema: dict[str, Any], namespaced: bool) -> dict[str, Any]:
    """The CRD of ``group/version/Kind``."""
    group, version, kind = key.split("/")
    plural, root = _plural(kind.lower()), _root(schema)
    served: dict[str, Any] = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": root},
    }
    if "status" in root.get("properties", {}):
        served["subresources"] = {"status": {}}
    approved = {"api-approved.kubernetes.io": "unapproved, tests only"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": approved},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [served],
        },
    }


def _plural(kind: str) -> str:
    if kind.endswith(("s", "x", "ch")):
        return f"{kind}es"
    vowel = kind[-2:-1] in "aeiou"
    return f"{kind[:-1]}ies" if kind.endswith("y") and not vowel else f"{kind}s"


def _root(schema: dict[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = _structural(schema, schema)
    whole["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    required = set(whole.get("required", ())) - {"apiVersion", "kind", "metadata"}
    return {**whole, "type": "object", "required": sorted(required)}


def _structural(node: Any, root: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_structural(each, root) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target: Any = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return _structural({**target, **{k: v for k, v in node.items() if k != "$ref"}}, root)
    return _opened({k: _field(k, v, root) for k, v in node.items() if k not in _DROPPED})


def _field(name: str, value: Any, root: dict[str, Any]) -> Any:
    if name == "properties":  # its keys are names of fields, not words of a schema
        return {key: _structural(each, root) for key, each in value.items()}
    if name in ("default", "enum", "required", "x-kubernetes-validations"):
        return value
    return _structural(value, root)


def _opened(node: dict[str, Any]) -> dict[str, Any]:
    """The words of JSON Schema 2020-12 that OpenAPI 3.0 lacks."""
    if node.get("additionalProperties") is False:
        del node["additionalProperties"]
    if isinstance(node.get("type"), list):
        (node["type"],) = (each for each in node["type"] if each != "null")
        node["nullable"] = True
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(node.get(exclusive), (int, float)) and node[exclusive] is not True:
            node[bound], node[exclusive] = node[exclusive], True
    return node


def schemas() -> SchemaDirectory:
    """The schemas of upstream; skips the test where they are missing."""
    directory = SchemaDirectory(SHARED)
    if not directory.exists():
        pytest.skip("the schemas of upstream are not beside this repository (../shared/schemas)")
    return directory


def install(server: Server, documents: Iterable[dict[str, Any]]) -> None:
    """Makes the server serve every kind of the documents that is not its own."""
    wanted = {f"{d['apiVersion']}/{d['kind']}": "namespace" in d["metadata"] for d in documents}
    index = schemas().index
    ours = {k for k in wanted if k in index and index[k]["file"].startswith("crds")}
    serve(server, {key: wanted[key] for key in sorted(ours)})


def serve(server: Server, kinds: dict[str, bool]) -> None:
    """Makes the server serve kinds, such as ``gateway.networking.k8s.io/v1/HTTPRoute``.

    True: its objects are in namespaces. Waits until the kinds are there.
    """
    directory, missing = schemas(), {k: v for k, v in kinds.items() if k not in server.defined}
    for key, namespaced in missing.items():
        schema = directory.read(directory.index[key]["file"])
        server.apply(definition(key, schema, namespaced), dry=False)
    for key in missing:
        server.wait_for(key)
        server.defined.add(key)
