"""JSON Schema (draft 2020-12) as the structural schema that a CustomResourceDefinition may hold.

Structural schemas have no references, no alternatives of type and no ``const``. Of a setting with
a short and a long form (``rollout: canary``) only the long one is kept: it is what ``kubectl
explain`` shows. Defaults stay with Holdfast, so that a later version may choose better ones.

Source: kubernetes.io, CustomResourceDefinitions, "Specifying a structural schema".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]
_ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_KEPT = ("description", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength",
         "minItems", "maxItems", "required")  # fmt: skip


def structural(schema: Schema) -> Schema:
    """Raises ``KeyError`` for a reference that leads nowhere."""
    return _node(schema, schema.get("$defs", {}))


def _node(schema: Schema, named: Mapping[str, Schema]) -> Schema:
    if "$ref" in schema:
        aimed = named[schema["$ref"].rpartition("/")[2]]
        about = {"description": schema["description"]} if "description" in schema else {}
        return _node(aimed, named) | about
    if "anyOf" in schema:
        return _chosen(schema, named)
    return _typed(schema, named)


def _chosen(schema: Schema, named: Mapping[str, Schema]) -> Schema:
    """The long form; where neither alternative is it, whatever Holdfast itself accepts."""
    forms = [each for each in schema["anyOf"] if each.get("type") != "null"]
    long = [each for each in forms if each.get("type") == "object"]
    about = {"description": schema["description"]} if "description" in schema else {}
    found = (long or forms)[0]
    made = _node(found, named) if long or len(forms) == 1 else dict(_ANYTHING)
    if len(forms) < len(schema["anyOf"]):
        made = made | {"nullable": True}
    return made | about


def _typed(schema: Schema, named: Mapping[str, Schema]) -> Schema:
    kind = schema.get("type")
    if isinstance(kind, list) and "null" in kind:
        left = [each for each in kind if each != "null"]
        one = left[0] if len(left) == 1 else left
        return _typed(schema | {"type": one}, named) | {"nullable": True}
    made = {key: schema[key] for key in _KEPT if key in schema}
    if isinstance(kind, list):  # a number where a text is meant, such as version: 3
        return {key: made[key] for key in made if key != "pattern"} | {
            "x-kubernetes-int-or-string": True
        }
    if kind is None:
        return made | _ANYTHING
    made = made | {"type": kind} | _exclusive(schema)
    if kind == "array":
        made["items"] = _node(schema.get("items", {}), named)
    if kind == "object":
        made |= _fields(schema, named)
    return made


def _exclusive(schema: Schema) -> Schema:
    """A bound that is not reached: a number in JSON Schema, a word beside the bound here."""
    if "exclusiveMinimum" not in schema:
        return {}
    return {"minimum": schema["exclusiveMinimum"], "exclusiveMinimum": True}


def _fields(schema: Schema, named: Mapping[str, Schema]) -> Schema:
    if "properties" in schema:
        return {"properties": {k: _node(v, named) for k, v in schema["properties"].items()}}
    if isinstance(schema.get("additionalProperties"), dict):
        return {"additionalProperties": _node(schema["additionalProperties"], named)}
    return _ANYTHING
