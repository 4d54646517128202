"""JSON merge patch (RFC 7396) and JSON patch (RFC 6902). Nothing given is changed in place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any


class Misfit(ValueError):
    """A patch that does not fit the document."""


def merged(document: Any, patch: Any) -> Any:  # noqa: ANN401  # JSON
    """The document after a merge patch: objects merge, ``null`` removes, the rest replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def patched(document: Any, operations: list[Any]) -> Any:  # noqa: ANN401  # JSON
    """The document after every operation in turn. Raises ``Misfit`` and then changed nothing."""
    root = {"": copy.deepcopy(document)}
    for number, operation in enumerate(operations):
        try:
            _OPERATIONS[operation["op"]](root, operation)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise Misfit(f"operation {number} ({_said(operation)}): {_why(error)}") from error
    return root.get("")


def _said(operation: Any) -> str:  # noqa: ANN401
    if not isinstance(operation, dict):
        return "no object"
    return f"{operation.get('op')} {operation.get('path')}"


def _why(error: Exception) -> str:
    if isinstance(error, Misfit):
        return str(error)
    return f"there is no {error}" if isinstance(error, KeyError) else "its path leads nowhere"


def _parts(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise Misfit("a path begins with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]


def _parent(root: dict[str, Any], pointer: str) -> tuple[Any, str]:
    *parts, last = _parts(pointer)
    inner: Any = root
    for part in parts:
        inner = inner[_index(inner, part)]
    return inner, last


def _index(holder: Any, part: str, end: int = 0) -> Any:  # noqa: ANN401
    """The key or the list index of a part; ``end`` is 1 where one may stand behind the last."""
    if not isinstance(holder, list):
        return part
    if end and part == "-":
        return len(holder)
    if not part.isdecimal() or int(part) >= len(holder) + end:
        raise Misfit(f"there is no item {part}")
    return int(part)


def _get(root: dict[str, Any], pointer: str) -> Any:  # noqa: ANN401
    holder, last = _parent(root, pointer)
    return holder[_index(holder, last)]


def _put(root: dict[str, Any], pointer: str, value: Any) -> None:  # noqa: ANN401
    holder, last = _parent(root, pointer)
    if isinstance(holder, list):
        holder.insert(_index(holder, last, end=1), value)
    else:
        holder[last] = value


def _take(root: dict[str, Any], pointer: str) -> Any:  # noqa: ANN401
    holder, last = _parent(root, pointer)
    return holder.pop(_index(holder, last))


def _add(root: dict[str, Any], operation: dict[str, Any]) -> None:
    _put(root, operation["path"], copy.deepcopy(operation["value"]))


def _remove(root: dict[str, Any], operation: dict[str, Any]) -> None:
    _take(root, operation["path"])


def _replace(root: dict[str, Any], operation: dict[str, Any]) -> None:
    holder, last = _parent(root, operation["path"])
    index = _index(holder, last)
    holder[index]  # it must be there
    holder[index] = copy.deepcopy(operation["value"])


def _move(root: dict[str, Any], operation: dict[str, Any]) -> None:
    if operation["path"].startswith(operation["from"] + "/"):
        raise Misfit("nothing moves into itself")
    _put(root, operation["path"], _take(root, operation["from"]))


def _copy(root: dict[str, Any], operation: dict[str, Any]) -> None:
    _put(root, operation["path"], copy.deepcopy(_get(root, operation["from"])))


def _test(root: dict[str, Any], operation: dict[str, Any]) -> None:
    if _get(root, operation["path"]) != operation["value"]:
        raise Misfit("the value is another")


_OPERATIONS: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
