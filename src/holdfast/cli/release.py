"""The release a person asks for: a spec file, with the words of the command line laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli.complaint import Complaint
from holdfast.cli.options import Where
from holdfast.cli.reach import named_in, spec_text

if TYPE_CHECKING:
    from holdfast.conductor.client import DeployOptions
    from holdfast.spec.section import Section


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
    """The spec with each ``path=value`` put in; values are YAML, so ``3`` is a number."""
    import yaml

    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Complaint("the spec is not YAML", "holdfast validate", code="invalid-spec") from error
    if not isinstance(tree, dict):
        raise Complaint("the spec is not a mapping", "holdfast validate", code="invalid-spec")
    for setting in settings:
        _put(tree, *_parsed(setting))
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def _parsed(setting: str) -> tuple[list[str], Any]:
    import yaml

    path, equals, value = setting.partition("=")
    parts = path.split(".")
    if not equals or not all(parts):
        raise Complaint(f"found --set {setting!r}, wanted PATH=VALUE", "--set run.env.LEVEL=debug")
    if path == "service":
        raise Complaint("the name of a service cannot be set", "use another spec file")
    try:
        return parts, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise Complaint(f"the value of --set {setting!r} is not YAML", "quote it") from error


def _put(tree: dict[str, Any], parts: list[str], value: object) -> None:
    *parents, last = parts
    section = _top_section()
    for depth, part in enumerate(parents):
        section = _inner_section(section, part)
        short = section.short_form() if section is not None else None
        inner = tree.get(part)
        if inner is None:
            inner = {}
        elif short and not isinstance(inner, dict):
            inner = {short: inner}  # "run: python x.py" becomes "run: {command: python x.py}"
        if not isinstance(inner, dict):
            said = ".".join(parents[: depth + 1])
            raise Complaint(
                f"--set goes through {said!r}, which is {inner!r} and has no parts",
                "name a setting that has a value of its own",
            )
        tree[part] = inner
        tree = inner
    # Environment values are text whatever they look like.
    tree[last] = str(value) if parents[-2:] == ["run", "env"] else value


def _top_section() -> type[Section] | None:
    from holdfast.spec.model import Service

    return Service


def _inner_section(section: type[Section] | None, part: str) -> type[Section] | None:
    """The part of the spec that the key ``part`` of ``section`` holds, if it holds one."""
    from holdfast.spec.section import Section

    field = section.model_fields.get(part) if section is not None else None
    kind = field.annotation if field is not None else None
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None
