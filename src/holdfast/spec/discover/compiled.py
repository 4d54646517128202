"""Rust and Go projects: the program a release build leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.spec.discover.clue import Clue, Project, table_at


def look(project: Project) -> Iterator[Clue]:
    yield from _cargo(project)
    yield from _go(project)


def _cargo(project: Project) -> Iterator[Clue]:
    table = project.table("Cargo.toml")
    if table is None:
        return
    name = table_at(table, "package").get("name")
    if not isinstance(name, str):
        yield Clue("Cargo.toml", "is a workspace: run `holdfast init` in the member that serves")
        return
    program = _binary(project, table, name)
    if program is None:
        yield Clue("Cargo.toml", "is a library", name=name)
        return
    says, command = f"builds the program {program}", f"target/release/{program}"
    yield Clue("Cargo.toml", says, name, command, build="cargo build --release", sure=4)


def _binary(project: Project, table: dict[str, object], package: str) -> str | None:
    bins = table.get("bin")
    names = [b.get("name") for b in bins if isinstance(b, dict)] if isinstance(bins, list) else []
    if names and isinstance(names[0], str):
        return names[0]
    if project.text("src/main.rs") is not None:
        return package
    inner = [n for n in project.sources if re.fullmatch(r"src/bin/[\w-]+\.rs", n)]
    return inner[0].removeprefix("src/bin/").removesuffix(".rs") if inner else None


def _go(project: Project) -> Iterator[Clue]:
    match = re.search(r"^module\s+(\S+)", project.text("go.mod") or "", re.M)
    if not match:
        return
    name = re.sub(r"/v\d+$", "", match[1]).rpartition("/")[2]
    mains = [n for n in project.sources if re.fullmatch(r"(cmd/[^/]+/)?main\.go", n)]
    if not mains:
        yield Clue("go.mod", "is a library", name=name)
        return
    place = mains[0].removesuffix("main.go").rstrip("/")
    program = place.rpartition("/")[2] or name
    package = f"./{place}" if place else "."
    says, build = f"builds the program {program}", f"go build -o bin/{program} {package}"
    yield Clue("go.mod", says, name, f"bin/{program}", build=build, sure=4)
