"""Texts of the spec inside a Dockerfile, a Compose file and a Bake file, each by its own rules.

Each format expands something after a dollar; a value must arrive exactly as it was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from holdfast.artifacts import names
from holdfast.spec.model import Service

_TOLD = re.compile(r"\$(\{)?(PORT|HOLDFAST_(?:SERVICE|RELEASE|VERSION|REPLICA))(?(1)\}|\b)")
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATH = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._-]*)+")
HOME = "/app"  # the working directory of every image


def told(service: Service) -> dict[str, str]:
    """What an instance is told where nobody else tells it."""
    return {
        "PORT": str(service.traffic.port),
        "HOLDFAST_SERVICE": service.service,
        "HOLDFAST_RELEASE": names.version(service),
        "HOLDFAST_VERSION": names.version(service),
        "HOLDFAST_REPLICA": "0",
    }


def command(service: Service) -> list[str]:
    """The program and its arguments with ``$PORT`` and the like filled in: there is no shell."""
    values = told(service)
    return [_TOLD.sub(lambda found: values[found[2]], word) for word in names.command(service)]


def program(service: Service) -> str:
    """Where a compiled program lies in the image, as ``run.command`` calls it."""
    first = names.command(service)[0]
    if _PATH.fullmatch(first):
        return first
    name = first.rpartition("/")[2]
    return f"{HOME}/{name if _PROGRAM.fullmatch(name) else service.service}"


def exec_form(words: Iterable[str]) -> str:
    """A JSON array, the form of ENTRYPOINT and CMD that no shell reads."""
    return json.dumps(list(words))


def quoted(text: str) -> str:
    """A value of LABEL or ENV in double quotes; what cannot be printed becomes a blank."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    for special in ("\\", '"', "$"):
        shown = shown.replace(special, "\\" + special)
    return f'"{shown}"'


def compose(text: str) -> str:
    """Compose expands ``$NAME`` in every value."""
    return text.replace("$", "$$")


def bake(text: str) -> str:
    """Bake reads every text as an HCL template."""
    return text.replace("${", "$${").replace("%{", "%%{")


def instruction(name: str, values: Mapping[str, str]) -> list[str]:
    """``ENV`` or ``LABEL`` with one value a line; the values are quoted already."""
    if not values:
        return []
    return [f"{name} " + " \\\n    ".join(f"{key}={value}" for key, value in values.items())]
