"""Words on a terminal, lines in a pipe, JSON for programs. Nothing here knows what it prints."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence

import click

#: A colour or weight of text (ECMA-48, Select Graphic Rendition); any other sequence is power.
_COLOUR = re.compile(r"(\x1b\[[0-9;:]*m)")
#: What a colour means, not what it looks like.
TONES = {"good": "green", "bad": "red", "wait": "yellow", "dim": "bright_black", "name": "cyan"}


def colourful() -> bool:
    """Colour only for a person's terminal that did not say no (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not is_dumb()


def is_dumb() -> bool:
    return os.environ.get("TERM") == "dumb"


def is_live() -> bool:
    """May lines be rewritten in place?"""
    return sys.stdout.isatty() and not is_dumb()


def tone(text: str, name: str) -> str:
    return click.style(text, fg=TONES[name]) if colourful() else text


def bold(text: str) -> str:
    return click.style(text, bold=True) if colourful() else text


def plain(text: str) -> str:
    """Text of a replica or of another person, without power over our terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def log_line(text: str) -> str:
    """A line of a program's log. Its colours stay where we use colours ourselves."""
    parts = _COLOUR.split(text)
    if not colourful():
        return "".join(_tabbed(part) for part in parts[::2])
    shown = [part if at % 2 else _tabbed(part) for at, part in enumerate(parts)]
    return "".join(shown) + ("\x1b[0m" if len(parts) > 1 else "")


def _tabbed(text: str) -> str:
    return "\t".join(plain(part) for part in text.split("\t"))


def say(text: str = "") -> None:
    """One line, at once: whoever reads our pipe sees it when it happens."""
    print(text, flush=True)


def say_json(document: object) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=_is_narrow()), flush=True)


def say_json_line(document: object) -> None:
    print(json.dumps(document, separators=(",", ":"), ensure_ascii=_is_narrow()), flush=True)


def _is_narrow() -> bool:
    """Does the locale lack characters? Then JSON has to escape them in its own way."""
    return (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"


def pulse(done: str, things: str, every_s: float = 2.0) -> Callable[[int, int], None]:
    """Progress of what takes long, on the other stream: what programs read stays clean."""
    tell_at = time.monotonic() + every_s

    def tell(count: int, of: int) -> None:
        nonlocal tell_at
        if time.monotonic() >= tell_at:
            tell_at = time.monotonic() + every_s
            print(f"{done} {count:,} of {of:,} {things}", file=sys.stderr, flush=True)

    return tell


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns. The last is not padded, so lines have no trailing blanks."""
    widths = [
        max(len(click.unstyle(row[column])) for row in (header, *rows))
        for column in range(len(header))
    ]
    return [_aligned([tone(word, "dim") for word in header], widths)] + [
        _aligned(row, widths) for row in rows
    ]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell + " " * (width - len(click.unstyle(cell)))
        for cell, width in zip(row, widths, strict=True)
    ]
    return "  ".join(cells).rstrip()
