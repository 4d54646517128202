"""A runbook as data, and as the Markdown that somebody reads at night.

A line that begins with ``$ `` is a command; neighbours share a block that can be copied. Every
other line is a sentence. What a person must fill in is an environment variable that a command
before it sets: ``$POD``, ``$NODE``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from holdfast.artifacts.names import duration
from holdfast.spec.model import Service

_COMMAND: Final = "$ "


@dataclass(frozen=True, slots=True)
class Page:
    """``means``: one sentence; ``call``: whom besides the one who reads this, and when."""

    title: str
    means: str
    look: Sequence[str]
    act: Sequence[str]
    verify: Sequence[str]
    call: str = ""
    severity: str = "page"


@dataclass(frozen=True, slots=True)
class Steps:
    """What is special to one alert; the rest of its page is the same for all."""

    look: Sequence[str]
    act: Sequence[str]
    verify: Sequence[str] = field(default=())
    call: str = ""


def markdown(page: Page, service: Service) -> str:
    sections = (
        ("What it means", [page.means]),
        ("Look", page.look),
        ("Act", page.act),
        ("Verify", page.verify),
        ("Call", list(_calls(page, service))),
    )
    parts = [f"# {page.title}"]
    for title, lines in sections:
        parts += ["", f"## {title}", "", *_blocks(lines)]
    return "\n".join(parts) + "\n"


def _calls(page: Page, service: Service) -> Iterator[str]:
    after = duration(max(1.0, service.observability.escalate_after))
    if page.severity == "page":
        yield (
            f"Acknowledge in PagerDuty. Not better after {after}, or unsure what you see: call the "
            "second line; nobody is blamed for calling."
        )
    else:
        yield "Nobody needs to be woken. Say in Slack that you have it."
    if page.call:
        yield page.call


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    """Sentences as paragraphs, commands that follow each other as one block."""
    for number, (is_command, group) in enumerate(groupby(lines, lambda x: x.startswith(_COMMAND))):
        if number:
            yield ""
        if is_command:
            yield "```sh"
            yield from (line.removeprefix(_COMMAND) for line in group)
            yield "```"
        else:
            yield from "\n\n".join(group).split("\n")


def commands(page: str) -> list[str]:
    """The commands of a page as it was written."""
    found, inside = [], False
    for line in page.splitlines():
        if line.startswith("```"):
            inside = line == "```sh"
        elif inside:
            found.append(line)
    return found
