"""``holdfast top``: every service live on a terminal; once, as plain text, in a pipe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from holdfast.cli import printing
from holdfast.cli.options import Finite, Where, at_home

if TYPE_CHECKING:
    from holdfast.conductor.client import StatusDoc
    from holdfast.conductor.console.documents import CardDoc

BARS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 20
HEADER = ("SERVICE", "STATE", "TRAFFIC", "REQUESTS/S", "", "ERRORS", "P99", "READY", "WAITS FOR")


@click.command()
@click.option(
    "--every", type=Finite(min=0.2, max=60), default=1.0, show_default=True, metavar="SECONDS",
    help="Look again after so long.",
)  # fmt: skip
@at_home
def command(where: Where, every: float) -> None:
    """Show every service live: traffic, errors, latency, and why it waits.

    On a terminal until Ctrl-C; in a pipe, and with --json, once.
    """
    from holdfast.cli.reach import reach

    client = reach(where)
    if where.json:
        printing.say_json({"cards": client.board()})
    elif not printing.is_live():
        printing.say("\n".join(top_lines(client.board())))
    else:
        from holdfast.cli.live import live_text

        with live_text() as show:
            while True:
                show("\n".join(top_lines(client.board())))
                time.sleep(every)


def top_lines(cards: list[CardDoc]) -> list[str]:
    """The whole picture as lines; coloured where colours are used."""
    if not cards:
        return ["nothing is deployed here; begin with: holdfast up"]
    rows = [_row(card) for card in sorted(cards, key=lambda card: card["status"]["service"])]
    return printing.table(HEADER, rows)


def _row(card: CardDoc) -> list[str]:
    status, pulse = card["status"], card["pulse"]
    ready = sum(fleet["ready"] for fleet in status["fleets"])
    waits = [hold["detail"] or hold["code"] for hold in status["holds"]]
    return [
        status["service"],
        _standing(status),
        _traffic(status),
        f"{pulse['rate']:,.1f}" if pulse else "-",
        printing.tone(sparkline(card["spark"]), "name"),
        _errors(pulse["errors"]) if pulse else "-",
        _latency(pulse["p99_ms"]) if pulse else "-",
        printing.tone(f"{ready}/{status['replicas']}", _fullness(ready, status["replicas"])),
        printing.plain(status["trouble"] or "; ".join(waits)),
    ]


def _standing(status: StatusDoc) -> str:
    state = status["state"]
    rollout, stable = state["rollout"], state["stable"]
    if status["trouble"]:
        return printing.tone("in trouble", "bad")
    if rollout is not None:
        way = f"{rollout['new']['version']} {rollout['step']}/{rollout['steps']}"
        old = f"{rollout['old']['version']} -> " if rollout["old"] else ""
        paused = " paused" if rollout["paused"] else ""
        return printing.tone(f"{old}{way}{paused}", "wait")
    if stable is None or state["retired"]:
        return "taken down" if state["retired"] else printing.tone("nothing live", "bad")
    return printing.tone(f"{stable['version']} live", "good")


def _traffic(status: StatusDoc) -> str:
    versions = {fleet["release"]: fleet["version"] for fleet in status["fleets"]}
    shares = sorted(status["weights"].items(), key=lambda item: -item[1])
    return " ".join(f"{versions.get(name) or name} {share} %" for name, share in shares if share)


def _errors(share: float) -> str:
    return printing.tone(f"{share:.2%}", "bad") if share >= 0.01 else f"{share:.2%}"


def _latency(p99_ms: float | None) -> str:
    if p99_ms is None:
        return "-"
    return "<1 ms" if p99_ms < 1 else f"{p99_ms:.0f} ms"


def _fullness(ready: int, replicas: int) -> str:
    return "good" if ready >= replicas else "wait"


def sparkline(values: list[float], width: int = SPARK_WIDTH) -> str:
    """The last ``width`` values as bars, the highest of them full; always ``width`` wide."""
    latest = values[-width:]
    most = max(latest, default=0.0) or 1.0
    bars = "".join(BARS[round(value / most * (len(BARS) - 1))] for value in latest)
    return bars.rjust(width)
