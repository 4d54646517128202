"""What pydantic says, as problems a person can act on.

Pydantic names a place by the path through the model; unions add a tag and short forms add a key
that nobody wrote. Walking the tree along the path drops both.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic_core import ErrorDetails

from holdfast.spec import fields
from holdfast.spec.problem import Problem, one_line
from holdfast.spec.tree import Node, Place

#: Words of other tools for what is meant here.
_ELSEWHERE = {
    "name": "service",
    "cmd": "run.command",
    "args": "run.command",
    "environment": "run.env",
    "ports": "traffic.port",
    "instances": "replicas",
    "scale": "replicas",
    "healthcheck": "probes.ready",
    "health": "probes.ready",
    "readiness": "probes.ready",
    "liveness": "probes.live",
    "deployment": "rollout",
    "deploy": "rollout",
    "slo": "promises",
    "volumes": "run.config",
    "loadbalancer": "traffic.balance",
    "workingdir": "run.cwd",
    "initialdelayseconds": "delay",
    "periodseconds": "every",
}
_NOT_A_NAME = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True)
class Spot:
    """A place in the tree: the path as written, the node there, where its key stands."""

    path: fields.Path
    node: Node
    key: Place
    skipped: bool = False  # a part of pydantic's path was no key: a union tag or a short form


def spot(root: Node, loc: Iterable[str | int]) -> Spot:
    """The deepest node along ``loc``; parts that are not in the tree are skipped."""
    path: fields.Path = ()
    node, key, skipped = root, Place(1, 1), False
    for part in loc:
        below = node.step(part)
        if below is None:
            skipped = True
            continue
        path = (*path, part)
        key = node.entries[str(part)][0] if node.kind == "map" else below.place
        node = below
    return Spot(path, node, key, skipped)


def problems(errors: list[ErrorDetails], root: Node, name: str) -> list[Problem]:
    """Every error once, in the language of the spec."""
    told: dict[fields.Path, Problem] = {}
    for error in sorted(errors, key=lambda e: -len(spot(root, e["loc"]).path)):
        found = spot(root, error["loc"])
        path = (*found.path, error["loc"][-1]) if error["type"] == "missing" else found.path
        # The branches of a union fail one by one; the one that got deepest knows best.
        if not any(other[: len(path)] == path for other in told if _is_union(error)):
            told.setdefault(path, _problem(error, found, path, name))
    return list(told.values())


def _is_union(error: ErrorDetails) -> bool:
    return any("[" in str(part) or part == "literal" for part in error["loc"])


def _problem(error: ErrorDetails, found: Spot, path: fields.Path, name: str) -> Problem:
    kind, place = error["type"], found.node.place
    if kind == "extra_forbidden":
        return _unknown(found, name)
    shown, hint = found.node.show(), ""
    if kind == "missing":
        shown, place = "nothing", found.key
    key = fields.find(fields.generic(path))
    wanted = key.wanted if key else "a value that fits"
    if kind == "missing" and key:
        hint = f"it is required: {key.doc}"
    elif kind != "missing":
        hint = _value_hint(found.node, wanted, error)
    where = (name, place.line, place.column, fields.dotted(path))
    return Problem(*where, shown, wanted, hint, place.width)


def _value_hint(node: Node, wanted: str, error: ErrorDetails) -> str:
    said = node.text
    if wanted.startswith("one of ") or " (strategy)" in wanted:
        choices = wanted.split(" (")[0].removeprefix("one of ").split(", ")
        return _did_you_mean(difflib.get_close_matches(said.lower(), choices, 1, 0.5))
    if wanted.startswith("true or false"):
        meant = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false"}
        return _did_you_mean([meant[said.lower()]] if said.lower() in meant else [])
    if "with a unit" in wanted and re.fullmatch(r"[\d.]{1,9}", said):
        return _did_you_mean([f"{said}s" if "duration" in wanted else f"{said}MB"])
    if wanted == "text" and isinstance(node.value, bool):
        return f'quote it: "{said}"'
    if isinstance(node.value, str) and re.fullmatch(r"\d{1,9}", said) and "number" in wanted:
        return "remove the quotes"
    return _bound(wanted, error)


def _bound(wanted: str, error: ErrorDetails) -> str:
    """The limit of a value with a unit; other kinds say theirs in what is wanted."""
    units = {"a duration": "seconds", "a size": "bytes", "a rate": "per second"}
    unit = next((unit for word, unit in units.items() if wanted.startswith(word)), None)
    limit = error.get("ctx", {}).get("le")
    return f"at most {limit:,} {unit}" if unit and limit is not None else ""


def _did_you_mean(names: Iterable[str]) -> str:
    names = list(names)
    return f"did you mean {' or '.join(names)}?" if names else ""


def _unknown(found: Spot, name: str) -> Problem:
    word, parent = str(found.path[-1]), fields.generic(found.path[:-1])
    known = [path[-1] for path in fields.catalogue() if path[:-1] == parent]
    wanted = "one of " + ", ".join(known)
    where = (name, found.key.line, found.key.column, fields.dotted(found.path))
    hint = _did_you_mean(suggest(word, parent))
    return Problem(*where, f"unknown key {one_line(word)!r}", wanted, hint, found.key.width)


def suggest(word: str, parent: tuple[str, ...]) -> list[str]:
    """Keys that may be meant: here first, then anywhere in the spec, then other tools' words."""
    bare = _bare(word)
    if not bare:
        return []
    here = {_bare(path[-1]): path for path in fields.catalogue() if path[:-1] == parent}
    if match := _close(bare, here, 0.7):
        return [here[match][-1]]
    anywhere = dict(_anywhere())
    if bare in _ELSEWHERE:
        return [_ELSEWHERE[bare]]
    exact = [
        fields.dotted(p) for p in fields.catalogue() if _bare(p[-1]) == bare and p[:-1] != parent
    ]
    if exact:
        return exact[:2]
    match = _close(bare, anywhere, 0.8)
    return [fields.dotted(anywhere[match])] if match else []


def _anywhere() -> Iterator[tuple[str, tuple[str, ...]]]:
    for path in reversed(fields.catalogue()):  # the shallow ones come first and win
        if path[-1] not in ("[]", "*"):
            yield _bare(path[-1]), path


def _close(word: str, names: Iterable[str], cutoff: float) -> str | None:
    return next(iter(difflib.get_close_matches(word, list(names), 1, cutoff)), None)


def _bare(word: str) -> str:
    return _NOT_A_NAME.sub("", word.lower())[:40]
