"""Formats of JSON for which nobody publishes a schema: their keys, and the words of their lists.

The keys are those that the format has at all, by object, not those that we write. Sources:
grafana/grafana ``kinds/dashboard``; Chaos Toolkit, "The Experiment API Reference"; goharbor/harbor
``api/v2.0/swagger.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.artifacts.check.structure import Place
from holdfast.artifacts.check.whole import Whole, at
from holdfast.artifacts.check.written import walk
from holdfast.supply.finding import Finding


def _of(words: str) -> frozenset[str]:
    return frozenset(words.split())


@dataclass(frozen=True, slots=True)
class Format:
    """``keys``: by the key under which an object stands ("" is the document); ``words``: by field.

    A word's field may be written with the key above it (``provider.type``), which wins.
    """

    fits: Callable[[str, Any], bool]
    keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    words: Mapping[str, frozenset[str]] = field(default_factory=dict)


_ACTIVITY = _of("type name provider tolerance pauses background controls secrets configuration")
_GRAFANA = Format(
    lambda path, document: at(document, "panels") is not None,
    {
        "": _of(
            "annotations description editable fiscalYearStartMonth gnetId graphTooltip id links"
            " liveNow panels preload refresh revision schemaVersion snapshot style tags templating"
            " time timepicker timezone title uid version weekStart"
        ),
        "panels": _of(
            "cacheTimeout collapsed datasource description fieldConfig gridPos hideTimeOverride id"
            " interval libraryPanel links maxDataPoints maxPerRow options panels pluginVersion"
            " queryCachingTTL repeat repeatDirection targets timeFrom timeShift title"
            " transformations transparent type"
        ),
        "datasource": _of("type uid"),
        "gridPos": _of("h w x y static"),
        "fieldConfig": _of("defaults overrides"),
        "defaults": _of(
            "color custom decimals description displayName displayNameFromDS fieldMinMax filterable"
            " links mappings max min noValue nullValueMode path thresholds unit writeable"
        ),
        "thresholds": _of("mode steps"),
        "steps": _of("color index state value"),
        "time": _of("from to"),
        "templating": _of("list"),
        "list": _of(
            "allFormat allValue allowCustomValue auto auto_count auto_min baseFilters builtIn"
            " current datasource defaultKeys definition description enable expr filters hide"
            " iconColor includeAll label label_value multi name options query queryValue refresh"
            " regex skipUrlSync sort tags target text type useTags value"
        ),
    },
)
_CHAOS = Format(
    lambda path, document: at(document, "steady-state-hypothesis") is not None,
    {
        "": _of(
            "version title description tags contributions configuration secrets controls runtime"
            " extensions steady-state-hypothesis method rollbacks"
        ),
        "steady-state-hypothesis": _of("title probes controls"),
        "probes": _ACTIVITY,
        "method": _ACTIVITY,
        "rollbacks": _ACTIVITY,
        "provider": _of(
            "type path arguments timeout url method headers expected_status secrets module func"
            " verify_tls"
        ),
        "tolerance": _of("type name target path pattern expect count range lower upper"),
    },
    {
        "provider.type": _of("process python http"),
        "tolerance.type": _of("probe action regex jsonpath range"),
        "method.type": _of("probe action"),
        "rollbacks.type": _of("probe action"),
        "probes.type": _of("probe"),
    },
)
_HARBOR = Format(
    lambda path, document: path.startswith("containers/harbor/"),
    {
        "tag_selectors": _of("kind decoration pattern extras"),
        "repository": _of("kind decoration pattern extras"),
        "permissions": _of("kind namespace access"),
        "access": _of("resource action effect"),
        "filters": _of("type value decoration"),
    },
    {
        "action": _of(
            "immutable retain pull push read list create delete update stop scanner-pull operate"
        ),
        "algorithm": _of("or"),
        "decoration": _of("matches excludes repoMatches repoExcludes"),
        "kind": _of("doublestar project system Schedule"),
        "level": _of("project system"),
        "severity": _of("none low medium high critical"),
        "template": _of(
            "immutable_template latestPushedK latestPulledN nDaysSinceLastPush nDaysSinceLastPull"
            " always"
        ),
        "type": _of(
            "ali-acr aws-ecr azure-acr docker-hub docker-registry github-ghcr gitlab google-gcr"
            " harbor huawei-SWR jfrog-artifactory quay tencent-tcr volcengine-cr"
        ),
        "filters.type": _of("name tag label resource"),
        "trigger.type": _of("manual scheduled event_based"),
        "schedule.type": _of("Hourly Daily Weekly Custom Manual None"),
    },
)
_FORMATS = (_GRAFANA, _CHAOS, _HARBOR)
#: Below these every key is right, for it belongs to a plugin or to a person.
_FREE = frozenset({"arguments", "configuration", "custom", "headers", "options", "params"})


def check(whole: Whole) -> Iterator[Finding]:
    for file in whole.files:
        if file.path.endswith(".json"):
            for index, document in enumerate(file.objects):
                for known in _FORMATS:
                    if known.fits(file.path, document):
                        for place, rule, said, words in _unknown(document, known):
                            wanted = f"one of {', '.join(sorted(words))}"
                            line = file.line(index, place)
                            yield Finding(
                                f"holdfast/{rule}", file.path, said, wanted, line, file.key
                            )


Unknown = tuple[Place, str, str, frozenset[str]]  # where, rule, what, what the format has


def _unknown(document: Any, known: Format) -> Iterator[Unknown]:
    for place, value in walk(document):
        names = [part for part in place if isinstance(part, str)]
        if isinstance(value, dict) and _FREE.isdisjoint(names):
            yield from _keys(place, value, known.keys.get(names[-1] if names else ""))
        elif isinstance(value, str) and names and isinstance(place[-1], str):
            words = known.words.get(".".join(names[-2:])) or known.words.get(names[-1])
            if words is not None and value not in words:
                yield place, "word", f"the {names[-1]} {value}", words


def _keys(place: Place, value: dict[str, Any], known: frozenset[str] | None) -> Iterator[Unknown]:
    for key in value:
        if known is not None and key not in known:
            yield (*place, key), "key", f"the key {key}, which the format does not have", known
