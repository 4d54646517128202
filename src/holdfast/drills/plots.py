"""Plots of one act as inline SVG: readable on light and dark paper, no script, nothing fetched.

Ink is ``currentColor`` so that it follows the page. Ids are prefixed with the plot's name, because
several drawings share one page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.drills.record import Record, Slice, Window
from holdfast.drills.scenes import Mark, Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#0f1e2d"  # stands for currentColor until the drawing is done
#: Told apart by people who see colours differently (Okabe and Ito), on light and dark paper.
VERSION_COLOURS = ("#0072B2", "#009E73", "#56B4E9", "#CC79A7", "#8C6BB1", "#41AB9A")
BAD_COLOUR = "#D55E00"
P50, P99, WORST = "#56B4E9", "#E69F00", "#999999"
MARK_COLOURS = {
    "command": "#0072B2", "step": "#999999", "verdict": "#E69F00", "revert": "#D55E00",
    "end": "#009E73", "fault": "#CC3311",
}  # fmt: skip
MARK_WORDS = {
    "command": "command", "step": "next share of the traffic", "verdict": "verdict",
    "revert": "taken back", "end": "end", "fault": "kill -9",
}  # fmt: skip
BINS_MAX = 600
EVENT_ROWS = 3
NAMES_MAX = 12  # in a legend; colours come round again anyway
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
}


@contextmanager
def paper(name: str) -> Iterator[type[Figure]]:
    """matplotlib's object interface with our settings; no display, no global state kept."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = {**SETTINGS, "svg.hashsalt": name}
    with matplotlib.rc_context(settings):
        yield Figure


