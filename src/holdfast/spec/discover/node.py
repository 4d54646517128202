"""Node projects: the start script of package.json, or the file that serves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.spec.discover.clue import Clue, Project, names_project, table_at

#: Frameworks whose own server is told its port.
_TOLD = {"next start": "next start -p $PORT", "vite preview": "vite preview --port $PORT"}


def look(project: Project) -> Iterator[Clue]:
    table = project.table("package.json")
    if table is None:
        return
    name = table.get("name")
    yield names_project("package.json", name)
    start = table_at(table, "scripts").get("start")
    if isinstance(start, str) and start.strip():
        says = f"starts with `{start.strip()[:60]}`"
        yield Clue("package.json", says, command=_start(project, start.strip()), sure=4)
        return
    main = table.get("main")
    names = [main] if isinstance(main, str) else []
    for file in (*names, "server.js", "index.js", "app.js", "src/index.js", "src/server.js"):
        if "listen(" in (project.text(file) or ""):
            yield Clue(file, "is a program that serves", command=f"node {file}", sure=3)
            return


def _start(project: Project, start: str) -> str:
    told = _TOLD.get(start, start)
    program, _, rest = told.partition(" ")
    # npm would stand between the program and its signals.
    plain = re.fullmatch(r"[\w./=:$-]+( [\w./=:$-]+)*", told)
    return f"{project.program(program)} {rest}".strip() if plain else "npm start"
