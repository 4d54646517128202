"""Seeded damage to a rendered set, as people and tools do it."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.artifacts.check.written import Written, walk

Documents = dict[str, list[Any]]  # path -> documents
Place = tuple[str | int, ...]
Spot = tuple[str, Place]  # path; document number first


@dataclass(frozen=True)
class Damage:
    """``kind`` is what was done, ``said`` where and how."""

    kind: str
    said: str
    set: Documents
    touched: str


def documents(files: tuple[Written, ...]) -> Documents:
    return {file.path: list(file.objects) for file in files if file.objects}


def spots(sound: Documents, fits: Callable[[Place, Any], bool]) -> list[Spot]:
    return [(path, place) for path, place, value in _values_of(sound) if fits(place, value)]


_WALKED: dict[int, tuple[Documents, list[tuple[str, Place, Any]]]] = {}


def _values_of(sound: Documents) -> list[tuple[str, Place, Any]]:
    """Every value of a set, walked once."""
    if id(sound) not in _WALKED:
        _WALKED.clear()
        _WALKED[id(sound)] = (
            sound,
            [
                (path, place, value)
                for path, each in sorted(sound.items())
                for place, value in walk(each)
                if len(place) > 1
            ],
        )
    return _WALKED[id(sound)][1]


def at(value: Any, place: Place) -> Any:
    for part in place:
        value = value[part]
    return value


def _typo(word: str, dice: random.Random) -> str:
    """A letter lost in the middle: what fingers do."""
    index = dice.randrange(1, max(len(word) - 1, 2))
    return word[:index] + word[index + 1 :]


def _open(place: Place) -> bool:
    """Where any key and any text is right."""
    free = {
        "annotations", "labels", "data", "stringData", "description", "summary", "message", "title",
        "options", "fieldConfig", "matchLabels", "parameters", "nodeSelector", "custom",
        "templating", "input_series", "exp_alerts", "exp_annotations", "exp_labels", "Tags",
    }  # fmt: skip
    return any(part in free for part in place)


def family(path: str) -> str:
    return "aws" if "/aws/" in path else path.partition("/")[0]


def _any(found: list[Spot], dice: random.Random) -> Spot:
    """Every family as likely as the others, however many files it has."""
    families = sorted({family(path) for path, _place in found})
    chosen = dice.choice(families)
    return dice.choice([each for each in found if family(each[0]) == chosen])


def key_typo(sound: Documents, dice: random.Random) -> Spot:
    def fits(place: Place, value: Any) -> bool:
        return isinstance(place[-1], str) and len(place[-1]) > 3 and not _open(place[:-1])

    return _any(spots(sound, fits), dice)


#: A matcher whose value the set itself decides.
_SERIES = re.compile(r'\b(namespace|service|job)="([a-z-]{5,})"')


def _shifted(word: str, dice: random.Random) -> str:
    """The unit as people write it elsewhere."""
    number = word.rstrip("msdhiKMG")
    unit = word.removeprefix(number)
    words = {"ms": "msec", "s": "sec", "m": "min", "h": "hr", "d": "day"}
    return number + words.get(unit, unit + "B")


#: Lists of one that may be written without the list (GitHub, Compose, Chaos Toolkit).
_MAY_BE_ONE = ("arguments", "branches", "command", "cron", "needs", "on", "tmpfs", "types")


_POINTS = re.compile(r"(Ref|Refs|ref)$|^(cluster|project|gateways|destination|backend|target)$")


def _points(place: Place) -> bool:
    """Names of other objects: a reference, or one of the words that mean one."""
    around = [str(part) for part in place[1:] if isinstance(part, str)]
    named = around[-1:] in (["name"], ["kind"], ["project"], ["gateways"], ["host"])
    return named and any(_POINTS.search(part) for part in around[-3:])


#: kind -> (which values it damages, what becomes of one)
VALUES: dict[str, tuple[Callable[[Place, Any], bool], Callable[[Any, random.Random], Any]]] = {
    "wrong type": (
        lambda place, value: isinstance(value, int) and not isinstance(value, bool)
        and not _open(place),
        lambda value, dice: {"value": value},
    ),
    "null": (
        lambda place, value: isinstance(value, str | int | dict) and not _open(place),
        lambda value, dice: None,
    ),
    "unknown kind": (
        lambda place, value: place[1:] == ("kind",), lambda value, dice: _typo(value, dice),
    ),
    "unknown version": (
        lambda place, value: place[1:] == ("apiVersion",) and "/" in str(value),
        lambda value, dice: value + "beta9",
    ),
    "bad word of a list": (
        lambda place, value: place[-1] in (
            "imagePullPolicy", "restartPolicy", "type", "whenUnsatisfiable", "concurrencyPolicy",
            "pathType", "operator", "updateMode", "effect", "protocol", "reclaimPolicy",
            "volumeBindingMode", "accessModes", "policyTypes", "mode",
        ) and isinstance(value, str) and not _open(place) and len(value) > 3,
        lambda value, dice: _typo(value, dice),
    ),
    "dangling reference": (
        lambda place, value: isinstance(value, str) and (
            place[-1] in ("secretName", "serviceAccountName", "priorityClassName", "claimName",
                          "storageClassName", "receiver")
            or place[-2:] in (("secretKeyRef", "name"), ("configMapKeyRef", "name"),
                              ("scaleTargetRef", "name"), ("targetRef", "name"),
                              ("roleRef", "name"), ("configMap", "name"), ("service", "name"))
        ),
        lambda value, dice: value + "-gone",
    ),
    "bad port": (
        lambda place, value: place[-1] in ("targetPort", "containerPort")
        or (place[-1] == "port" and place[-2] in ("httpGet", "tcpSocket")),
        lambda value, dice: dice.choice([99999, 65536, 0]),
    ),
    "missing metric": (
        lambda place, value: place[-1] == "expr" and "rate(" in str(value),
        lambda value, dice: value.replace("rate(", "rate(gone_", 1),
    ),
    "broken PromQL": (
        lambda place, value: place[-1] == "expr" and ")" in str(value),
        lambda value, dice: value.replace(")", "", 1),
    ),
    "wrong label": (
        lambda place, value: isinstance(value, str) and place[-2:-1] == ("matchLabels",)
        and str(place[-1]).startswith("app.kubernetes.io/name"),
        lambda value, dice: _typo(value, dice),
    ),
    "mutable tag": (
        lambda place, value: place[-1] == "image" and isinstance(value, str)
        and ("@sha256:" in value or ":" in value),
        lambda value, dice: value.partition("@")[0].rpartition(":")[0] + ":latest",
    ),
    "request above limit": (
        # Memory only: a limit of CPU may be left out on purpose.
        lambda place, value: place[-2:] == ("requests", "memory") and "resources" in place,
        lambda value, dice: 10**15,
    ),
    "listed file gone": (
        lambda place, value: place[-2:-1] == ("resources",) and isinstance(value, str)
        and value.endswith(".yaml"),
        lambda value, dice: _typo(value, dice),
    ),
    "bad name": (
        lambda place, value: place[1:] == ("metadata", "name") and value.islower(),
        lambda value, dice: value.upper() + "_",
    ),
    "bad quantity": (
        lambda place, value: place[-1] in ("cpu", "memory") and "resources" in place
        and not isinstance(value, dict),
        lambda value, dice: "4Gib",
    ),
    "bounds crossed": (
        lambda place, value: place[-1] in ("minReplicaCount", "minReplicas"),
        lambda value, dice: 10**6,
    ),
    "dangling pointer": (
        lambda place, value: isinstance(value, str) and len(value) > 4 and _points(place)
        and not any(sign in value for sign in "{}$"),
        lambda value, dice: _typo(value, dice),
    ),
    "label of pods": (
        lambda place, value: place[-4:-1] == ("template", "metadata", "labels")
        and str(place[-1]).endswith("/name"),
        lambda value, dice: _typo(value, dice),
    ),
    "selector of a Service": (
        lambda place, value: place[1:3] == ("spec", "selector") and len(place) == 4
        and isinstance(value, str),
        lambda value, dice: _typo(value, dice),
    ),
    "foreign unit": (
        lambda place, value: isinstance(value, str) and not _open(place)
        and bool(re.fullmatch(r"\d+(ms|s|m|h|d|[KMG]i)", value)),
        _shifted,
    ),
    "other port": (
        lambda place, value: type(value) is int and value > 79 and not _open(place)
        and place[-1] in ("port", "targetPort", "containerPort", "number"),
        lambda value, dice: value + 1,
    ),
    "dangling name in a stack": (
        lambda place, value: isinstance(value, str) and not value.startswith("AWS::")
        and (place[-1] in ("Ref", "Fn::ImportValue", "DependsOn")
             or place[-2:] == ("Fn::GetAtt", 0)),
        lambda value, dice: _typo(value, dice),
    ),
    "text for yes or no": (
        lambda place, value: isinstance(value, bool) and not _open(place),
        lambda value, dice: "yes" if value else "no",
    ),
    "one for a list": (
        lambda place, value: isinstance(value, list) and not _open(place)
        and bool(value) and isinstance(value[0], str) and place[-1] not in _MAY_BE_ONE,
        lambda value, dice: value[0],
    ),
    "list for one": (
        lambda place, value: isinstance(value, str) and not _open(place) and place[-1] != "kind"
        and isinstance(place[-1], str),
        lambda value, dice: [value],
    ),
    "foreign series": (
        lambda place, value: place[-1] == "expr" and bool(_SERIES.search(str(value))),
        lambda value, dice: _SERIES.sub(lambda found: f'{found[1]}="{_typo(found[2], dice)}"',
                                        value, count=1),
    ),
    "foreign namespace": (
        lambda place, value: place[1:] == ("metadata", "namespace"),
        lambda value, dice: value + "-gone",
    ),
}  # fmt: skip


def _values(kind: str, sound: Documents, dice: random.Random) -> Damage | None:
    fits, change = VALUES[kind]
    found = spots(sound, fits)
    if kind == "null":  # in formats that are no objects of a cluster it may mean something
        found = [(p, place) for p, place in found if "kind" in sound[p][int(place[0])]]
    if not found:
        return None
    path, place = _any(found, dice)
    damaged = {**sound, path: copy.deepcopy(sound[path])}
    holder, new = at(damaged[path], place[:-1]), change(at(sound[path], place), dice)
    holder[place[-1]] = new
    return Damage(kind, f"{path} {'.'.join(map(str, place))} = {new!r}"[:160], damaged, path)


def _keys(sound: Documents, dice: random.Random) -> Damage:
    path, place = key_typo(sound, dice)
    damaged = {**sound, path: copy.deepcopy(sound[path])}
    holder, old = at(damaged[path], place[:-1]), str(place[-1])
    holder[_typo(old, dice)] = holder.pop(old)
    return Damage("typo in a key", f"{path} {'.'.join(map(str, place))}", damaged, path)


def _misplaced(sound: Documents, dice: random.Random) -> Damage | None:
    """A key one level too far out, as after a lost indentation."""

    def fits(place: Place, value: Any) -> bool:
        return len(place) > 3 and all(isinstance(part, str) for part in place[-2:]) and not (
            _open(place))  # fmt: skip

    path, place = _any(spots(sound, fits), dice)
    damaged = {**sound, path: copy.deepcopy(sound[path])}
    outer, key = at(damaged[path], place[:-2]), place[-1]
    if key in outer:
        return None
    outer[key] = outer[place[-2]].pop(key)
    said = f"{path} {'.'.join(map(str, place))}"
    return Damage("lost indentation", said, damaged, path)


def _removed(sound: Documents, dice: random.Random) -> Damage:
    path = dice.choice(sorted(path for path in sound if path != "manifest.json"))
    return Damage("removed file", path, {p: d for p, d in sound.items() if p != path}, path)


def _twice(sound: Documents, dice: random.Random) -> Damage:
    fits = [p for p in sorted(sound) if p.startswith("kubernetes/base/") and "kustom" not in p]
    path = dice.choice(fits)
    damaged = {**sound, path: [*sound[path], *sound[path]]}
    return Damage("object twice", path, damaged, path)


def damages(sound: Documents, seed: int, count: int) -> Iterator[Damage]:
    """The same seed does the same damage; every kind in turn."""
    dice, made = random.Random(seed), 0
    kinds: list[Callable[[], Damage | None]] = [
        *(lambda kind=kind: _values(kind, sound, dice) for kind in VALUES),
        *[lambda: _keys(sound, dice)] * 3,
        lambda: _misplaced(sound, dice),
        lambda: _removed(sound, dice),
        lambda: _twice(sound, dice),
    ]
    while made < count:
        for kind in kinds:
            damage = kind()
            if damage is not None and made < count:
                made += 1
                yield damage
