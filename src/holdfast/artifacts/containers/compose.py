"""Local work: one command starts the service as it is deployed, and a saved file reloads it.

``docker compose -f out/containers/compose.yaml up --watch``. Read-only, without privileges, with
the limits of production; tests, benchmarks and profiles are profiles of the same file. The data
plane of production in front of it is what ``holdfast up`` starts.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from holdfast.artifacts import names, tuning
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.containers import words
from holdfast.spec.model import Service

PATH = "containers/compose.yaml"
DEVCONTAINER = "containers/devcontainer.json"
KEYS = (
    "service", "version", "run.command", "run.env", "run.secrets", "run.stop", "traffic.port",
    "image.language", "image.user", "image.tmpfs", "resources.limits", "resources.hugepages",
    "delivery.path",
)  # fmt: skip
_BUILDS = ("rust", "go", "generic")  # a change of the source needs a compiler
_MIB = 2**20


def render(service: Service) -> Iterable[Artifact]:
    about = f"{service.service} on a developer's machine, reloaded when a file is saved."
    yield Artifact(PATH, _body(service), about, keys=KEYS, rows=("T7", "T12", "T30"))
    about = "The same tools for every developer: the image of the tests, in the editor."
    keys = ("service", "traffic.port", "image.user", "delivery.path")
    yield Artifact(DEVCONTAINER, _devcontainer(service), about, keys=keys, rows=("T30",))


def root(service: Service) -> str:
    """The repository as seen from the directory of the rendered file."""
    depth = len(posixpath.normpath(f"{service.delivery.path}/containers").split("/"))
    return "/".join([".."] * depth)


def _body(service: Service) -> Object:
    name = service.service
    return {
        "name": name,
        "services": {
            name: _serving(service),
            "test": _target(service, "testing", "test"),
            "benchmark": _target(service, "benchmark", "benchmark"),
            "debug": _target(service, "debug", "debug") | {"cap_add": ["SYS_PTRACE"]},
            "profile": _target(service, "profiling", "profile") | {"cap_add": ["PERFMON"]},
        },
    }


def _serving(service: Service) -> Object:
    port = service.traffic.port
    return {
        **_target(service, "runtime", ""),
        "restart": "on-failure",
        "stop_signal": service.run.stop.signal,
        "stop_grace_period": names.duration(service.run.stop.grace),
        "ports": [f"127.0.0.1:{port}:{port}"],
        "mem_limit": f"{max(16, service.resources.limits.memory // _MIB)}m",
        "cpus": service.resources.limits.cpu,
        "develop": {"watch": _watch(service)},
    }


def _target(service: Service, target: str, profile: str) -> Object:
    found: Object = {"profiles": [profile]} if profile else {}
    return found | {
        "build": {
            "context": words.compose(root(service)),
            "dockerfile": words.compose(f"{service.delivery.path}/containers/Dockerfile"),
            "target": target,
        },
        "environment": _environment(service),
        "user": f"{service.image.user}:{service.image.user}",
        "read_only": True,
        "tmpfs": [f"{path}:size={size}" for path, size in sorted(service.image.tmpfs.items())],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }


def _environment(service: Service) -> dict[str, str]:
    """Secrets of ``env:NAME`` come from the developer's shell, which must have them."""
    secrets = {
        name: f"${{{reference.removeprefix('env:')}:?a secret of run.secrets}}"
        for name, reference in service.run.secrets.items()
        if reference.startswith("env:")
    }
    told = words.told(service) | tuning.tuning(service) | service.run.env
    return {name: words.compose(value) for name, value in told.items()} | secrets


def _watch(service: Service) -> list[Object]:
    place = words.compose(root(service))
    ignored = [".git/", ".venv/", "node_modules/", words.compose(f"{service.delivery.path}/")]
    if names.language(service) in _BUILDS:
        return [{"action": "rebuild", "path": place, "ignore": ignored}]
    manifest = "requirements.txt" if names.language(service) == "python" else "package-lock.json"
    return [
        {"action": "rebuild", "path": f"{place}/{manifest}"},
        {"action": "sync+restart", "path": place, "target": words.HOME, "ignore": ignored},
    ]


def _devcontainer(service: Service) -> Object:
    return {
        "name": service.service,
        "build": {"dockerfile": "Dockerfile", "context": root(service), "target": "testing"},
        "workspaceMount": f"source=${{localWorkspaceFolder}},target={words.HOME},type=bind",
        "workspaceFolder": words.HOME,
        "containerUser": str(service.image.user),
        "updateRemoteUserUID": True,
        "forwardPorts": [service.traffic.port],
        "containerEnv": {"PORT": str(service.traffic.port)},
        "runArgs": ["--cap-drop=ALL", "--security-opt=no-new-privileges"],
    }
