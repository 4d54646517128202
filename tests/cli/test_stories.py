"""Stories: commands and what they print, played against a real conductor with a simulated target.

A story is a text file. ``== name`` writes a file, ``$ command`` runs one in ``sh``; what follows
is its output, standard error included, and ``[exit N]`` its exit code where it is not 0. A line
``...`` stands for any number of lines, and ``...`` within a line for any text. Times, ids and
digests are replaced before comparing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

STORIES = sorted((Path(__file__).parent / "stories").glob("*.txt"))

NORMAL = (
    (re.compile(r"^\+ *\d+\.\d\ds"), "+TIME"),
    (re.compile(r"\b\d+(\.\d+)?(e[+-]\d+)? (us|ms|s)\b"), "TIME"),
    (re.compile(r"\b(v\d+)-[0-9a-f]{8,}(\.[\w-]+)?\b"), r"\1-ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?"), "DATE"),
)


@dataclass(frozen=True)
class Scene:
    """One command and what it has to print."""

    line: int
    words: str
    expected: tuple[str, ...]


def scenes(text: str, project: Path) -> Iterator[Scene]:
    """The commands of a story in order; files are written when they are reached."""
    lines = text.splitlines()
    index = 0
    while index < len(lines):
        head = lines[index]
        body = _body(lines, index + 1)
        if head.startswith("== "):
            (project / head[3:]).write_text("\n".join(body) + "\n")
        elif head.startswith("$ "):
            yield Scene(index + 1, head[2:], tuple(line for line in body if line))
        index += 1 + (len(body) if head.startswith(("== ", "$ ")) else 0)


def _body(lines: list[str], start: int) -> list[str]:
    end = start
    while end < len(lines) and not lines[end].startswith(("$ ", "== ", "# ")):
        end += 1
    return lines[start:end]


def normal(line: str) -> str:
    for pattern, word in NORMAL:
        line = pattern.sub(word, line)
    return line.rstrip()


def told(expected: tuple[str, ...], actual: tuple[str, ...]) -> bool:
    """Whether the actual lines are the expected ones, ``...`` being any number of lines."""
    if not expected:
        return not actual
    if expected[0] == "...":
        rest = expected[1:]
        return any(told(rest, actual[skip:]) for skip in range(len(actual) + 1))
    return bool(actual) and alike(expected[0], actual[0]) and told(expected[1:], actual[1:])


def alike(expected: str, actual: str) -> bool:
    """Within a line ``...`` is any text, and how wide a column is does not matter."""
    parts = (re.escape(" ".join(part.split(" "))) for part in expected.split("..."))
    pattern = re.sub(r"(?:\\ ){2,}", r" +", ".*".join(parts))
    return re.fullmatch(pattern, actual) is not None


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A project directory and an environment in which ``holdfast`` is this one."""
    project, programs = tmp_path / "project", tmp_path / "bin"
    project.mkdir()
    programs.mkdir()
    program = programs / "holdfast"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.cli "$@"\n')
    program.chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}", "HOLDFAST_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path), "NO_COLOR": "1", "USER": "ann",
    }  # fmt: skip
    yield project, environment
    _end_conductor(tmp_path / "home")


def _end_conductor(path: Path) -> None:
    from holdfast.conductor.daemon import stop_daemon
    from holdfast.runtime.home import Home

    stop_daemon(Home(path))


@pytest.mark.live
@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_a_story_is_told_word_for_word(story, stage):
    project, environment = stage
    played = 0
    for scene in scenes(story.read_text(), project):
        done = subprocess.run(
            ["sh", "-c", scene.words], cwd=project, env=environment, timeout=60, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        lines = [normal(line) for line in done.stdout.splitlines() if line.strip()]
        lines += [f"[exit {done.returncode}]"] * bool(done.returncode)
        expected = tuple(normal(line) for line in scene.expected)
        shown = "\n".join(lines)
        assert told(expected, tuple(lines)), f"{story.name}:{scene.line} $ {scene.words}\n{shown}"
        played += 1
    assert played > 1, "a story without commands proves nothing"


def test_the_runner_of_stories_notices_a_wrong_word(tmp_path):
    assert told(("a", "...", "c"), ("a", "b", "b", "c"))
    assert told(("a", "...", "c"), ("a", "c"))
    assert not told(("a", "...", "c"), ("a", "b"))
    assert alike("a  b ... c", "a     b x y c") and not alike("a  b", "a  c")
    assert not told(("a",), ("a", "b")) and not told((), ("a",))
    assert normal("+  4.21s  v2-3f9a1c20 took 12.3 ms") == "+TIME  v2-ID took TIME"
