"""PromQL that is spread over many files, looked at by promtool in one rule file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from holdfast.supply.checkers.job import Job, Outcome, Said, Status
from holdfast.supply.checkers.table import program
from holdfast.supply.finding import Finding

_NAME = "promtool expressions"
_HEAD = "groups:\n- name: all\n  rules:\n"
_AT = re.compile(r"^\S+?: (?P<line>\d+):\d+: (?P<said>.+)$")
_MORE_TEXT = re.compile(r'group "all", rule \d+, "[^"]*": ')


def job(directory: Path, expressions: Sequence[str], origins: Sequence[Finding]) -> Job | Outcome:
    """A call over expressions; ``origins`` are findings to complete, one for each expression.

    Writes its rule file into ``directory``. Raises ``OSError``.
    """
    if not expressions:
        return Outcome(_NAME, Status.NOTHING, 0)
    tool = program("promtool")
    count = len({origin.artifact for origin in origins})
    if tool is None:
        detail = "promtool is not installed: apt-get install prometheus"
        return Outcome(_NAME, Status.NOT_CHECKED, count, detail=detail)
    path = directory / "expressions.rules.yaml"
    rules = (
        f'  - {{record: "e:{i}", expr: {json.dumps(text)}}}\n' for i, text in enumerate(expressions)
    )
    path.write_text(_HEAD + "".join(rules), encoding="utf-8")
    argv = (tool, "check", "rules", str(path.resolve()))
    files = tuple(dict.fromkeys(origin.artifact for origin in origins))
    return Job(_NAME, argv, lambda said: _told(said, origins), files, 120.0)


def _told(said: Said, origins: Sequence[Finding]) -> list[Finding]:
    found = []
    for line in (said.out + "\n" + said.err).splitlines():
        match = _AT.match(line.strip())
        index = int(match["line"]) - _HEAD.count("\n") - 1 if match else -1
        if match and 0 <= index < len(origins):
            origin, words = origins[index], _MORE_TEXT.sub("", match["said"])
            where = (origin.artifact, words, "PromQL", origin.line, origin.key)
            found.append(Finding("promtool/expression", *where))
    return found