def as_svg(figure: Figure, name: str, says: str) -> str:
    """The drawing as an element to put into a page; ``says`` is for those who cannot see it."""
    kept = io.StringIO()
    figure.savefig(kept, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return embed(kept.getvalue(), name, says)


def embed(svg: str, name: str, says: str) -> str:
    """Take off what a page does not need, and make the ids its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace(INK, "currentColor")
    return svg.replace("<svg", f'<svg role="img" aria-label="{says}"', 1).strip()


# ---- an act -------------------------------------------------------------------------------------


def colours(record: Record, scenes: Sequence[Scene]) -> dict[str, str]:
    """Good versions in turn, bad ones all in one warning colour."""
    bad = {scene.version for scene in scenes if scene.expected == "reverted"}
    names = sorted((v for v in record.versions if v), key=_natural)
    good = iter(VERSION_COLOURS * (1 + len(names) // len(VERSION_COLOURS)))
    return {name: BAD_COLOUR if name in bad else next(good) for name in names}


def _natural(version: str) -> tuple[int, str]:
    digits = re.sub(r"\D", "", version)
    return int(digits or 0), version


def draw_act(name: str, record: Record, scenes: Sequence[Scene], p99_bound_ms: float) -> str:
    """Four panels on one clock: who answered, how fast, what was lost, what happened."""
    bin_s = max(0.1, round(record.window.seconds / BINS_MAX, 1))
    series = record.series(bin_s)
    with paper(name) as new_figure:
        figure = new_figure(figsize=(10.4, 8.2), layout="constrained")
        heights = [2.4, 2.4, 0.9, 1.6]
        split, speed, lost, events = figure.subplots(
            4, 1, sharex=True, gridspec_kw={"height_ratios": heights}
        )
        _draw_split(split, series, bin_s, colours(record, scenes))
        _draw_latency(speed, series, p99_bound_ms)
        _draw_losses(lost, series, bin_s, record)
        _draw_events(events, record, scenes)
        for panel in (split, speed, lost):
            _shade(panel, record, scenes)
        events.set_xlabel("seconds since the load began")
        events.set_xlim(0, max(s.at for s in series) + bin_s)
        figure.align_ylabels([split, speed, lost, events])
        says = f"{name}: traffic by version, latency, failures and events over time"
        return as_svg(figure, name, says)


def _draw_split(panel: Axes, series: Sequence[Slice], bin_s: float, paint: dict[str, str]) -> None:
    at = np.array([s.at for s in series])
    rates = [np.array([s.versions.get(v, 0) / bin_s for s in series]) for v in paint]
    panel.stackplot(
        at, *rates, labels=_names(paint), colors=list(paint.values()), alpha=0.85, step="post", lw=0
    )
    panel.set_ylabel("answers/s by version")
    panel.set_ylim(0, 1.12 * max(sum(each) for each in zip(*rates, strict=True)))
    panel.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=12, handlelength=0.9, columnspacing=1.2
    )


def _names(paint: dict[str, str]) -> list[str]:
    """Labels of the legend; a leading underscore keeps the rest out of it."""
    return [name if at < NAMES_MAX else f"_{name}" for at, name in enumerate(paint)]


def _draw_latency(panel: Axes, series: Sequence[Slice], bound_ms: float) -> None:
    at = [s.at for s in series]
    panel.step(at, [s.max_ms for s in series], where="post", color=WORST, lw=0.7, label="slowest")
    panel.step(at, [s.p99_ms for s in series], where="post", color=P99, lw=1.4, label="p99")
    panel.step(at, [s.p50_ms for s in series], where="post", color=P50, lw=1.4, label="median")
    promised = f"promised p99, {bound_ms:g} ms"
    panel.axhline(bound_ms, color=BAD_COLOUR, lw=1, ls=(0, (5, 3)), label=promised)
    panel.set_yscale("log")
    bottom, top = panel.get_ylim()
    panel.set_ylim(min(bottom, 0.1), max(top, bound_ms * 3))
    panel.yaxis.set_major_formatter(lambda value, _pos: f"{value:g}")
    panel.set_ylabel("latency, ms")
    panel.legend(loc="lower left", bbox_to_anchor=(0, 0.98), ncols=4, handlelength=1.6)


def _draw_losses(panel: Axes, series: Sequence[Slice], bin_s: float, record: Record) -> None:
    at, lost = [s.at for s in series], [s.failures for s in series]
    panel.bar(at, lost, width=bin_s, align="edge", color=BAD_COLOUR)
    panel.set_ylabel("failed")
    panel.set_ylim(0, max(1, max(lost) * 1.2))
    panel.locator_params(axis="y", integer=True, nbins=3)
    says = f"{record.failed():,} failed of {record.requests():,} requests"
    x, y, anchor = (0.01, 0.82, "left") if record.failed() else (0.5, 0.5, "center")
    panel.text(x, y, says, transform=panel.transAxes, ha=anchor, va="center", fontsize=11)


def _draw_events(panel: Axes, record: Record, scenes: Sequence[Scene]) -> None:
    """One thin bar a scene with its name above, in rows so that names do not meet; ticks."""
    whole = record.window
    for number, scene in enumerate(s for s in scenes if s.window.end > whole.start):
        begin = max(0.0, scene.window.start - whole.start)
        length = scene.window.end - whole.start - begin
        colour = BAD_COLOUR if scene.expected == "reverted" else "#0072B2"
        row = number % EVENT_ROWS
        panel.barh(row, length, left=begin, height=0.3, color=colour, alpha=0.45, lw=0)
        late = begin > 0.8 * whole.seconds
        at, anchor = (begin + length, "right") if late else (begin, "left")
        panel.text(at, row - 0.2, scene.name, fontsize=8, va="bottom", ha=anchor)
        for mark in (m for m in scene.marks if m.at >= whole.start):
            at, colour = mark.at - whole.start, MARK_COLOURS[mark.kind]
            panel.plot([at, at], [row - 0.17, row + 0.17], color=colour, lw=1.8)
    panel.set_ylim(EVENT_ROWS - 0.7, -0.85)
    panel.set_yticks([])
    panel.set_ylabel("events")
    panel.grid(visible=False, axis="y")
    _explain_ticks(panel, {mark.kind for scene in scenes for mark in scene.marks})


def _explain_ticks(panel: Axes, kinds: set[str]) -> None:
    shown = [kind for kind in MARK_COLOURS if kind in kinds]
    for kind in shown:
        panel.plot([], [], color=MARK_COLOURS[kind], lw=2.4, label=MARK_WORDS[kind])
    if shown:
        panel.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.42), ncols=len(shown), handlelength=0.9,
            columnspacing=1.4,
        )  # fmt: skip


def _shade(panel: Axes, record: Record, scenes: Sequence[Scene]) -> None:
    """The same spans behind every panel, so that the eye can go straight down."""
    for scene in scenes:
        if scene.outcome is None or scene.window.end <= record.start:
            continue
        begin = max(0.0, scene.window.start - record.start)
        bad = scene.expected == "reverted"
        colour, strength = (BAD_COLOUR, 0.10) if bad else (INK, 0.05)
        panel.axvspan(begin, scene.window.end - record.start, color=colour, alpha=strength, lw=0)


# ---- the way back, enlarged ---------------------------------------------------------------------


def draw_way_back(name: str, record: Record, scene: Scene, paint: dict[str, str]) -> str | None:
    """Answers of each version in the milliseconds around the trigger."""
    last = record.last_answer(scene.version)
    if scene.trigger is None or last is None:
        return None
    reach = max(0.06, 1.6 * (last - scene.trigger))
    if last < scene.trigger - reach:  # it had fallen silent long before
        return None
    near = Window(scene.trigger - reach, scene.trigger + reach)
    chosen = record.within(Window(near.start - 0.5, near.end))
    done = (record.done[chosen] + record.start - scene.trigger) * 1e3
    who = record.who[chosen]
    with paper(name) as new_figure:
        figure = new_figure(figsize=(10.4, 2.5), layout="constrained")
        panel = figure.subplots()
        edges = np.linspace(-reach * 1e3, reach * 1e3, 61)
        shown = [v for v in paint if (who == record.versions.index(v)).any()]
        heights = [done[who == record.versions.index(v)] for v in shown]
        colour = [paint[v] for v in shown]
        panel.hist(heights, bins=edges.tolist(), stacked=True, color=colour, label=shown, lw=0)
        panel.axvline(0, color=INK, lw=1)
        _label_last(panel, (last - scene.trigger) * 1e3, scene.version)
        panel.set_xlim(edges[0], edges[-1])
        panel.set_xlabel("milliseconds since the trigger")
        panel.set_ylabel(f"answers each {edges[1] - edges[0]:.2g} ms")
        panel.legend(loc="upper right", ncols=8, handlelength=0.9)
        panel.set_ylim(0, 1.35 * panel.get_ylim()[1])
        says = f"answers by version around the trigger of {scene.name}"
        return as_svg(figure, name, says)


def _label_last(panel: Axes, after_ms: float, version: str) -> None:
    panel.axvline(after_ms, color=BAD_COLOUR, lw=1.2, ls=(0, (4, 2)))
    panel.text(
        after_ms, 1.02, f" last answer of {version}: {after_ms:+.1f} ms", color=BAD_COLOUR,
        transform=panel.get_xaxis_transform(), va="bottom", ha="left", fontsize=9,
    )  # fmt: skip


def all_marks(scenes: Sequence[Scene]) -> list[tuple[Scene, Mark]]:
    return [(scene, mark) for scene in scenes for mark in scene.marks]
