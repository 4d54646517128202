"""Who manages which field of an object: ``metadata.managedFields``. Pure.

Source: kubernetes.io, "Server-Side Apply", and structured-merge-diff's FieldsV1: ``f:name`` is a
field, ``k:{...}`` the item of a list with those keys, ``v:...`` a value of a set, ``.`` the thing
itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.targets.kubernetes.kinds import Object

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hand:
    """Somebody who wrote fields, how, and when (RFC 3339; empty where it is not said)."""

    manager: str
    operation: str  # "Apply" or "Update"
    at: str = ""

    def __str__(self) -> str:
        return f"{self.manager} at {self.at}" if self.at else self.manager


def hands(found: Object, *path: str) -> tuple[Hand, ...]:
    """Everybody who manages the field at ``path``, or anything below it; the latest first."""
    named = [_hand(entry) for entry in _entries(found) if _has(entry.get("fieldsV1") or {}, path)]
    return tuple(sorted(named, key=lambda hand: hand.at, reverse=True))


def applied(found: Object, manager: str) -> Object:
    """What ``manager`` applied, with the values there are now: to be changed and applied again.

    Nothing that others own is in it, so applying it takes nothing from them.
    """
    key = (manager, "Apply", "")
    mine: Fields = {}
    for entry in _entries(found):
        whose = (entry.get("manager"), entry.get("operation"), entry.get("subresource") or "")
        mine = entry.get("fieldsV1") or {} if whose == key else mine
    cut = _cut(found, mine)
    result: Object = cut if isinstance(cut, dict) else {}
    result |= {"apiVersion": found["apiVersion"], "kind": found["kind"]}
    metadata = result.setdefault("metadata", {})
    metadata |= {k: found["metadata"][k] for k in ("name", "namespace") if k in found["metadata"]}
    return result


def _entries(found: Object) -> list[Object]:
    return found.get("metadata", {}).get("managedFields") or []


def _hand(entry: Object) -> Hand:
    operation, at = str(entry.get("operation", "")), str(entry.get("time") or "")
    return Hand(str(entry.get("manager", "somebody")), operation, at)


def _has(fields: Fields, path: tuple[str, ...]) -> bool:
    for name in path:
        if f"f:{name}" not in fields:
            return False
        fields = fields[f"f:{name}"]
    return True


def _cut(value: Any, fields: Fields) -> Any:  # noqa: ANN401  # any JSON value
    inner = {key: below for key, below in fields.items() if key != "."}
    if not inner:
        return value
    if isinstance(value, list):
        return list(_items(value, inner))
    if not isinstance(value, dict):
        return value
    named = ((key[2:], below) for key, below in inner.items() if key.startswith("f:"))
    return {name: _cut(value[name], below) for name, below in named if name in value}


def _items(listed: list[Any], fields: Fields) -> Iterator[Any]:
    """In the list's own order."""
    for item in listed:
        for key, below in fields.items():
            if key.startswith("k:") and _matches(item, json.loads(key[2:])):
                yield _cut(item, below)
            elif key.startswith("v:") and item == json.loads(key[2:]):
                yield item


def _matches(item: Any, keys: Fields) -> bool:  # noqa: ANN401
    return isinstance(item, dict) and all(item.get(name) == value for name, value in keys.items())
