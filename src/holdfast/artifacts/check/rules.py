"""Every rule over the whole set, by the name under which it is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from holdfast.artifacts.check import (
    addresses,
    choosing,
    dashboards,
    exposure,
    identity,
    images,
    layout,
    monitoring,
    pipelines,
    placeholders,
    pointing,
    ports,
    references,
    resources,
    selectors,
    spelling,
    stacks,
    units,
    vocabulary,
)
from holdfast.artifacts.check.whole import Whole
from holdfast.supply.finding import Finding

Rule = Callable[[Whole], Iterable[Finding]]

RULES: dict[str, Rule] = {
    "names": identity.check,
    "selectors": selectors.check,
    "choosing": choosing.check,
    "ports": ports.check,
    "addresses": addresses.check,
    "references": references.check,
    "pointing": pointing.check,
    "images": images.check,
    "resources": resources.check,
    "layout": layout.check,
    "monitoring": monitoring.check,
    "dashboards": dashboards.check,
    "pipelines": pipelines.check,
    "vocabulary": vocabulary.check,
    "exposure": exposure.check,
    "stacks": stacks.check,
    "spelling": spelling.check,
    "units": units.check,
    "placeholders": placeholders.check,
}


def check(whole: Whole) -> list[Finding]:
    """What contradicts something else in the set."""
    found = [finding for rule in RULES.values() for finding in rule(whole)]
    return sorted(dict.fromkeys(found), key=lambda each: (each.artifact, each.line, each.rule))
