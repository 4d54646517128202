"""The operations of the API that the console needs: live pictures, proofs, and a way in."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice

from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from holdfast.conductor.answers import HEADERS, Problem
from holdfast.conductor.auth import Role
from holdfast.conductor.call import Call, Result
from holdfast.conductor.console.board import Board
from holdfast.conductor.console.door import Door
from holdfast.conductor.console.pages import Pages
from holdfast.conductor.console.series import point_document
from holdfast.conductor.console.sessions import LINK_S_MAX, Sessions
from holdfast.conductor.console.sheet import sheet_document
from holdfast.conductor.events import STREAMS_MAX, entry_document
from holdfast.conductor.hosts import CONSOLE
from holdfast.conductor.station import Station
from holdfast.conductor.wiring import Conductor
from holdfast.ledger.archive import public_keys

ENTRIES = 50
FINDINGS_MAX = 500
_DRILLS = "drills"


class ConsoleCalls:
    """One method per operation, as in ``api.Api``, which inherits them."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        works = conductor.works
        self.sessions = Sessions(works.home, works.clock.wall)
        self.door = Door()
        self._board = Board(conductor)

    def _station(self, call: Call) -> Station:
        station = self._conductor.stations.get(call.service)
        if station is None and call.service in self._conductor.unreadable:
            hint = "holdfast audit verify says more"
            raise Problem(503, "unreadable", self._conductor.unreadable[call.service], hint)
        if station is None:
            known = ", ".join(sorted(self._conductor.stations)) or "none; holdfast up deploys one"
            raise Problem(404, "unknown-service", f"no service {call.service!r}", f"known: {known}")
        return station

    def _one_more_stream(self) -> None:
        if self._conductor.works.news.listeners >= STREAMS_MAX:
            raise Problem(503, "too-many-streams", f"{STREAMS_MAX} event streams are open already")

    def pages(self) -> list[Route]:
        return Pages(self.sessions).routes()

    def reopen(self) -> None:
        """Where a page may still be open, it finds the next conductor at the same port."""
        if self.sessions.any_alive:
            self.door.open(self.sessions.port)

    # ---- live

    async def board(self, _call: Call) -> Result:
        return {"cards": self._board.cards()}

    async def live(self, call: Call) -> Result:
        self._one_more_stream()
        frames = self._board.stream(call.query["service"], self._may_listen(call.session))
        return StreamingResponse(frames, media_type="text/event-stream", headers=HEADERS)

    def _may_listen(self, cookie: str) -> Callable[[], bool]:
        """A stream ends with the session it was opened by."""
        return lambda: not cookie or self.sessions.find(cookie) is not None

    async def sheet(self, call: Call) -> Result:
        station = self._station(call)
        return sheet_document(station.state, station.service)

    async def series(self, call: Call) -> Result:
        station = self._station(call)
        points = [point_document(point) for point in station.series.points]
        return {"service": station.name, "points": points}

    # ---- ledger

    async def ledger(self, call: Call) -> Result:
        """The newest entries first, of all streams or of one service's."""
        ledger, limit = self._conductor.works.ledger, call.query["limit"] or ENTRIES
        if call.query["service"] is not None:
            found = ledger.latest(limit, call.query["service"])
        else:
            found = list(ledger.entries(max(0, ledger.size - limit), ledger.size))
        newest = sorted(found, key=lambda entry: -entry.index)
        return {"entries": [entry_document(entry) for entry in newest]}

    async def proof(self, call: Call) -> Result:
        ledger, index = self._conductor.works.ledger, call.query["index"] or 0
        if index >= ledger.size:
            raise Problem(404, "unknown-entry", f"the ledger has {ledger.size} entries")
        return PlainTextResponse(ledger.prove(index), headers=HEADERS)

    async def consistency(self, call: Call) -> Result:
        ledger, old = self._conductor.works.ledger, call.query["old"] or 0
        if old > ledger.size:
            raise Problem(409, "shorter", f"the ledger has {ledger.size} entries, fewer than {old}")
        return PlainTextResponse(ledger.prove_consistency(old), headers=HEADERS)

    async def verifier_keys(self, _call: Call) -> Result:
        keys = public_keys(self._conductor.works.ledger.path)
        return PlainTextResponse("".join(f"{key}\n" for key in keys), headers=HEADERS)

    async def findings(self, _call: Call) -> Result:
        """What drills found, the latest of each promise, as ``holdfast drill`` recorded it."""
        latest = self._conductor.works.ledger.latest(FINDINGS_MAX, _DRILLS)
        found = {}
        for entry in sorted(latest, key=lambda entry: entry.index):
            body = json.loads(entry.body)
            found[body.get("promise")] = {"index": entry.index, "wall": entry.wall, "body": body}
        return {"findings": list(islice(found.values(), FINDINGS_MAX))}

    # ---- coming in

    async def console_link(self, call: Call) -> Result:
        assert call.identity is not None
        if call.session:
            says = "a session of the console cannot make itself a longer one"
            raise Problem(403, "session", says, "holdfast console")
        asked = Role.named(call.body.role) if call.body.role else call.identity.role
        role = min(asked, call.identity.role)
        port = self.door.open(self.sessions.port)
        self.sessions.listen_at(port)
        code = self.sessions.link(call.identity, role)
        url = f"http://{CONSOLE}:{port}/#code={code}"
        return {"url": url, "expires_s": LINK_S_MAX, "role": role.word}
