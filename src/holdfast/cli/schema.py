"""``holdfast schema``: the JSON Schema of the spec, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from holdfast.cli.printing import say, say_json


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write it there instead of printing it.",
)  # fmt: skip
@click.option("--json", "json_wanted", is_flag=True, help="The schema is JSON in any case.")
def command(output: Path | None, json_wanted: bool) -> int:
    """Print the JSON Schema (draft 2020-12) of holdfast.yaml.

    Editors with the YAML language server complete and check a spec that starts with
    "# yaml-language-server: $schema=holdfast.schema.json".
    """
    from holdfast.spec.schema import json_schema

    schema = json_schema()
    if output is None:
        say_json(schema)
        return 0
    output.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if json_wanted:
        say_json({"file": str(output)})
    else:
        say(f"wrote {output}")
    return 0
