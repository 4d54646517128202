"""CustomResourceDefinitions made from the schemas of what upstream accepts.

The schemas are closed and share definitions, as JSON Schema may; a CRD wants a structural schema:
everything in place, open, with ``nullable`` as a word. A real server then evaluates CEL rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kube_api import Server
from upstream import files as upstream_files

_DROPPED = {"$schema", "$id", "$defs", "$comment", "examples"}


def definition(key: str, schema: dict[str, Any], namespaced: bool) -> dict[str, Any]:
    """The CRD of ``group/version/Kind``."""
    group, version, kind = key.split("/")
    plural = f"{kind.lower()}s"
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root(schema)},
    }
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


def install(server: Server, documents: Iterable[dict[str, Any]]) -> None:
    """Makes the server serve every kind of the documents that is not its own."""
    directory, wanted = upstream_files(), {}
    for document in documents:
        key = f"{document['apiVersion']}/{document['kind']}"
        file = directory.index[key]["file"] if key in directory.index else ""
        if file.startswith("crds") and key not in server.defined:
            wanted[key] = (file, "namespace" in document["metadata"])
    for key, (file, namespaced) in wanted.items():
        server.apply(definition(key, directory.read(file), namespaced), dry=False)
    for key in wanted:
        server.wait_for(key)
        server.defined.add(key)
