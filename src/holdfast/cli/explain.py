"""``holdfast explain``: every setting, its value and where it comes from; or all about one key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.complaint import Complaint
from holdfast.cli.options import Where, offering
from holdfast.cli.printing import bold, say, say_json, table, tone
from holdfast.cli.problems import as_json, count, located, show

if TYPE_CHECKING:
    from holdfast.spec.fields import Key
    from holdfast.spec.origin import Setting

USAGE = 2
#: A longer value is cut in the table; ``--json`` has all of it.
VALUE_WIDTH_MAX = 48


def _known_keys(where: Where) -> Iterator[str]:
    from holdfast.spec.fields import catalogue, dotted

    return (dotted(place) for place in catalogue() if place)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument(
    "path", required=False, metavar="[KEY|FILE[:LINE]]", shell_complete=offering(_known_keys)
)
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), metavar="FILE",
    help="The spec file, or its directory. Default: the nearest holdfast.yaml.",
)  # fmt: skip
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def command(path: str | None, file: Path | None, json_wanted: bool) -> int:
    """List every setting with its value and where it comes from.

    With a KEY such as rollout.strategy: what it is for, what it may be, its default, an example,
    and its value in your spec if there is one.

    With a FILE of a rendered set, such as out/kubernetes/base/deployment.yaml:40: what it is, who
    checks it, and the settings that shape it or that line.
    """
    from holdfast.cli.explaining import explain, question
    from holdfast.spec.problem import Invalid

    if path and (asked := question(path)):
        explain(asked, file, json_wanted)
        return 0

    if path and Path(path).suffix in (".yaml", ".yml"):
        file, path = Path(path), None
    keys = _keys(path) if path else []
    try:
        settings = _settings(file)
    except Invalid as error:
        if file is None and path and not error.text:  # a key can be explained without a spec
            settings = []
        else:
            _refuse(error, json_wanted)
            return USAGE
    if keys:
        _tell(keys, settings, json_wanted)
    else:
        _list(settings, json_wanted)
    return 0


def _refuse(error: Any, json_wanted: bool) -> None:  # noqa: ANN401  # Invalid, imported late
    if json_wanted:
        say_json({"valid": False, "problems": as_json(error.problems)})
    else:
        show(error.problems, error.text, "error", "bad")


def _settings(file: Path | None) -> list[Setting]:
    from holdfast.spec.load import read
    from holdfast.spec.origin import settings

    # A release that nobody named gets its version when it is deployed.
    return settings(read(located(file)), {"version": (None, "the deploy")})


def _list(settings: list[Setting], json_wanted: bool) -> None:
    from holdfast.spec.fields import find, generic
    from holdfast.spec.written import flow

    if json_wanted:
        say_json({"settings": [_setting_json(s, find(generic(s.path))) for s in settings]})
        return
    rows = []
    for setting in settings:
        value = flow(setting.value) if setting.value is not None else "none"
        shown = value if len(value) <= VALUE_WIDTH_MAX else value[: VALUE_WIDTH_MAX - 3] + "..."
        colour = "dim" if setting.line is None else "good"
        rows.append((setting.name, shown, tone(setting.origin, colour)))
    for line in table(("key", "value", "origin"), rows):
        say(line)
    written = sum(setting.line is not None for setting in settings)
    say(f"{count(len(settings), 'setting')}, {written} of them from the file")


def _setting_json(setting: Setting, key: Key | None) -> dict[str, Any]:
    return {
        "key": setting.name,
        "value": setting.value,
        "origin": setting.origin,
        "line": setting.line,
        "doc": key.doc if key else "",
    }


def _keys(path: str) -> list[Key]:
    """The key named and all below it. A list item is named with or without its number."""
    import re

    from holdfast.spec.fields import catalogue, find

    parts = tuple(part for part in re.sub(r"\[\d*\]", "", path).split(".") if part)
    known = catalogue()
    named = {tuple(part for part in place if part != "[]"): place for place in reversed(known)}
    exact = known.get(named.get(parts, parts)) or find(parts)
    if exact is None:
        from holdfast.spec.translate import suggest

        near = suggest(parts[-1] if parts else path, parts[:-1])
        hint = f"did you mean {' or '.join(near)}?" if near else "holdfast explain lists all keys"
        raise Complaint(f"there is no key {path!r}", hint, code="unknown-key")
    return [key for place, key in known.items() if place[: len(exact.path)] == exact.path]


def _tell(keys: list[Key], settings: list[Setting], json_wanted: bool) -> None:
    from holdfast.spec.fields import generic

    first = keys[0]
    mine = [s for s in settings if generic(s.path)[: len(first.path)] == first.path]
    if json_wanted:
        say_json({**_key_json(first), "keys": [_key_json(key) for key in keys[1:]],
                  "settings": [_setting_json(s, first) for s in mine]})  # fmt: skip
        return
    say(bold(first.name))
    say(f"  {first.doc}")
    _facts(first)
    if len(keys) > 1:
        say()
        for line in table(("key", "is"), [(key.name, key.doc) for key in keys[1:]]):
            say(f"  {line}")
    _in_spec(mine)


def _facts(key: Key) -> None:
    from holdfast.spec.reference import default_of, example_of
    from holdfast.spec.written import flow

    facts = {"may be": key.wanted, "default": default_of(key).strip("`")}
    example = example_of(key)
    if example is not None:
        facts["example"] = f"{key.path[-1]}: {flow(example)}"
    for word, fact in facts.items():
        if fact:
            say(f"  {tone(word.ljust(8), 'dim')} {fact}")


def _in_spec(settings: list[Setting]) -> None:
    from holdfast.spec.written import flow

    if not settings:
        return
    say()
    for setting in settings:
        say(f"  {setting.name}: {flow(setting.value)}  {tone(setting.origin, 'dim')}")


def _key_json(key: Key) -> dict[str, Any]:
    from holdfast.spec.reference import example_of
    from holdfast.spec.written import plain

    default = None if key.required else plain(key.hint_type, key.default)
    return {
        "key": key.name,
        "doc": key.doc,
        "wanted": key.wanted,
        "required": key.required,
        "default": default,
        "example": example_of(key),
    }
