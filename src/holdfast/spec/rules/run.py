"""Rules about what runs: command, environment, secrets, files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from holdfast.spec.model import Service
from holdfast.spec.problem import one_line
from holdfast.spec.python_command import parse
from holdfast.spec.rules.finding import Finding

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}")
_SECRET_NAME = re.compile(
    r"(TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|PRIVATE_?KEY|CREDENTIALS?)$", re.I
)
#: What is filled in when an instance starts; every other variable would need a shell.
_TOLD = re.compile(r"\$(\{)?(PORT|HOLDFAST_(SERVICE|RELEASE|VERSION|REPLICA))(?(1)\}|\b)")
_VARIABLE = re.compile(r"\$[{(A-Za-z_]")
_SHELL = frozenset({"&&", "||", "|", ";", ">", ">>", "<", "&"})
_SCHEMES = ("env", "file")
_AS_SHELL = "write: sh -c 'exec ...'"


def check(service: Service) -> Iterator[Finding]:
    yield from _version(service)
    yield from _command(service)
    yield from _names(service)
    yield from _secrets(service)
    yield from _literal_secrets(service)
    yield from _files(service)
    yield from _affinity(service)


def _version(service: Service) -> Iterator[Finding]:
    if service.version is not None and not _VERSION.fullmatch(service.version):
        wanted = "up to 63 letters, digits, dots, dashes, plus or underscores"
        yield Finding(("version",), repr(one_line(service.version)), wanted)


def _command(service: Service) -> Iterator[Finding]:
    path, command = ("run", "command"), service.run.command
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        yield Finding(path, str(error).lower(), "a command whose quotes are closed")
        return
    if not words or not words[0].strip():
        yield Finding(path, "no program", "a program and its arguments", "python app.py")
        return
    if isinstance(command, str):
        yield from _shell_words(words)
    if service.run.start == "warm":
        yield from _warm(words)


def _shell_words(words: list[str]) -> Iterator[Finding]:
    path = ("run", "command")
    if "=" in words[0] and _ENV_NAME.fullmatch(words[0].partition("=")[0]):
        found = f"{one_line(words[0].partition('=')[0])!r} set before the program"
        yield Finding(path, found, "a program first", "put it in run.env", breaks=False)
    odd = next((w for w in words if w in _SHELL or _VARIABLE.search(_TOLD.sub("", w))), None)
    if odd is not None and "-c" not in words:
        wanted = "words for the program itself, with no variables but $PORT and $HOLDFAST_..."
        yield Finding(path, repr(one_line(odd)), wanted, _AS_SHELL, breaks=False)


def _warm(words: list[str]) -> Iterator[Finding]:
    """What cannot start warm starts cold: nothing breaks, but somebody hoped for more."""
    why = parse(words)
    if isinstance(why, str):
        wanted = "cold, or a Python program"
        yield Finding(("run", "start"), "warm", wanted, one_line(why), breaks=False)


def _names(service: Service) -> Iterator[Finding]:
    run = service.run
    for section, names in (("env", run.env), ("secrets", run.secrets)):
        for name in names:
            path = ("run", section, name)
            if not _ENV_NAME.fullmatch(name):
                wanted = "letters, digits and _, not starting with a digit"
                yield Finding(path, f"the name {one_line(name)!r}", wanted)
            elif name == "PORT" or name.startswith("HOLDFAST_"):
                wanted = "another name: each replica gets its own value from Holdfast"
                yield Finding(path, name, wanted)
            if section == "secrets" and name in run.env:
                wanted = "each name once"
                yield Finding(path, f"{one_line(name)} in env as well", wanted, "keep it in one")


def _secrets(service: Service) -> Iterator[Finding]:
    for name, reference in service.run.secrets.items():
        scheme, colon, rest = reference.partition(":")
        path, wanted = ("run", "secrets", name), "env:NAME or file:PATH"
        if not colon or not re.fullmatch(r"[a-z][a-z0-9+-]*", scheme):
            hint = "never the secret itself: this file is shared"
            yield Finding(path, "a value that is no reference", wanted, hint, private=True)
        elif scheme not in _SCHEMES:
            yield Finding(path, f"the scheme {one_line(scheme)}:", wanted, private=True)
        elif not rest.strip() or (scheme == "env" and not _ENV_NAME.fullmatch(rest)):
            yield Finding(path, repr(one_line(reference)), wanted)


def _literal_secrets(service: Service) -> Iterator[Finding]:
    for name, value in service.run.env.items():
        if value and _SECRET_NAME.search(name):
            hint = f"secrets: {{{one_line(name)}: env:{one_line(name)}}}"
            wanted = "a reference in run.secrets"
            path, found = ("run", "env", name), "what looks like a secret in plain text"
            yield Finding(path, found, wanted, hint, breaks=False, private=True)


def _files(service: Service) -> Iterator[Finding]:
    for index, name in enumerate(service.run.config):
        if not name.strip():
            yield Finding(("run", "config", index), "nothing", "the path of a file")
    if service.run.cwd.startswith("/"):
        wanted = "a path relative to the spec file, which is the same on every machine"
        found = repr(one_line(service.run.cwd))
        yield Finding(("run", "cwd"), found, wanted, breaks=False)


def _affinity(service: Service) -> Iterator[Finding]:
    cpus, path = service.run.affinity, ("run", "affinity")
    if isinstance(cpus, str):
        return
    if not cpus:
        yield Finding(path, "an empty list", "at least one CPU", "leave it out for any CPU")
    seen: set[int] = set()
    for index, cpu in enumerate(cpus):
        if not 0 <= cpu < 4096:
            yield Finding((*path, index), str(cpu), "the number of a CPU, 0 to 4095")
        elif cpu in seen:
            yield Finding((*path, index), f"{cpu} twice", "each CPU once")
        seen.add(cpu)
