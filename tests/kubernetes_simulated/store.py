"""Objects with versions, watches and server-side apply: the simulated API server's memory.

Simplified where tests do not look: lists are atomic, nothing is validated, nothing is defaulted.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
Path = tuple[str, ...]
_OWN = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"),
        ("metadata", "resourceVersion")}  # fmt: skip


class Failed(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, reason: str, message: str, causes: list[Object] | None = None):
        super().__init__(message)
        self.status = status
        details = {"causes": causes} if causes else {}
        self.body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status,
                     "reason": reason, "message": message, "details": details}  # fmt: skip


@dataclass
class Watch:
    """Somebody who follows a collection."""

    matches: Callable[[str, Object], bool]
    queue: asyncio.Queue[Object | None] = field(default_factory=asyncio.Queue)


class Store:
    """Addresses to objects. ``told`` is called after every change."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.watches: list[Watch] = []
        self.past: list[tuple[int, str, str, Object]] = []  # version, word, address, object
        self.forgotten = 0  # versions up to this one cannot be watched from
        self.told: Callable[[], None] = lambda: None
        self._versions = itertools.count(101)
        self.version = 100

    # ---- reading

    def get(self, at: str) -> Object:
        if at not in self.objects:
            raise Failed(404, "NotFound", f"{at.rpartition('/')[2]} not found")
        return self.objects[at]

    def list(self, matches: Callable[[str, Object], bool]) -> list[Object]:
        return [each for at, each in sorted(self.objects.items()) if matches(at, each)]

    def watch(self, since: int, matches: Callable[[str, Object], bool]) -> Watch:
        if since < self.forgotten:
            raise Failed(410, "Expired", f"too old resource version: {since}")
        watch = Watch(matches)
        for version, word, at, found in self.past:
            if version > since and matches(at, found):
                watch.queue.put_nowait({"type": word, "object": found})
        self.watches.append(watch)
        return watch

    def compact(self) -> None:
        """Forget the past and end all watches: whoever resumes gets 410."""
        self.forgotten = next(self._versions)
        self.version = self.forgotten
        self.past.clear()
        self.end_watches()

    def end_watches(self) -> None:
        for watch in self.watches:
            watch.queue.put_nowait(None)
        self.watches.clear()

    # ---- writing

    def put(self, at: str, new: Object) -> Object:
        """Store an object as it is, with a new version, and a new generation for a new spec."""
        old = self.objects.get(at)
        new = copy.deepcopy(new)
        metadata = new["metadata"]
        if old is not None and _same(old, new):
            return old
        self.version = next(self._versions)
        metadata["resourceVersion"] = str(self.version)
        before = old["metadata"]["generation"] if old else 0
        changed = old is None or old.get("spec") != new.get("spec")
        metadata["generation"] = before + 1 if changed else before
        metadata["uid"] = old["metadata"]["uid"] if old else f"uid-{self.version}"
        metadata.setdefault("creationTimestamp", now())
        self.objects[at] = new
        self._tell("MODIFIED" if old else "ADDED", at, new)
        return new

    def update(self, at: str, new: Object, manager: str) -> Object:
        """Like PUT: fields that changed belong to ``manager`` from now on."""
        old = self.objects.get(at, {})
        given = new["metadata"].get("resourceVersion")
        if old and given and given != old["metadata"]["resourceVersion"]:
            raise Failed(409, "Conflict", "the object has been modified; please apply your changes")
        before, after = leaves(old), leaves(new)
        changed = {path for path, value in after.items() if before.get(path, ...) != value}
        owned = {name: fields - changed for name, fields in owners(old).items()}
        key = (manager, "Update")
        owned[key] = owned.get(key, set()) | changed
        return self.put(at, {**new, "metadata": new["metadata"] | {"managedFields": _told(owned)}})

    def apply(self, at: str, wanted: Object, manager: str, force: bool) -> Object:
        """Server-side apply."""
        old = self.objects.get(at)
        given = wanted["metadata"].get("resourceVersion")
        if given and (old is None or given != old["metadata"]["resourceVersion"]):
            raise Failed(409, "Conflict", "the object has been modified; please apply your changes")
        base = copy.deepcopy(old) if old else {"metadata": {}}
        fields, mine = leaves(wanted), (manager, "Apply")
        owned = owners(base)
        clashes = _clashes(base, fields, {k: v for k, v in owned.items() if k != mine})
        if clashes and not force:
            causes = [
                {"reason": "FieldManagerConflict", "message": f'conflict with "{who}"',
                 "field": "." + ".".join(path)}
                for who, path in clashes
            ]  # fmt: skip
            raise Failed(409, "Conflict", f"Apply failed with {len(causes)} conflicts", causes)
        others = set().union(*(v for k, v in owned.items() if k != mine))
        for path in owned.get(mine, set()) - set(fields) - others:
            _remove(base, path)
        for path, value in fields.items():
            _set(base, path, value)
        taken = {path for _, path in clashes}
        owned = {k: v - taken for k, v in owned.items()} | {mine: set(fields)}
        for path in _OWN - {("metadata", "resourceVersion")}:
            if (value := _get(wanted, path)) is not None:
                _set(base, path, value)
        base["metadata"]["managedFields"] = _told(owned)
        return self.put(at, base)

    def remove(self, at: str) -> None:
        found = copy.deepcopy(self.objects.pop(at))
        self.version = next(self._versions)
        found["metadata"]["resourceVersion"] = str(self.version)
        self._tell("DELETED", at, found)

    def _tell(self, word: str, at: str, found: Object) -> None:
        self.past.append((self.version, word, at, found))
        for watch in self.watches:
            if watch.matches(at, found):
                watch.queue.put_nowait({"type": word, "object": found})
        self.told()


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def leaves(found: Any, path: Path = ()) -> dict[Path, Any]:
    """Every value that is no object, by its path; neither status nor what the server says."""
    if path in _OWN or path[:1] == ("status",) or path == ("metadata", "managedFields"):
        return {}
    if path[:1] == ("metadata",) and len(path) == 2 and path[1] not in (
        "labels", "annotations", "ownerReferences",
    ):  # fmt: skip
        return {}
    if isinstance(found, dict) and (found or not path):
        return {
            p: v for name, each in found.items() for p, v in leaves(each, (*path, name)).items()
        }
    return {path: found}


