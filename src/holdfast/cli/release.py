"""The release a person asks for: a spec file, with the words of the command line laid over it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli.complaint import Complaint
from holdfast.cli.options import Where
from holdfast.cli.reach import named_in, spec_text

if TYPE_CHECKING:
    import yaml

    from holdfast.conductor.client import DeployOptions
    from holdfast.spec.section import Section

_TEXT, _NOTHING, _SECTION = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "null", "map"))


@dataclass(frozen=True, slots=True)
class ReleaseAsked:
    """What ``deploy``, ``up`` and ``plan`` send to the conductor."""

    service: str
    path: Path
    text: str
    version: str | None = None
    force: bool = False
    restart: bool = False
    override_gate: bool = False
    on_conflict: str | None = None

    def options(self, by: str) -> DeployOptions:
        return {
            "spec_path": str(self.path),
            "version": self.version,
            "by": by,
            "force": self.force,
            "restart": self.restart,
            "override_gate": self.override_gate,
            "on_conflict": self.on_conflict,
        }


def asked(
    where: Where, settings: tuple[str, ...] = (), options: Mapping[str, Any] | None = None
) -> ReleaseAsked:
    """Read the spec, apply ``--set``, and name the service."""
    path, text = spec_text(where)
    if settings:
        text = overlay(text, settings)
    named = named_in(path)
    if where.service and named and where.service != named:
        raise Complaint(
            f"{path} is about {named!r}, not {where.service!r}",
            "name the file of that service with -f",
            code="other-service",
        )
    # A file without a readable name goes to the conductor all the same: it lists every problem.
    return ReleaseAsked(named or where.service or "unnamed", path, text, **(options or {}))


def overlay(text: str, settings: tuple[str, ...]) -> str:
    """The spec with each ``path=value`` put in; values are YAML, so ``3`` is a number.

    Works on the nodes and not on their values: every other word stays exactly as it is written,
    where Python would read ``1.10`` as a number, ``yes`` as true and ``010`` as 8.
    """
    import yaml

    changes = [_parsed(setting) for setting in settings]
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(tree, yaml.MappingNode):
            return text  # the loader says what is wrong with it, and where
        for parts, value in changes:
            _put(tree, parts, value)
        return yaml.serialize(tree, Dumper=yaml.SafeDumper, allow_unicode=True, width=math.inf)
    except (yaml.YAMLError, RecursionError):
        return text


def _parsed(setting: str) -> tuple[list[str], yaml.Node]:
    import yaml

    path, equals, value = setting.partition("=")
    parts = path.split(".")
    if not equals or not all(parts):
        raise Complaint(f"found --set {setting!r}, wanted PATH=VALUE", "--set run.env.LEVEL=debug")
    if path == "service":
        raise Complaint("the name of a service cannot be set", "use another spec file")
    try:
        node = yaml.compose(value, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise Complaint(f"the value of --set {setting!r} is not YAML", "quote it") from error
    if parts[:2] == ["run", "env"] and len(parts) == 3:
        # Environment values are text whatever they look like.
        word = node.value if isinstance(node, yaml.ScalarNode) else value
        node = yaml.ScalarNode(_TEXT, word, style='"')
    return parts, node or yaml.ScalarNode(_NOTHING, "")


def _put(tree: yaml.MappingNode, parts: list[str], value: yaml.Node) -> None:
    *parents, last = parts
    section = _top_section()
    for depth, part in enumerate(parents):
        section = _inner_section(section, part)
        said = ".".join(parents[: depth + 1])
        inner = _opened(_get(tree, part), section.short_form() if section else None, said)
        _set(tree, part, inner)
        tree = inner
    _set(tree, last, value)


def _opened(node: yaml.Node | None, short: str | None, said: str) -> yaml.MappingNode:
    """The section that ``node`` is or stands for."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        return node
    section = yaml.MappingNode(_SECTION, [])
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _NOTHING):
        return section
    if short:  # "run: python x.py" becomes "run: {command: python x.py}"
        _set(section, short, node)
        return section
    raise Complaint(
        f"--set goes through {said!r}, which is {node.value!r} and has no parts",
        "name a setting that has a value of its own",
    )


def _get(tree: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((value for key, value in tree.value if key.value == name), None)


def _set(tree: yaml.MappingNode, name: str, value: yaml.Node) -> None:
    import yaml

    for place, (key, _) in enumerate(tree.value):
        if key.value == name:
            tree.value[place] = (key, value)
            return
    tree.value.append((yaml.ScalarNode(_TEXT, name), value))


def _top_section() -> type[Section] | None:
    from holdfast.spec.model import Service

    return Service


def _inner_section(section: type[Section] | None, part: str) -> type[Section] | None:
    """The part of the spec that the key ``part`` of ``section`` holds, if it holds one."""
    from holdfast.spec.section import Section

    field = section.model_fields.get(part) if section is not None else None
    kind = field.annotation if field is not None else None
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None
