"""Is a command a Python program that a fork server can import ahead of its start? Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_INTERPRETER = re.compile(r"(.*/)?python[0-9.]*")
_FLAGS = re.compile(r"-[bBdEIOPqRsSuv]+")
_FLAGS_WITH_VALUE = ("-W", "-X")


@dataclass(frozen=True, slots=True)
class PythonCommand:
    """``interpreter`` with its flags; ``program`` is a script or ``-m`` and a module, with its
    arguments."""

    interpreter: tuple[str, ...]
    program: tuple[str, ...]


def parse(words: Sequence[str]) -> PythonCommand | str:
    """The two parts of the command, or why it is no such program."""
    if not words or not _INTERPRETER.fullmatch(words[0]):
        return "only `python script.py` and `python -m module` can start warm"
    at = 1
    while at < len(words) and words[at] != "-m" and words[at].startswith("-"):
        if words[at] in _FLAGS_WITH_VALUE:
            at += 1
        elif not _FLAGS.fullmatch(words[at]) and not words[at].startswith(_FLAGS_WITH_VALUE):
            return f"a program started with {words[at]} cannot start warm"
        at += 1
    program = tuple(words[at:])
    if not program or program == ("-m",):
        return "the command names no script and no module"
    return PythonCommand(tuple(words[:at]), program)
