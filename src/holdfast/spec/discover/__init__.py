"""A first ``holdfast.yaml`` from what a project says about itself. Looks at files, runs nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.spec.discover import compiled, container, node, python
from holdfast.spec.discover.clue import Clue, Project, ready_path
from holdfast.spec.load import Invalid, load_text
from holdfast.spec.problem import one_line
from holdfast.spec.written import flow

#: Files that are looked for, in the order in which people are told.
LOOKED_FOR = (
    "Procfile", "pyproject.toml", "requirements.txt", "manage.py", "package.json", "Cargo.toml",
    "go.mod", "Dockerfile", "compose.yaml",
)  # fmt: skip
PORT = 8080


@dataclass(frozen=True)
class Discovery:
    """What was found. ``command`` is None when nothing says how the project runs."""

    name: str
    command: str | None
    port: int
    ready: str | None
    build: str | None
    used: tuple[Clue, ...]  # the clues that decided something
    clues: tuple[Clue, ...]

    @property
    def text(self) -> str:
        """The spec, commented."""
        return _spec(self)


def discover(directory: Path) -> Discovery:
    """Look at a project. Files that make no sense are said and passed over. The result loads."""
    project = Project(directory)
    clues = tuple(
        clue
        for look in (python.look, node.look, compiled.look, container.look, ready_path)
        for clue in look(project)
    ) + tuple(project.unread.values())
    command = max((c for c in clues if c.command), key=lambda c: c.sure, default=None)
    port = next((c for c in clues if c.port), None)
    ready = next((c for c in clues if c.ready), None)
    name = next((c for c in clues if c.name), None)
    found = Discovery(
        name=service_name(name.name if name and name.name else directory.absolute().name),
        command=command.command if command else None,
        port=port.port if port and port.port and port.port >= 1024 else PORT,
        ready=ready.ready if ready else None,
        build=command.build if command else None,
        used=tuple(dict.fromkeys(c for c in (name, command, port, ready) if c)),
        clues=clues,
    )
    return found if _loads(found) else replace(found, command=None, build=None)


def _loads(found: Discovery) -> bool:
    """A project can name its program in ways that no spec can say, such as with a NUL."""
    try:
        load_text(found.text)
    except Invalid:
        return False
    return True


def service_name(text: str) -> str:
    """The nearest allowed name: ``@acme/Shop_API`` is ``shop-api``."""
    words = re.sub(r"[^a-z0-9]+", "-", text.rpartition("/")[2].lower()).strip("-")
    return re.sub(r"^[^a-z]+", "", words)[:63].strip("-") or "service"


def _spec(found: Discovery) -> str:
    clues = [f"#   {one_line(clue.file)} {one_line(clue.says)}" for clue in found.used]
    because = ["# Written by `holdfast init` because:", *clues] if clues else []
    return "\n".join([
        f"# How {found.name} runs and what is promised about it.",
        *because,
        "# `holdfast explain` lists every key, `holdfast validate` checks this file.",
        "",
        f"service: {found.name}",
        *_run(found),
        "replicas: 2",
        _beside(f"traffic: {found.port}", "users connect here"),
        *_probes(found),
        _beside("rollout: rolling", "or blue-green; or canary, judged while traffic rises"),
        "# promises: {p99: 50ms, availability: 99.9}   # measured by `holdfast drill`",
        "",
    ])  # fmt: skip


def _beside(text: str, comment: str) -> str:
    return f"{text:<24}# {comment}"


def _run(found: Discovery) -> list[str]:
    if found.command is None:
        return [
            "# Nothing here says how the project runs. Put its command in place of this stand-in;",
            "# it must listen on the port in $PORT, which differs for every replica.",
            "run: ./program",
        ]
    first = [f"# Before the first deploy: {one_line(found.build)}"] if found.build else []
    return [
        *first,
        "# The program must listen on the port in $PORT.",
        f"run: {flow(found.command)}",
    ]


def _probes(found: Discovery) -> list[str]:
    if found.ready is None:
        return ["# probes: {ready: /health}   # until then a TCP connect has to do"]
    return ["probes:", _beside(f"  ready: {found.ready}", "answers 2xx: the instance may serve")]