def owners(found: Object) -> dict[tuple[str, str], set[Path]]:
    """(manager, operation) to the paths it manages."""
    listed = found.get("metadata", {}).get("managedFields") or ()
    return {(e["manager"], e["operation"]): set(_paths(e["fieldsV1"])) for e in listed}


def _paths(fields: Object, path: Path = ()) -> list[Path]:
    if not fields:
        return [path] if path else []
    return [p for name, each in fields.items() for p in _paths(each, (*path, name[2:]))]


def _told(owned: dict[tuple[str, str], set[Path]]) -> list[Object]:
    found = []
    for (manager, operation), paths in sorted(owned.items()):
        tree: Object = {}
        for path in sorted(paths):
            at = tree
            for name in path:
                at = at.setdefault(f"f:{name}", {})
        if tree:
            found.append({"manager": manager, "operation": operation, "time": now(),
                          "fieldsType": "FieldsV1", "fieldsV1": tree})  # fmt: skip
    return found


def _clashes(base: Object, fields: dict[Path, Any], owned: dict[Any, set[Path]]) -> list[Any]:
    return [
        (who, path)
        for (who, _), paths in sorted(owned.items())
        for path in sorted(paths & set(fields))
        if _get(base, path) != fields[path]
    ]


def _get(found: Object, path: Path) -> Any:
    for name in path:
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return None if found == {} else found


def _set(found: Object, path: Path, value: Any) -> None:
    for name in path[:-1]:
        found = found.setdefault(name, {})
    found[path[-1]] = copy.deepcopy(value)


def _remove(found: Object, path: Path) -> None:
    for name in path[:-1]:
        found = found.get(name, {})
    found.pop(path[-1], None)


def _same(old: Object, new: Object) -> bool:
    def plain(found: Object) -> Object:
        metadata = {k: v for k, v in found["metadata"].items() if k != "managedFields"}
        return {**found, "metadata": metadata}

    kept = {k: old["metadata"].get(k) for k in ("resourceVersion", "generation", "uid",
            "creationTimestamp")}  # fmt: skip
    return plain(old) == plain({**new, "metadata": {**new["metadata"], **kept}})
