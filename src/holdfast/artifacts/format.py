"""Artifacts as bytes: stable, readable, and never broken by what a person put into a field.

YAML is read by parsers of version 1.1 (PyYAML) and 1.2 (Go): a text that either would take for
something else is quoted. Texts of several lines are literal blocks, so a diff shows one line.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import yaml
from yaml.representer import SafeRepresenter
from yaml.resolver import Resolver

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


_TEXT = "tag:yaml.org,2002:str"
_MAP = "tag:yaml.org,2002:map"
_LIST = "tag:yaml.org,2002:seq"
_OTHERS = SafeRepresenter()
_RESOLVER = Resolver()


class _Dumper(yaml.CSafeDumper):
    """The emitter asks twice for every word what a reader would take it for."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:  # noqa: ANN401  # no types
        if kind is yaml.ScalarNode:
            return _resolved(value, tuple(implicit))
        return _MAP if kind is yaml.MappingNode else _LIST


@lru_cache(maxsize=8192)
def _resolved(value: str, implicit: tuple[bool, bool]) -> str:
    resolve: Callable[..., str] = _RESOLVER.resolve
    return resolve(yaml.ScalarNode, value, implicit)


def _node(value: object) -> yaml.Node:
    """The tree that the emitter writes. Every place has its own node: one that occurs twice would
    be written as an anchor, which makes a reader look elsewhere."""
    if isinstance(value, str):
        return yaml.ScalarNode(_TEXT, value, style=_style(value))
    if isinstance(value, dict):
        pairs = [(_node(key), _node(each)) for key, each in value.items()]
        return yaml.MappingNode(_MAP, pairs, flow_style=False)
    if isinstance(value, list | tuple):
        return yaml.SequenceNode(_LIST, [_node(each) for each in value], flow_style=False)
    node: yaml.Node = _OTHERS.represent_data(value)
    return node


@lru_cache(maxsize=4096)
def _style(value: str) -> str | None:
    if "\n" in value and _block_safe(value):
        return "|"
    if _DOUBTFUL.fullmatch(value) or not isinstance(typed(value), str):
        return '"'
    return None


def _block_safe(value: str) -> bool:
    """Literal blocks cannot hold trailing blanks or characters that are not printed."""
    lines = value.split("\n")
    return all(line == line.rstrip() and line.isprintable() for line in lines) and bool(lines[0])


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
        yaml.serialize(_node(each), Dumper=_Dumper, allow_unicode=True, width=_WIDTH)
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
