"""The ladder of a running rollout, redrawn in place. Only a person's terminal imports this."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from holdfast.cli.picture import Picture
from holdfast.cli.printing import plain
from holdfast.cli.telling import headline, hold_line
from holdfast.rollout.model import Plan
from holdfast.runtime.units import show_duration


class LiveScreen:
    """Facts scroll by above; the ladder and the reason for the wait stay below."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def fact(self, line: str, picture: Picture) -> None:
        self._live.console.print(Text(plain(f"+{picture.elapsed_s:6.2f}s  {line}"), style="dim"))
        self.tick(picture)

    def tick(self, picture: Picture) -> None:
        self._live.update(draw(picture))


@contextlib.contextmanager
def live_screen() -> Iterator[LiveScreen]:
    console = Console(highlight=False)
    with Live(console=console, refresh_per_second=10, transient=True) as live:
        yield LiveScreen(live)


def draw(picture: Picture) -> RenderableType:
    """The whole picture as it is now."""
    plan = picture.plan
    if plan is None:
        return Text("waiting for the rollout to start", style="yellow")
    parts: list[RenderableType] = [
        Text(f"{headline(plan)}, {show_duration(picture.elapsed_s)}", style="bold"),
        _ladder(plan, picture),
    ]
    if picture.status is not None:
        parts.append(_fleets(picture))
    waits = (plain(hold_line(code, detail)) for code, detail in picture.holds)
    parts += [Text(wait, style="yellow") for wait in waits]
    return Group(*parts)


def _ladder(plan: Plan, picture: Picture) -> Table:
    table = Table.grid(padding=(0, 2))
    for index, rung in enumerate(plan.ladder):
        mark, style = _mark(index, picture)
        verdict = picture.verdict if index == picture.step else None
        words = plain(f"{verdict.mark.value}: {verdict.detail}") if verdict else ""
        if not words and index == picture.step and picture.reached:
            words = "reached"
        table.add_row(f"{mark} step {index + 1}", f"{rung.weight:3d} %", words, style=style)
    return table


def _mark(index: int, picture: Picture) -> tuple[str, str]:
    if picture.revert is not None:
        return ("x", "red") if index == picture.step else (" ", "dim")
    if index < picture.step or picture.settling:
        return "+", "green"
    return (">", "bold") if index == picture.step else (" ", "dim")


def _fleets(picture: Picture) -> Table:
    status = picture.status
    assert status is not None
    table = Table.grid(padding=(0, 2))
    for fleet in status["fleets"]:
        weight = status["weights"].get(fleet["release"], 0)
        size = fleet["starting"] + fleet["ready"] + fleet["draining"] + fleet["failed"]
        bar = Text("#" * round(weight / 5), style="cyan")
        table.add_row(
            f"  {fleet['version']}", f"{weight:3d} %", f"{fleet['ready']}/{size} ready", bar
        )
    return table


@contextlib.contextmanager
def live_text() -> Iterator[Callable[[str], None]]:
    """Lines redrawn in place on a screen of their own; Ctrl-C is how people leave."""
    console = Console(highlight=False)
    with contextlib.suppress(KeyboardInterrupt), Live(console=console, screen=True) as live:
        yield lambda text: live.update(Text.from_ansi(text, no_wrap=True))
