"""What the finished image must be, for container-structure-test."""

from __future__ import annotations

import re
from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.containers import dockerfile, words
from holdfast.spec.model import Service

PATH = "containers/structure-test.yaml"
KEYS = tuple(key for key in dockerfile.KEYS if key != "run.stop.signal")
#: Where a shell, a package manager or a downloader would be; distroless has none of them.
ABSENT = (
    "/bin/sh", "/bin/bash", "/bin/dash", "/usr/bin/sh", "/usr/bin/bash", "/busybox/sh",
    "/usr/bin/apt-get", "/sbin/apk", "/usr/bin/curl", "/usr/bin/wget", "/usr/bin/sudo",
)  # fmt: skip


def render(service: Service) -> Iterable[Artifact]:
    about = "Fails when the image has a shell, runs as root, or was not built from this spec."
    yield Artifact(PATH, _body(service), about, keys=KEYS, rows=("T1", "T6"))


def _body(service: Service) -> Object:
    return {
        "schemaVersion": "2.0.0",
        "metadataTest": _metadata(service),
        "fileExistenceTests": [
            *({"name": f"no {path}", "path": path, "shouldExist": False} for path in ABSENT),
            *_program(service),
        ],
    }


def _metadata(service: Service) -> Object:
    command = words.command(service)
    user = f"{service.image.user}:{service.image.user}"
    found: Object = {
        "env": [{"key": "PORT", "value": str(service.traffic.port)}],
        "labels": [_label(key, value) for key, value in dockerfile.labels(service).items()],
        "entrypoint": command[:1],
        "exposedPorts": [str(service.traffic.port)],
        "workdir": words.HOME,
        "user": user,
    }
    return found | ({"cmd": command[1:]} if command[1:] else {})


def _label(key: str, value: str) -> Object:
    shown = "".join(char if char.isprintable() else " " for char in value)
    return {"key": key, "value": f"^{re.escape(shown)}$", "isRegex": True}


def _program(service: Service) -> list[Object]:
    """A compiled program is a file of root's that the user may run and not change."""
    if names.language(service) not in ("rust", "go", "generic"):
        return []
    path = words.program(service)
    return [{"name": "the program", "path": path, "shouldExist": True, "isExecutableBy": "any"}]
