"""Pipelines of an OpenTelemetry collector run through parts that are defined, and leave none out.

Source: OpenTelemetry, "Collector configuration". A connector ends one pipeline and begins another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from holdfast.artifacts.check.structure import Place
from holdfast.artifacts.check.whole import Item, Whole, at, items, table
from holdfast.supply.finding import Finding

#: What a pipeline lists -> the sections that define it.
_LISTED = {
    "receivers": ("receivers", "connectors"),
    "processors": ("processors",),
    "exporters": ("exporters", "connectors"),
}
_USED = {"connectors": ("exporters", "receivers")}
_SECTIONS = frozenset({"receivers", "processors", "exporters", "connectors", "extensions"})
_SIGNALS = ("traces", "metrics", "logs", "profiles")


def check(whole: Whole) -> Iterator[Finding]:
    for item in whole.documents:
        for base in ((), ("spec", "config")):
            config = at(item.body, *base)
            if isinstance(at(config, "service", "pipelines"), dict):
                yield from _config(item, base, config)


def _config(item: Item, base: Place, config: dict[str, Any]) -> Iterator[Finding]:
    used: set[tuple[str, str, str]] = set()
    for place, name, sections in _parts(config):
        known = [section for section in sections if name in table(config, section)]
        used |= {(section, name, str(place[-2])) for section in known}
        if not known:
            wanted = f"one of {', '.join(sorted(_defined(config, sections))) or 'none'}"
            yield item.finding("pipeline", (*base, *place), f"{name}, which is not defined", wanted)
    for section in _SECTIONS & config.keys():
        for name in table(config, section):
            for field in _USED.get(section, (section,)):
                if (section, name, field) not in used:
                    found = f"{name} of {section}, which nothing lists"
                    wanted = f"its name in the {field} it is for"
                    yield item.finding("pipeline", (*base, section, name), found, wanted)
    yield from _unknown(item, base, config)


def _parts(config: dict[str, Any]) -> Iterator[tuple[Place, str, tuple[str, ...]]]:
    """Where a part is listed, its name, and which sections may define it."""
    for index, name in enumerate(items(config, "service", "extensions")):
        yield ("service", "extensions", index), str(name), ("extensions",)
    for pipeline in table(config, "service", "pipelines"):
        for field, sections in _LISTED.items():
            place: Place = ("service", "pipelines", pipeline, field)
            for index, name in enumerate(items(config, *place)):
                yield (*place, index), str(name), sections


def _defined(config: dict[str, Any], sections: tuple[str, ...]) -> set[str]:
    return {name for section in sections for name in table(config, section)}


def _unknown(item: Item, base: Place, config: dict[str, Any]) -> Iterator[Finding]:
    """Sections, signals and lists that the collector does not know, or needs."""
    for section in config.keys() - _SECTIONS - {"service"}:
        yield item.finding("pipeline", (*base, section), f"the section {section}", "a known one")
    for name, lists in table(config, "service", "pipelines").items():
        place: Place = (*base, "service", "pipelines", name)
        if str(name).partition("/")[0] not in _SIGNALS:
            yield item.finding("pipeline", place, f"the signal {name}", ", ".join(_SIGNALS))
        for field in table(lists).keys() - _LISTED.keys():
            yield item.finding("pipeline", (*place, field), f"the list {field}", ", ".join(_LISTED))
        if not all(items(lists, field) for field in ("receivers", "exporters")):
            yield item.finding("pipeline", place, f"{name} without a way in or out", "both")
