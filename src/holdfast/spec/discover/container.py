"""Dockerfile, compose file and Procfile: what somebody already wrote about running it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

from holdfast.spec.discover.clue import Clue, Project, shell, table_at

_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_URL_PATH = re.compile(r"https?://[\w.:\[\]${}-]+(/[\w./-]*)")


def look(project: Project) -> Iterator[Clue]:
    yield from _procfile(project)
    yield from _dockerfile(project)
    yield from _compose(project)


def _procfile(project: Project) -> Iterator[Clue]:
    match = re.search(r"^web:[ \t]*(\S.*)$", project.text("Procfile") or "", re.M)
    if match:
        line = match[1].strip()
        needs_shell = re.search(r"[&|;<>`]|\$(?!PORT\b|\{PORT\})", line)
        command = shell(line) if needs_shell else line
        yield Clue("Procfile", f"runs `{line[:60]}`", command=command, sure=7)


def _dockerfile(project: Project) -> Iterator[Clue]:
    text = project.text("Dockerfile")
    if text is None:
        return
    lines = re.sub(r"\\[ \t]*\n", " ", text).splitlines()
    last: dict[str, str] = {}
    for line in lines:  # the last stage and the last of each instruction count
        word, _, rest = line.strip().partition(" ")
        last[word.upper()] = rest.strip()
    port = _port(last.get("EXPOSE", ""))
    if port:
        yield Clue("Dockerfile", f"exposes port {port}", port=port)
    if match := _URL_PATH.search(last.get("HEALTHCHECK", "")):
        yield Clue("Dockerfile", f"checks {match[1]}", ready=match[1])
    words = _words(last.get("ENTRYPOINT", "")) + _words(last.get("CMD", ""))
    # An absolute path is a place inside the image.
    if words and not words[0].startswith("/"):
        said = shlex.join(words)
        yield Clue("Dockerfile", f"runs `{said[:60]}`", command=told_port(words, port), sure=1)


def _words(text: str) -> list[str]:
    """Exec form (a JSON list) or shell form."""
    try:
        value = json.loads(text) if text.startswith("[") else shlex.split(text)
    except (ValueError, RecursionError):
        return []
    return [str(word) for word in value]


def told_port(words: list[str], port: int | None) -> str:
    """The command with its fixed port replaced: every replica gets another one."""
    if port is None:
        return shlex.join(words)
    told = [re.sub(rf"(?<!\d){port}(?!\d)", "$PORT", word) for word in words]
    if told == words:
        return shlex.join(words)
    quoted = [
        word if re.fullmatch(r"[\w./:=$@%+,-]+", word) else shlex.quote(word) for word in told
    ]
    return " ".join(quoted).replace("0.0.0.0:$PORT", "127.0.0.1:$PORT")


def _port(text: str) -> int | None:
    match = re.match(r"(\d{1,5})(/tcp)?\b", text)
    return int(match[1]) if match and 0 < int(match[1]) < 65536 else None


def _compose(project: Project) -> Iterator[Clue]:
    file = next((name for name in _COMPOSE if project.table(name)), None)
    if file is None:
        return
    services = table_at(project.table(file), "services")
    built = {n: s for n, s in services.items() if isinstance(s, dict) and "build" in s}
    for name, service in list(built.items())[:1]:
        yield from _compose_service(file, str(name), service)


def _compose_service(file: str, name: str, service: dict[str, Any]) -> Iterator[Clue]:
    yield Clue(file, f"calls it {name}", name=name)
    port = _published(service.get("ports"))
    if port:
        yield Clue(file, f"publishes port {port}", port=port)
    test = table_at(service, "healthcheck").get("test")
    said = " ".join(map(str, test)) if isinstance(test, list) else str(test or "")
    if match := _URL_PATH.search(said):
        yield Clue(file, f"checks {match[1]}", ready=match[1])
    words = _compose_words(service.get("entrypoint")) + _compose_words(service.get("command"))
    if words and not words[0].startswith("/"):
        inside = _inside(service.get("ports")) or port
        said = shlex.join(words)
        yield Clue(file, f"runs `{said[:60]}`", command=told_port(words, inside), sure=2)


def _compose_words(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(word) for word in value]
    return _words(value) if isinstance(value, str) else []


def _inside(ports: object) -> int | None:
    """The port that the program in the container listens on."""
    first = ports[0] if isinstance(ports, list) and ports else None
    if isinstance(first, dict):
        return _port(str(first.get("target", "")))
    return _port(str(first or "").rpartition(":")[2])


def _published(ports: object) -> int | None:
    """The port of the host in ``8000:80``, ``127.0.0.1:8000:80`` or the long form."""
    first = ports[0] if isinstance(ports, list) and ports else None
    if isinstance(first, dict):
        return _port(str(first.get("published", "")))
    parts = str(first or "").split(":")
    return _port(parts[-2] if len(parts) > 1 else parts[0])
