"""Python projects: FastAPI and other ASGI apps, Flask, Django, or a plain program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from holdfast.spec.discover.clue import Clue, Project, names_project, table_at

_ASGI = re.compile(r"^(\w+)\s*(?::[^=\n]+)?=\s*(FastAPI|Starlette|Quart|Litestar|Sanic)\(", re.M)
_FLASK = re.compile(r"^(\w+)\s*(?::[^=\n]+)?=\s*(?:flask\.)?Flask\(", re.M)
_SERVES = re.compile(
    r"http\.server|socketserver|aiohttp|tornado|uvicorn\.run|\bPORT\b|asyncio\.start_server"
)
_LIKELY = ("main.py", "app.py", "server.py", "serve.py", "wsgi.py")


def look(project: Project) -> Iterator[Clue]:
    yield from _named(project)
    if project.text("manage.py") is not None:
        yield from _django(project)
    python = {name: text for name, text in project.sources.items() if name.endswith(".py")}
    for name, text in python.items():
        if match := _ASGI.search(text):
            yield _asgi(project, name, match[1], match[2])
            return
        if match := _FLASK.search(text):
            yield _flask(project, name, match[1])
            return
    yield from _plain(project, python)


def _named(project: Project) -> Iterator[Clue]:
    table = project.table("pyproject.toml")
    if table is None:
        return
    about = table_at(table, "project") or table_at(table, "tool", "poetry")
    name = about.get("name")
    yield names_project("pyproject.toml", name)
    scripts = [word for word in table_at(about, "scripts") if isinstance(word, str)]
    if len(scripts) == 1:
        command = project.program(scripts[0])
        yield Clue("pyproject.toml", f"installs the program {scripts[0]}", command=command, sure=2)


def _depends(project: Project, name: str) -> bool:
    files = ("pyproject.toml", "requirements.txt", "Pipfile", "setup.cfg")
    return any(re.search(rf"\b{name}\b", project.text(file) or "") for file in files)


def _module(name: str) -> tuple[str, str]:
    """The directory to start from and the module: ``src/shop/main.py`` is (src, shop.main)."""
    parts = PurePosixPath(name).with_suffix("").parts
    below_src = parts[0] == "src" and len(parts) > 1
    return ("src", ".".join(parts[1:])) if below_src else (".", ".".join(parts))


def _asgi(project: Project, name: str, variable: str, framework: str) -> Clue:
    root, module = _module(name)
    where = f" --app-dir {root}" if root != "." else ""
    command = f"{project.program('uvicorn')} {module}:{variable}{where} --port $PORT"
    return Clue(name, f"has the {framework} app {variable}", command=command, sure=5)


def _flask(project: Project, name: str, variable: str) -> Clue:
    root, module = _module(name)
    says = f"has the Flask app {variable}"
    if _depends(project, "gunicorn"):
        where = f" --chdir {root}" if root != "." else ""
        command = f"{project.program('gunicorn')}{where} --bind 127.0.0.1:$PORT {module}:{variable}"
    else:
        path = name if root != "." else module
        command = f"{project.program('flask')} --app {path}:{variable} run --port $PORT"
    return Clue(name, says, command=command, sure=5)


def _django(project: Project) -> Iterator[Clue]:
    wsgi = next((n for n in project.sources if n.endswith("/wsgi.py")), None)
    if wsgi and _depends(project, "gunicorn"):
        module = wsgi.removesuffix(".py").replace("/", ".")
        command = f"{project.program('gunicorn')} --bind 127.0.0.1:$PORT {module}"
    else:
        command = f"{project.program('python')} manage.py runserver --noreload 127.0.0.1:$PORT"
    yield Clue("manage.py", "is a Django project", command=command, sure=6)


def _plain(project: Project, python: dict[str, str]) -> Iterator[Clue]:
    serving = [name for name, text in python.items() if _SERVES.search(text)]
    runnable = [n for n in serving if "__main__" in python[n] or PurePosixPath(n).name in _LIKELY]
    runnable.sort(key=lambda n: (n.count("/"), PurePosixPath(n).name not in _LIKELY, n))
    if runnable:
        command = f"{project.program('python')} {runnable[0]}"
        yield Clue(runnable[0], "is a program that serves", command=command, sure=3)
