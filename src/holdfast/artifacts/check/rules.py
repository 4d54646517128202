"""Every rule over the whole set, by the name under which it is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from holdfast.artifacts.check import (
    choosing,
    dashboards,
    exposure,
    identity,
    images,
    layout,
    monitoring,
    placeholders,
    ports,
    references,
    resources,
    selectors,
)
from holdfast.artifacts.check.whole import Whole
from holdfast.supply.finding import Finding

Rule = Callable[[Whole], Iterable[Finding]]

RULES: dict[str, Rule] = {
    "names": identity.check,
    "selectors": selectors.check,
    "choosing": choosing.check,
    "ports": ports.check,
    "references": references.check,
    "images": images.check,
    "resources": resources.check,
    "layout": layout.check,
    "monitoring": monitoring.check,
    "dashboards": dashboards.check,
    "exposure": exposure.check,
    "placeholders": placeholders.check,
}


def check(whole: Whole) -> list[Finding]:
    """What contradicts something else in the set."""
    found = [finding for rule in RULES.values() for finding in rule(whole)]
    return sorted(dict.fromkeys(found), key=lambda each: (each.artifact, each.line, each.rule))
