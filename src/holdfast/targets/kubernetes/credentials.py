"""How we prove who we are: fixed words, a token file that is renewed, or a plugin that is run.

Source: kubernetes.io, "Authenticating", client-go credential plugins (ExecCredential v1).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from holdfast.runtime.clock import Clock, LoopClock
from holdfast.targets.base import Refused

PLUGIN_S_MAX = 60.0
TOKEN_FILE_S = 60.0  # kubelets renew tokens long before they end; client-go reads them as often
EARLY_S = 30.0  # what ends so soon is renewed now


@dataclass(frozen=True, slots=True)
class Proof:
    """What a request carries, and the client certificate of its connection (PEM)."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)


class Credential(Protocol):
    """A source of proofs."""

    async def proof(self) -> Proof:
        """The present one. Raises ``Refused`` with the code ``no-access``."""
        ...

    def forget(self) -> None:
        """The server did not accept it: get another one."""
        ...


class Fixed:
    """Words or a certificate that stand in the kubeconfig."""

    def __init__(self, headers: dict[str, str], certificate: str = "", key: str = "") -> None:
        self._proof = Proof(headers, certificate, key)

    async def proof(self) -> Proof:
        return self._proof

    def forget(self) -> None:
        """There is no other one."""


def basic(name: str, password: str) -> dict[str, str]:
    """HTTP basic authentication (RFC 7617)."""
    word = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {word}"}


class TokenFile:
    """A token that somebody else renews in place."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._path, self._clock = path, clock
        self._read_at: float | None = None
        self._proof = Proof()

    async def proof(self) -> Proof:
        clock = self._clock or LoopClock()
        if self._read_at is None or clock.now() - self._read_at > TOKEN_FILE_S:
            self._proof = Proof({"Authorization": f"Bearer {self._text()}"})
            self._read_at = clock.now()
        return self._proof

    def forget(self) -> None:
        self._read_at = None

    def _text(self) -> str:
        try:
            return self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Refused("no-access", f"the token in {self._path} cannot be read") from error


@dataclass(frozen=True, slots=True)
class Plugin:
    """A program of the kubeconfig that prints an ExecCredential."""

    version: str
    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    hint: str = ""  # how people get it
    cluster: dict[str, Any] = field(default_factory=dict)  # told to it where it asks for that


class ExecPlugin:
    """Runs the plugin when there is no proof, or when the one there is ends soon."""

    def __init__(self, plugin: Plugin, clock: Clock | None = None) -> None:
        self._plugin, self._clock = plugin, clock
        self._proof: Proof | None = None
        self._ends: float | None = None  # wall seconds
        self._asking = asyncio.Lock()

    async def proof(self) -> Proof:
        async with self._asking:
            now = (self._clock or LoopClock()).wall()
            if self._proof is None or (self._ends is not None and now > self._ends - EARLY_S):
                self._take(await self._run())
            assert self._proof is not None
            return self._proof

    def forget(self) -> None:
        self._proof = None

    def _take(self, status: dict[str, Any]) -> None:
        token = status.get("token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        certificate = str(status.get("clientCertificateData") or "")
        if not headers and not certificate:
            raise self._no("it printed neither a token nor a certificate")
        self._proof = Proof(headers, certificate, str(status.get("clientKeyData") or ""))
        self._ends = _instant(status.get("expirationTimestamp"))

    async def _run(self) -> dict[str, Any]:
        process = None
        try:
            async with asyncio.timeout(PLUGIN_S_MAX):
                process = await asyncio.create_subprocess_exec(
                    *self._plugin.command, env=self._environment(),
                    stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                )  # fmt: skip
                out, err = await process.communicate()
        except OSError as error:
            raise self._no(f"cannot be run: {error.strerror}") from error
        except TimeoutError as error:
            raise self._no(f"no answer within {PLUGIN_S_MAX:g} s") from error
        finally:
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise self._no(f"exit status {process.returncode}: {err.decode(errors='replace')}")
        return self._status(out)

    def _environment(self) -> dict[str, str]:
        spec: dict[str, Any] = {"interactive": False}
        if self._plugin.cluster:
            spec["cluster"] = self._plugin.cluster
        told = {"apiVersion": self._plugin.version, "kind": "ExecCredential", "spec": spec}
        return {
            **os.environ,
            **dict(self._plugin.env),
            "KUBERNETES_EXEC_INFO": json.dumps(told),
        }

    def _status(self, out: bytes) -> dict[str, Any]:
        try:
            said = json.loads(out)
            status = said["status"] if said["kind"] == "ExecCredential" else None
        except (ValueError, KeyError, TypeError):
            status = None
        if not isinstance(status, dict):
            raise self._no("it printed no ExecCredential with a status")
        return status

    def _no(self, why: str) -> Refused:
        hint = f" ({' '.join(self._plugin.hint.split())})" if self._plugin.hint else ""
        said = " ".join(why.split())[:400]
        return Refused("no-access", f"credential plugin {self._plugin.command[0]}: {said}{hint}")


def _instant(text: object) -> float | None:
    """RFC 3339 as wall seconds; None where nothing, or nothing readable, is said."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
