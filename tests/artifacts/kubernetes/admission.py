"""A ValidatingAdmissionPolicy decided here, by the CEL library that the project checks with."""

from __future__ import annotations

import copy
from typing import Any

import cel

Object = dict[str, Any]


def refusals(policies: list[Object], document: Object) -> list[str]:
    """The messages of everything that refuses a document, in the namespace of the policies."""
    found = []
    bindings = {p["spec"]["policyName"]: p for p in policies if p["kind"].endswith("Binding")}
    for policy in policies:
        name = policy["metadata"]["name"]
        if policy["kind"] == "ValidatingAdmissionPolicy" and _bound(bindings[name], document):
            found += _refused(policy["spec"], document)
    return found


def _bound(binding: Object, document: Object) -> bool:
    chosen = binding["spec"]["matchResources"].get("objectSelector", {}).get("matchLabels", {})
    return chosen.items() <= document["metadata"].get("labels", {}).items()


def _refused(spec: Object, document: Object) -> list[str]:
    seen: Object = {"object": document, "variables": {}}
    if not all(_value(each, seen) for each in spec.get("matchConditions", ())):
        return []
    for each in spec["variables"]:
        seen["variables"][each["name"]] = _value(each, seen)
    return [each["message"] for each in spec["validations"] if _value(each, seen) is not True]


def _value(rule: Object, seen: Object) -> Any:
    return cel.compile(rule["expression"]).execute(cel.Context(seen, {}))


def changed(document: Object, *place: str | int, to: Any = None) -> Object:
    """A copy with one value replaced, or left out when ``to`` is None."""
    result = copy.deepcopy(document)
    inner: Any = result
    for part in place[:-1]:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else inner[part]
    if to is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = to
    return result
