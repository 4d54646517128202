"""Amounts in units that the readers of these files know: ``30s``, not ``30sec``.

Go's durations, Prometheus', Kubernetes' quantities and Elasticsearch's sizes; a number with any
other word behind it is read by none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.artifacts.check.whole import Whole
from holdfast.artifacts.check.written import walk
from holdfast.supply.finding import Finding

#: A number and a word as people write them elsewhere.
_FOREIGN = re.compile(
    r"\d+(\.\d+)?\s?"
    r"(msecs?|secs?|seconds?|mins?|minutes?|hrs?|hours?|days?|weeks?|[KMGT]iB|[KMGT]ib)"
)
#: Below these texts are for people or for other programs.
_FREE = frozenset({
    "annotations", "data", "description", "env", "environment", "labels", "message", "parameters",
    "stringData", "summary", "title",
})  # fmt: skip


def check(whole: Whole) -> Iterator[Finding]:
    for file in whole.files:
        for index, document in enumerate(file.objects):
            for place, value in walk(document):
                if isinstance(value, str) and _FOREIGN.fullmatch(value) and not _FREE & {*place}:
                    found, line = f"the amount {value}", file.line(index, place)
                    where = (file.path, found, "such as 30s, 5m, 4Gi", line, file.key)
                    yield Finding("holdfast/unit", *where)
