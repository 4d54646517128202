"""Releases of a service: what makes one, and where all that is needed to start it is kept.

A release is the program, its configuration, its secret references and its version name under one
digest. Files that the command or ``run.config`` name are part of it by content, so an edited
script is another release. Replicas, traffic and rollout policy are not: changing those never
restarts anything. Bundles live in the ledger's blobs; ``ReleaseStored`` entries in the stream
``<service>/releases`` say which is which, so a restarted conductor can prepare them again.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.ledger import Draft, Ledger, LedgerError
from holdfast.rollout.model import Release, ReleaseId
from holdfast.runtime.codec import canonical
from holdfast.spec.digest import make_release
from holdfast.spec.load import load_text
from holdfast.spec.model import Service
from holdfast.spec.problem import Invalid
from holdfast.targets.base import Bundle

log = logging.getLogger("holdfast.conductor")

STORED = "ReleaseStored"
OVERRIDDEN = "GateOverridden"


@dataclass(frozen=True, slots=True)
class Stored:
    """One release with the spec it was deployed with."""

    bundle: Bundle
    spec_text: str
    spec_path: str

    @property
    def release(self) -> Release:
        return self.bundle.release

    @property
    def service(self) -> Service:
        return self.bundle.service


class UnknownRelease(LookupError):
    """No release goes by that name."""


class Releases:
    """The releases of one service that were ever deployed, oldest first."""

    def __init__(self, ledger: Ledger, service: str) -> None:
        self._ledger, self.service = ledger, service
        self._stored: dict[ReleaseId, Stored] = {}
        self.ungated: set[str] = set()  # rollouts that may rise outside windows and in freezes
        for entry in ledger.replay(self._stream):
            if entry.kind == STORED:
                self._recall(json.loads(entry.body))
            elif entry.kind == OVERRIDDEN:
                self.ungated.add(json.loads(entry.body)["rollout"])

    def _recall(self, body: dict[str, str]) -> None:
        """One that this program cannot read is left out; its instances are none the worse."""
        try:
            self._remember(_read(self._ledger.blob(body["blob"])))
        except (Invalid, LedgerError, ValueError, KeyError) as error:
            log.error("%s: release %s cannot be read: %s", self.service, body, error)

    @property
    def _stream(self) -> str:
        return f"{self.service}/releases"

    def get(self, release: ReleaseId) -> Stored | None:
        return self._stored.get(release)

    def latest(self) -> Stored | None:
        return next(reversed(self._stored.values()), None)

    def by_digest(self, digest: str) -> Stored | None:
        """The first release with this content; restarts of it came later."""
        return next((s for s in self._stored.values() if s.release.digest == digest), None)

    def find(self, word: str) -> Stored:
        """By id, digest (or its beginning) or version; the newest when several match."""
        for stored in reversed(self._stored.values()):
            release = stored.release
            begins = len(word) >= 6 and release.digest.startswith(word)
            if begins or word in (release.id, release.version):
                return stored
        known = ", ".join(dict.fromkeys(s.release.version for s in self._stored.values()))
        raise UnknownRelease(f"there is no release {word!r}; known: {known or 'none'}")

    def identify(
        self,
        service: Service,
        base_dir: Path,
        version: str | None,
        serving: Release | None = None,
    ) -> Release:
        """The release this spec describes. The same content is the same release.

        Where nobody names a version the name is no difference either: what serves already under
        a name given on the command line is not to be deployed once more by the next boot.
        """
        named = version or service.version
        if named is None and serving is not None:
            as_serving = make_release(service, base_dir, serving.version)
            if as_serving.digest == serving.digest:
                return serving
        digest = make_release(service, base_dir, named).digest
        known = self.by_digest(digest)
        if known is not None:
            return known.release
        count = len({stored.release.digest for stored in self._stored.values()})
        word = named or f"r{count + 1}"
        return Release(f"{_plain(word)}-{digest[:8]}", digest, word)

    async def store(self, stored: Stored, by: str, wall: float) -> None:
        """Keep it, unless exactly this is kept already."""
        if self._stored.get(stored.release.id) == stored:
            return
        blob = self._ledger.put_blob(_write(stored))
        body = {"blob": blob, "by": by, "release": stored.release.id}
        await self._ledger.append([Draft(self._stream, STORED, canonical(body), wall)])
        self._remember(stored)

    async def override_gate(self, rollout: str, gate: str, by: str, wall: float) -> None:
        """Record who let ``rollout`` go on although ``gate`` forbids it."""
        body = {"rollout": rollout, "gate": gate, "by": by}
        await self._ledger.append([Draft(self._stream, OVERRIDDEN, canonical(body), wall)])
        self.ungated.add(rollout)

    def _remember(self, stored: Stored) -> None:
        self._stored.pop(stored.release.id, None)
        self._stored[stored.release.id] = stored


def _plain(word: str) -> str:
    """Release ids become file, cluster and label names everywhere."""
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in word).strip("-") or "r"


def _write(stored: Stored) -> bytes:
    release = stored.release
    return canonical(
        {
            "format": "holdfast-release/v1",
            "id": release.id,
            "digest": release.digest,
            "version": release.version,
            "base_dir": stored.bundle.base_dir,
            "spec_path": stored.spec_path,
            "spec_text": stored.spec_text,
        }
    )


def _read(blob: bytes) -> Stored:
    body: dict[str, Any] = json.loads(blob)
    release = Release(body["id"], body["digest"], body["version"])
    service = load_text(body["spec_text"], body["spec_path"])
    bundle = Bundle(release, service, body["base_dir"])
    return Stored(bundle, body["spec_text"], body["spec_path"])
