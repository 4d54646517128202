"""What the guides tell people to type and to write is what the program understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from holdfast.cli import cli
from holdfast.spec.load import load_text

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
PAGES = ("quickstart.md", "operations.md", "exit-codes.md", "render.md", "backup.md")


def blocks(page: str, language: str) -> list[str]:
    text = (GUIDES / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every ``holdfast ...`` of the guides, in a block or between backticks."""
    found = []
    for page in PAGES:
        text = (GUIDES / page).read_text(encoding="utf-8")
        lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
        lines += [code.replace("\n", " ") for code in re.findall(r"`(holdfast [^`]+)`", text)]
        found += [re.split(r"[|;#)]", line)[0].strip() for line in lines]
    return sorted({line for line in found if line.startswith("holdfast ")})


@pytest.mark.parametrize("line", commands())
def test_every_command_in_the_guides_can_be_typed(line):
    _program, name, *words = shlex.split(line.replace("$GIT_COMMIT", "4f1c9a2"))
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, line
    command.make_context(name, words)  # raises where a word or an option is unknown


def test_the_guides_have_commands():
    assert len(commands()) >= 20


def test_the_specs_of_the_quick_start_are_valid():
    first, canary = blocks("quickstart.md", "yaml")
    assert load_text(first).service == "hello"
    assert load_text(first + canary).rollout.strategy == "canary"


@pytest.mark.parametrize("page", PAGES)
def test_links_between_the_guides_lead_somewhere(page):
    text = (GUIDES / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)", text)
    assert [target for target in targets if not (GUIDES / target).exists()] == []
