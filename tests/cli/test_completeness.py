"""Every verb exists, speaks JSON, explains itself and is documented."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from holdfast.cli import COMMANDS, SECTIONS, cli
from holdfast.cli.reference import reference
from holdfast.rollout import commands as rules
from holdfast.rollout.model import HoldCode

ROOT = Path(__file__).parents[2]
#: Prints text for a shell or an editor to read, which is a program's format already.
SPEAKS_ONE_FORMAT = {"schema"}


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def leaves(name: str) -> list[tuple[str, click.Command]]:
    found = command(name)
    if isinstance(found, click.Group):
        return [(f"{name} {word}", inner) for word, inner in found.commands.items()]
    return [(name, found)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_of_the_table_can_be_imported(name):
    assert isinstance(command(name), click.Command)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - SPEAKS_ONE_FORMAT))
def test_every_verb_speaks_json(name):
    for path, leaf in leaves(name):
        options = {option for param in leaf.params for option in param.opts}
        assert "--json" in options, path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_and_each_of_its_options_explains_itself(name):
    for path, leaf in leaves(name):
        assert leaf.help and leaf.help.strip().splitlines()[0].endswith("."), path
        for param in leaf.params:
            if isinstance(param, click.Option) and not param.is_flag:
                assert param.help, (path, param.name)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_verb_can_be_asked_for(shell, name):
    ran = shell(name, "--help")
    assert ran.code == 0 and ran.out.startswith(f"Usage: holdfast {name}"), ran


def test_the_reference_is_what_the_program_says():
    written = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert written == reference(), "run: make docs"


def test_every_verb_has_its_section_in_the_operations_guide():
    text = (ROOT / "docs" / "guides" / "operations.md").read_text(encoding="utf-8")
    missing = [name for name in COMMANDS if f"holdfast {name}" not in text]
    assert missing == []


def test_every_reason_to_wait_is_in_the_operations_guide():
    text = (ROOT / "docs" / "guides" / "operations.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE))
    assert listed == {code.value for code in HoldCode}


def test_help_names_every_verb_in_its_section(shell):
    out = shell("--help").out
    for title, commands in SECTIONS.items():
        part = out.partition(f"{title}:\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in part.splitlines()] == list(commands)


def test_help_imports_no_command_and_nothing_heavy():
    # The reason why --help is fast, in a form that does not depend on the machine.
    code = (
        "import sys; from holdfast.cli import main; main(['--help']);"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in"
        " ('holdfast', 'pydantic', 'rich', 'asyncio', 'yaml', 'cryptography')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "['holdfast', 'holdfast.cli']"


def test_the_version_is_one_line(shell):
    assert shell("--version").out == "holdfast 0.1.0\n"


def test_options_that_a_hint_of_the_rules_names_exist():
    text = Path(rules.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r"--[a-z-]+", text))
    both = [*command("deploy").params, *command("rollback").params]
    known = {option for each in both for option in each.opts}
    assert {"--override-gate", "--on-conflict", "--force"} <= named <= known
