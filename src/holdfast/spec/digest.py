"""What makes a release, under one SHA-256.

In the digest: the ``run`` section, the version, and the content of the files that ``run.config``
names and that the command names inside its working directory. Not in it: replicas, rollout
policy, promises and traffic policy, because changing them replaces no instance. Keys left out
and keys set to their default are the same release, so a new Holdfast with more keys deploys
nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from holdfast.runtime.codec import canonical
from holdfast.spec.model import Run, Service
from holdfast.spec.problem import Invalid, Problem
from holdfast.spec.release import Release

FORMAT = "holdfast-release-1"
FILES_MAX = 10_000
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")  # ids become names of files and of clusters
_SKIPPED = frozenset({"__pycache__", "node_modules"})


def make_release(service: Service, base_dir: Path, version: str | None = None) -> Release:
    """The release this spec and its files describe. Raises ``Invalid`` for a missing file.

    ``base_dir`` is the directory of the spec; ``version`` wins over the one in the spec.
    """
    called = version or service.version
    digest = hashlib.sha256(canonical(contents(service, base_dir, called))).hexdigest()
    named = called or f"r-{digest[:8]}"
    return Release(f"{_UNSAFE.sub('-', named)}-{digest[:8]}", digest, named)


def contents(service: Service, base_dir: Path, version: str | None) -> dict[str, Any]:
    """All that is hashed, as JSON: two releases differ when this differs."""
    run = service.run
    return {
        "format": FORMAT,
        "version": version,
        "target": service.target,
        "protocol": service.traffic.protocol,
        "probes": service.probes.model_dump(mode="json", exclude_defaults=True),
        "run": {**run.model_dump(mode="json", exclude_defaults=True), "command": command(run)},
        "config": _config_files(run, base_dir / run.cwd),
        **(
            _pod(service)
            if service.target == "kubernetes"
            else {"code": _code_files(run, base_dir / run.cwd)}
        ),
    }


#: Sections that shape the pods of a cluster; there the image is the code.
_POD = ("image", "resources", "kubernetes")
_NOT_POD = {"kubernetes": {"context", "host", "steer", "ingress", "callers", "calls", "jobs"},
            "image": {"mirrors", "keep", "keep_for", "budget", "severity"}}  # fmt: skip


def _pod(service: Service) -> dict[str, Any]:
    return {
        name: getattr(service, name).model_dump(
            mode="json", exclude_defaults=True, exclude=_NOT_POD.get(name)
        )
        for name in _POD
    }


def command(run: Run) -> list[str]:
    """The program and its arguments, however they were written."""
    return shlex.split(run.command) if isinstance(run.command, str) else list(run.command)


def named_files(run: Run, cwd: Path) -> list[str]:
    """The files whose content makes the release, relative to ``cwd``. Raises ``OSError``."""
    found = [path for _, path in _code(run, cwd)]
    for name in run.config:
        if _inside(name):
            found += [path for _, path in _files(name, cwd / name)]
    return sorted({str(path.relative_to(cwd)) for path in found})


def _config_files(run: Run, cwd: Path) -> dict[str, str]:
    hashes: dict[str, str] = {}
    problems: list[Problem] = []
    for index, name in enumerate(run.config):
        try:
            hashes |= {inner: _hash(path) for inner, path in _files(name, cwd / name)}
        except OSError as error:
            hint = "run.config is relative to run.cwd"
            problems.append(_problem(cwd / name, f"run.config[{index}]", error, hint))
    if problems:
        raise Invalid(problems)
    return hashes


def _code_files(run: Run, cwd: Path) -> dict[str, str]:
    try:
        return {name: _hash(path) for name, path in _code(run, cwd)}
    except OSError as error:
        raise Invalid([_problem(cwd, "run.command", error, "")]) from error


def _problem(path: Path, key: str, error: OSError, hint: str) -> Problem:
    found = (error.strerror or str(error)).lower()
    return Problem(str(path), 1, 1, key, found, "a file that can be read", hint)


def _files(name: str, path: Path) -> Iterator[tuple[str, Path]]:
    """The file, or every file below the directory in a stable order, hidden ones left out."""
    if not path.is_dir():
        yield name, path
        return
    count = 0
    for directory, below, files in os.walk(path):
        below[:] = sorted(d for d in below if d not in _SKIPPED and not d.startswith("."))
        for file in sorted(f for f in files if not f.startswith(".")):
            count += 1
            if count > FILES_MAX:
                raise OSError(f"more than {FILES_MAX} files")
            inner = Path(directory, file)
            yield str(PurePosixPath(name, inner.relative_to(path).as_posix())), inner


def _code(run: Run, cwd: Path) -> Iterator[tuple[str, Path]]:
    """Files of the command that lie in its working directory, named as paths or as modules.

    ``python engine.py``, ``./bin/app``, ``python -m app``, ``uvicorn app.main:app``. What those
    files import is not followed: name such files in ``run.config``.
    """
    words = command(run)
    if len(words) > 2 and words[1] == "-c":  # sh -c 'exec uvicorn app:app --port $PORT'
        words = shlex.split(words[2])
    before = ""
    for word in words:
        if _inside(word) and (cwd / word).is_file():
            yield word, cwd / word
        elif before == "-m" or ":" in word:
            yield from _module(word.partition(":")[0], cwd)
        before = word


def _inside(word: str) -> bool:
    path = PurePosixPath(word)
    return bool(word) and "\0" not in word and not path.is_absolute() and ".." not in path.parts


def _module(name: str, cwd: Path) -> Iterator[tuple[str, Path]]:
    if not _MODULE.fullmatch(name):
        return
    path = cwd / name.replace(".", "/")
    if path.with_suffix(".py").is_file():
        yield name, path.with_suffix(".py")
    elif path.is_dir():
        yield from ((inner, file) for inner, file in _files(name, path) if file.suffix == ".py")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
