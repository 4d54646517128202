"""Artifacts as bytes: stable, readable, and never broken by what a person put into a field.

YAML is read by parsers of version 1.1 (PyYAML) and 1.2 (Go): a text that either would take for
something else is quoted. Texts of several lines are literal blocks, so a diff shows one line.
"""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

import yaml

from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.versions import ACTIONS
from holdfast.spec.scalar import typed

_JSON = (".json", ".webmanifest")
#: Words that YAML 1.1 takes for something that is no text, beyond what PyYAML quotes by itself.
_DOUBTFUL = re.compile(r"[-+.]?[0-9][0-9_.,:eExXoObBa-fA-F+-]*|[yYnN]|~|=|<<")
_USES = re.compile(r"^( *(?:- )?uses: )(\S+@[0-9a-f]{40})$", re.MULTILINE)
_TAGS = {action.reference: action.tag for action in ACTIONS}
_HEADER_WIDTH = 97  # with a comment mark of up to three characters: 100
_WIDTH = 2**20  # lines are never folded: a folded line is a puzzle in a diff


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True  # anchors make a reader look elsewhere


def _text(dumper: Any, value: str) -> yaml.ScalarNode:  # noqa: ANN401  # the emitter has no types
    tag, style = "tag:yaml.org,2002:str", None
    if "\n" in value and _block_safe(value):
        style = "|"
    elif _DOUBTFUL.fullmatch(value) or not isinstance(typed(value), str):
        style = '"'
    node: yaml.ScalarNode = dumper.represent_scalar(tag, value, style=style)
    return node


def _block_safe(value: str) -> bool:
    """Literal blocks cannot hold trailing blanks or characters that are not printed."""
    lines = value.split("\n")
    return all(line == line.rstrip() and line.isprintable() for line in lines) and bool(lines[0])


_Dumper.add_representer(str, _text)


def written(artifact: Artifact) -> bytes:
    """The file, header included, as UTF-8 with a newline at its end."""
    if artifact.suffix in _JSON:
        return (json.dumps(artifact.body, indent=2, ensure_ascii=False) + "\n").encode()
    body = artifact.body if isinstance(artifact.body, str) else yaml_text(artifact.objects())
    if "/workflows/" in artifact.path:
        body = _USES.sub(_with_tag, body)
    return _with_header(artifact, body).encode()


def yaml_text(documents: tuple[dict[str, Any], ...]) -> str:
    """YAML documents, separated by ``---``."""
    return "---\n".join(
        yaml.dump(each, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
        for each in documents
    )


def _with_tag(found: re.Match[str]) -> str:
    """The tag behind the commit of an action, where people and Dependabot look for it."""
    tag = _TAGS.get(found[2])
    return f"{found[0]} # {tag}" if tag else found[0]


def header(artifact: Artifact) -> tuple[str, ...]:
    """What it is, what shaped it, what it serves: lines without a comment mark."""
    shaped = ", ".join(artifact.keys) or "nothing; it is the same for every service"
    rows = f" Serves {', '.join(artifact.rows)}." if artifact.rows else ""
    changed = f"Changed by {_one_line(', '.join(artifact.overrides))}."
    said = (
        _one_line(artifact.about),
        f"Shaped by {shaped} in holdfast.yaml.{rows}",
        *([changed] if artifact.overrides else []),
        "Written by `holdfast render`; change the spec or an override instead of this file.",
    )
    return tuple(line for each in said for line in _wrapped(each))


def _wrapped(sentence: str) -> list[str]:
    """Lines that fit beside a comment mark; a longer word, such as a path, stays whole."""
    return textwrap.wrap(
        sentence, _HEADER_WIDTH, subsequent_indent="  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _with_header(artifact: Artifact, body: str) -> str:
    if artifact.suffix == ".md":
        lines = "\n".join(header(artifact)).replace("--", "- -")
        title, _, rest = body.partition("\n")
        return f"{title}\n\n<!--\n{lines}\n-->\n{rest}"
    mark = "//" if artifact.suffix in (".js", ".hcl") else ";" if artifact.suffix == ".ini" else "#"
    comment = "\n".join(f"{mark} {line}" for line in header(artifact))
    if body.startswith("#!") or (
        artifact.name.startswith("Dockerfile") and body.startswith("# syntax=")
    ):
        first, _, rest = body.partition("\n")
        return f"{first}\n{comment}\n{rest}"
    return f"{comment}\n{body}"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
