"""What the client asks for ``holdfast top`` and the console; the documents are the console's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.conductor.client import EventDoc
    from holdfast.conductor.console.documents import CardDoc, LinkDoc, SeriesDoc, SheetDoc


class _Speaks(Protocol):
    def _call(
        self, method: str, path: str, body: dict[str, object] | None = None
    ) -> dict[str, Any]: ...

    def _text(self, method: str, path: str, body: dict[str, object] | None = None) -> str: ...

    def _stream(self, path: str) -> Iterator[EventDoc]: ...


class ConsoleLooks(_Speaks):
    """One method per operation of ``console/calls.py``."""

    def board(self) -> list[CardDoc]:
        return cast("list[CardDoc]", self._call("GET", "/v1/board")["cards"])

    def live(self, service: str | None = None) -> Iterator[dict[str, Any]]:
        """The data of each frame, whatever its kind. Ends only by an error."""
        named = f"?service={quote(service, safe='')}" if service else ""
        return cast("Iterator[dict[str, Any]]", self._stream(f"/v1/live{named}"))

    def sheet(self, service: str) -> SheetDoc:
        return cast("SheetDoc", self._call("GET", f"/v1/services/{quote(service, safe='')}/sheet"))

    def series(self, service: str) -> SeriesDoc:
        path = f"/v1/services/{quote(service, safe='')}/series"
        return cast("SeriesDoc", self._call("GET", path))

    def ledger(self, limit: int = 50) -> list[EventDoc]:
        """Of all streams, newest first."""
        return cast("list[EventDoc]", self._call("GET", f"/v1/ledger?limit={limit}")["entries"])

    def proof(self, index: int) -> str:
        return self._text("GET", f"/v1/ledger/proof?index={index}")

    def consistency(self, old: int) -> str:
        return self._text("GET", f"/v1/ledger/consistency?old={old}")

    def verifier_keys(self) -> str:
        return self._text("GET", "/v1/ledger/keys")

    def findings(self) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self._call("GET", "/v1/drills")["findings"])

    def console_link(self, role: str | None = None) -> LinkDoc:
        body: dict[str, object] = {"role": role} if role else {}
        return cast("LinkDoc", self._call("POST", "/v1/console/links", body))
