"""A key that is written once, where everything of its kind writes nearly the same word.

Of many formats nobody publishes a schema, and some schemas allow any key. But a set says the same
things for every region and every object of a kind: who alone spells a word differently is wrong.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from holdfast.artifacts.check.forms import kind_key
from holdfast.artifacts.check.structure import Place
from holdfast.artifacts.check.whole import Whole, at
from holdfast.artifacts.check.written import Written, walk
from holdfast.supply.finding import Finding

_ALIKE = 0.84  # of difflib: one letter lost in five, added or exchanged
_PART = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")  # words of a key, however they are joined
_LEAST = 4  # letters; shorter words are near to too many others
#: Below these any key is right.
_FREE = frozenset({
    "annotations", "data", "labels", "matchLabels", "nodeSelector", "options", "parameters",
    "stringData",
})  # fmt: skip


Where = tuple[Written, int, Place, dict[str, Any]]  # file, document, the key's place, its object


def check(whole: Whole) -> Iterator[Finding]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    first: dict[tuple[str, str], Where] = {}
    for file in whole.files:
        for index, document in enumerate(file.objects):
            for group, place, value in _objects(file, document):
                for word in value:
                    counts[group][word] += 1
                    first.setdefault((group, word), (file, index, (*place, word), value))
    for group, words in counts.items():
        yield from _odd(words, {word: first[group, word] for word in words})
    yield from _words(whole)


def _odd(counts: Counter[str], first: dict[str, Where]) -> Iterator[Finding]:
    usual = [word for word, count in counts.items() if count > 1 and isinstance(word, str)]
    for word, count in counts.items():
        if count == 1 and isinstance(word, str) and len(word) >= _LEAST:
            file, index, place, beside = first[word]
            near = get_close_matches(word, usual, n=1, cutoff=_ALIKE)
            if near and near[0] not in beside and _misspelt(word, near[0]):
                found = f"the key {word}, which nothing else of its kind has"
                where = (file.path, found, near[0], file.line(index, place), file.key)
                yield Finding("holdfast/spelling", *where)


#: Fields whose values are words of a list, whatever the format.
_WORDS = frozenset({"type", "whenUnsatisfiable", "effect", "operator", "mode", "action"})


def _words(whole: Whole) -> Iterator[Finding]:
    """The same for the words of a list, over the whole set."""
    places: dict[tuple[str, str], list[tuple[Written, int, Place]]] = defaultdict(list)
    for file in whole.files:
        for index, document in enumerate(file.objects):
            for place, value in walk(document):
                if isinstance(value, str) and place and place[-1] in _WORDS:
                    places[str(place[-1]), value].append((file, index, place))
    for (field, word), found in places.items():
        if len(found) == 1 and len(word) >= _LEAST:
            usual = [w for (f, w), each in places.items() if f == field and len(each) > 1]
            near = get_close_matches(word, usual, n=1, cutoff=_ALIKE)
            if near and _misspelt(word, near[0]):
                file, index, place = found[0]
                said = f"the {field} {word}, which nothing else has"
                where = (file.path, said, near[0], file.line(index, place), file.key)
                yield Finding("holdfast/spelling", *where)


def _misspelt(word: str, usual: str) -> bool:
    """Fingers get the first letter right. Singular and plural are two keys, and so are two numbers
    of one row and a name with one word more (``StringNotEquals``)."""
    plural = usual + "s" == word or word + "s" == usual
    row = usual.rstrip("0123456789") == word.rstrip("0123456789")
    return word[0] == usual[0] and not plural and not row and not _longer(word, usual)


def _longer(one: str, other: str) -> bool:
    """Whether one has all the words of the other, and more."""
    few, many = sorted((_PART.findall(one), _PART.findall(other)), key=len)
    return len(few) < len(many) and all(part in many for part in few)


def _objects(file: Written, document: Any) -> Iterator[tuple[str, Place, dict[str, Any]]]:
    """Every object with the group in which its keys are compared: kind, resource type, folder."""
    resources = at(document, "Resources")
    stack = isinstance(resources, dict)
    kind = kind_key(document) if isinstance(document, dict) else ""
    folder = kind or _folder(file.path)
    for place, value in walk(document):
        if not isinstance(value, dict) or not _FREE.isdisjoint(place):
            continue
        if stack and len(place) < 2:
            continue  # sections are known, names of resources are free
        of_resource = stack and place[0] == "Resources"
        yield (str(at(resources, place[1], "Type")) if of_resource else folder), place, value


def _folder(path: str) -> str:
    """Values of charts are no format of one kind: each chart has its own words."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{re.split(r'[-.]', name)[0]}" if folder.endswith("helm") else folder
