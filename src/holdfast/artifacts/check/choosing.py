"""Selectors wherever they are: known operators, and names of programs that exist."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.check.whole import Item, Whole, at
from holdfast.artifacts.check.written import Pointer, walk
from holdfast.supply.finding import Finding

_NAME = "app.kubernetes.io/name"
_LABELS = "labels"
#: Names that the charts and manifests of others give their pods and Services.
_OTHERS = frozenset({"argocd-metrics", "cockroachdb", "ingress-nginx", "traefik"})
_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"})


def check(whole: Whole) -> Iterator[Finding]:
    known = _OTHERS | {str(value) for item in whole.items for value, _ in _names(item, given=True)}
    for item in whole.items:
        yield from _operators(item)
        yield from _templates(item)
        for value, place in _names(item, given=False):
            if value not in known:
                found = f"pods named {value}, which nothing is"
                yield item.finding("selector", place, found, "a name that pods have")


def _names(item: Item, *, given: bool) -> Iterator[tuple[str, Pointer]]:
    """Values of the label that names a program: where it is given, or where it is asked for."""
    for place, value in walk(item.body):
        named = place[-1:] == (_NAME,) and isinstance(value, str)
        if named and (place[-2:-1] == (_LABELS,)) is given:
            yield value, place


def _templates(item: Item) -> Iterator[Finding]:
    """What an object makes is named as it is labelled, or as it is called."""
    own = at(item.body, "metadata", "labels", _NAME)
    for place, value in walk(item.body.get("spec")):
        made = place[-4:] == ("template", "metadata", _LABELS, _NAME)
        if (
            made
            and own is not None
            and value != own
            and not f"{item.name}-".startswith(f"{value}-")
        ):
            found = f"a template of things named {value}"
            yield item.finding("label", ("spec", *place), found, str(own))


def _operators(item: Item) -> Iterator[Finding]:
    """Schemas of custom resources leave the operator of a label selector open."""
    for place, value in walk(item.body):
        if place[-2:-1] == ("matchExpressions",):
            operator = at(value, "operator")
            if isinstance(operator, str) and operator not in _OPERATORS:
                found = f"the operator {operator}"
                wanted = ", ".join(sorted(_OPERATORS))
                yield item.finding("selector", (*place, "operator"), found, wanted)
