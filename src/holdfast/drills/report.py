"""The report of a drill: one HTML file that needs nothing else, and the same numbers as JSON."""

from __future__ import annotations

import html
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.drills import plots
from holdfast.drills.catalog import Act
from holdfast.drills.promises import (
    UNDECIDED,
    Finding,
    exit_code,
    show,
    show_bound,
    show_bound_of_zero,
)
from holdfast.drills.record import Record
from holdfast.drills.scenes import Scene

STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfc; --ink: #1c2733; --soft: #5b6875;
  --line: #d9dee3; --card: #f4f6f8; --good: #00754f; --bad: #b43f00; --void: #7a5a00; }
@media (prefers-color-scheme: dark) { :root { --paper: #12171d; --ink: #e3e9ef; --soft: #9aa7b4;
  --line: #2c3640; --card: #1a2129; --good: #3ecf9b; --bad: #ff8a4c; --void: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 2.5rem 1.25rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 3rem 0 .4rem; }
p { margin: .4rem 0 1rem; max-width: 46rem; }
.soft, figcaption { color: var(--soft); }
.banner { border-left: .35rem solid; border-radius: .3rem; background: var(--card);
  padding: .8rem 1.1rem; margin: 1.4rem 0; font-size: 1.1rem; }
.holds { color: var(--good); } .broken { color: var(--bad); } .void { color: var(--void); }
.banner.holds, .banner.broken, .banner.void { border-color: currentColor; }
.banner span { color: var(--ink); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: .85rem; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.number + td:not(.number), th.number + th:not(.number) { padding-left: .6rem; }
ol.story { list-style: none; padding: 0; margin: .6rem 0 1.2rem; max-width: 56rem; }
ol.story li { display: grid; grid-template-columns: 4.2rem 1fr; gap: .8rem; padding: .3rem 0;
  border-bottom: 1px solid var(--line); }
ol.story time { color: var(--soft); text-align: right; font-variant-numeric: tabular-nums; }
td.mark { font-weight: 650; white-space: nowrap; }
figure { margin: 1rem 0 1.6rem; } figure svg { width: 100%; height: auto; display: block; }
figure svg text { font-family: system-ui, "Segoe UI", Roboto, sans-serif !important; }
figcaption { font-size: .9rem; margin-top: .4rem; max-width: 52rem; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--soft); }
code, pre { font: .9rem/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { background: var(--card); padding: .8rem 1rem; border-radius: .4rem; overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
@media (max-width: 44rem) { body { padding: 1.4rem .9rem 3rem; } .wide { display: none; }
  figure { overflow-x: auto; } figure svg { min-width: 46rem; }
  ol.story li { grid-template-columns: 1fr; gap: 0; } ol.story time { text-align: left; } }
@media print { body { max-width: none; } h2, figure { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Report:
    """All that a run of drills came to."""

    acts: tuple[Act, ...]
    machine: Mapping[str, str]
    command: str  # how to do it again
    seconds: float
    made_at: float = field(default_factory=time.time)
    unplayed: tuple[tuple[str, str], ...] = ()  # drill and why it could not be played

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for act in self.acts for finding in act.findings)

    @property
    def code(self) -> int:
        code = exit_code(self.findings)
        return UNDECIDED if self.unplayed and code == 0 else code

    def as_json(self) -> dict[str, Any]:
        """For machines. Infinity and nan become null: not every reader takes them."""
        document: dict[str, Any] = finite(
            {
                "made_at": when(self.made_at),
                "seconds": round(self.seconds, 1),
                "machine": dict(self.machine),
                "command": self.command,
                "exit_code": self.code,
                "unplayed": [{"drill": name, "why": why} for name, why in self.unplayed],
                "findings": [finding.as_json() for finding in self.findings],
                "acts": [_act_json(act) for act in self.acts],
            }
        )
        return document


def finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _act_json(act: Act) -> dict[str, Any]:
    start = act.record.start
    return {
        "name": act.name,
        "load": act.record.summary(),
        "scenes": [
            {
                "name": scene.name,
                "version": scene.version,
                "from_s": round(scene.window.start - start, 3),
                "to_s": round(scene.window.end - start, 3),
                "ending": scene.outcome.ending if scene.outcome else None,
                "expected": scene.expected or None,
                "reason": scene.outcome.reason if scene.outcome else None,
                "requests": act.record.requests(scene.window),
                "failed": act.record.failed(scene.window),
                "marks": [[round(m.at - start, 4), m.kind, m.text] for m in scene.marks],
            }
            for scene in act.scenes
        ],
    }


def when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


# ---- html ---------------------------------------------------------------------------------------


def to_html(report: Report, title: str = "Drill report") -> str:
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        '<head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Holdfast: {esc(title)}</title>",
        f"<style>{STYLE}</style></head>",
        "<body>",
        f"<header><h1>{esc(title)}</h1>",
        f'<p class="soft">Holdfast, {when(report.made_at)}, {report.seconds:.0f} seconds</p>',
        "</header>",
        "<main>",
        _banner(report),
        _promise_table(report.findings),
        *(_act(act, number) for number, act in enumerate(report.acts)),
        _machine(report),
        _how(report),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def esc(text: object) -> str:
    return html.escape(str(text), quote=True)


def _banner(report: Report) -> str:
    marks = [finding.mark for finding in report.findings]
    requests = sum(act.record.requests() for act in report.acts)
    failed = sum(act.record.failed() for act in report.acts)
    word = {0: "holds", 1: "broken", 5: "void"}[report.code]
    head = {
        "holds": f"All {len(marks)} promises held.",
        "broken": f"{marks.count('broken')} of {len(marks)} promises were broken.",
        "void": f"{marks.count('void')} of {len(marks)} measurements say nothing.",
    }[word]
    if report.unplayed:
        head = "" if word == "void" and "void" not in marks else head
        head += " Not played: " + "; ".join(f"{name} ({why})" for name, why in report.unplayed)
    rest = f"{failed:,} of {requests:,} requests failed."
    if not failed and requests:
        rest += f" ({show_bound_of_zero(requests).partition(': ')[2]})"
    return f'<div class="banner {word}"><strong>{head}</strong> <span>{esc(rest)}</span></div>'


def _promise_table(findings: Sequence[Finding]) -> str:
    rows = "\n".join(_promise_row(finding) for finding in findings)
    return (
        '<div class="scroll"><table><thead><tr><th>promise</th><th>what</th>'
        '<th class="number">measured</th><th class="number">promised</th>'
        '<th class="number wide">rests on</th>'
        '<th class="wide">drill</th><th>verdict</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _promise_row(finding: Finding) -> str:
    why = f'<br><span class="soft">{esc(finding.void)}</span>' if finding.void else ""
    return (
        f"<tr><td>{esc(finding.promise)}</td><td>{esc(finding.says)}{why}</td>"
        f'<td class="number">{esc(show(finding.measured, finding.unit))}</td>'
        f'<td class="number">{esc(_bound(finding))}</td>'
        f'<td class="number wide">{finding.n:,}</td><td class="wide">{esc(finding.drill)}</td>'
        f'<td class="mark {finding.mark}">{finding.mark}</td></tr>'
    )


def _bound(finding: Finding) -> str:
    return show_bound(finding).replace("<=", "≤").replace(">=", "≥")


def _act(act: Act, number: int) -> str:
    name = f"act{number}"
    bound = next((f.bound for f in act.findings if f.promise == "P6"), 10.0)
    drawing = plots.draw_act(name, act.record, act.scenes, bound)
    summary = act.record.summary()
    load = f"{act.record.plan['rate']:,.0f} requests/s of {act.record.plan['rows']:,} rows"
    caption = (
        f"Load: {load}, open loop, latency from the intended instant of each request. "
        f"Whole run: median {summary['p50_ms']} ms, p99 {summary['p99_ms']} ms, "
        f"p99.9 {summary['p99.9_ms']} ms. The generator woke up at most "
        f"{summary['lag_p99_ms']} ms late (p99).{_company(act)}"
    )
    return "\n".join(
        [
            f"<section><h2>{esc(act.title)}</h2>",
            _story(act),
            f"<figure>{drawing}<figcaption>{esc(caption)}</figcaption></figure>",
            *_ways_back(act, name),
            _events(act),
            _evidence(act.findings),
            "</section>",
        ]
    )


def _company(act: Act) -> str:
    """Who else used the processors during this act."""
    noise = act.findings[0].evidence if act.findings else {}
    foreign, steal = float(noise.get("foreign", 0)), float(noise.get("steal", 0))
    return f" Other programs used {foreign:.0%} of the processors, the hypervisor {steal:.0%}."


def _story(act: Act) -> str:
    """What happened, one line a scene, in words and counts."""
    told = (scene for scene in act.scenes if scene.window.end > act.record.start)
    lines = "".join(
        f"<li><time>{max(0.0, scene.window.start - act.record.start):.1f} s</time>"
        f"<span>{esc(_tell(act.record, scene))}</span></li>"
        for scene in told
    )
    return f'<ol class="story">{lines}</ol>'


def _tell(record: Record, scene: Scene) -> str:
    n, failed = record.requests(scene.window), record.failed(scene.window)
    counted = f"{failed:,} of {n:,} requests failed"
    if n:
        counted += f", p99 {record.percentile_ms(99, scene.window):.1f} ms"
    if scene.outcome is None:
        return f"{scene.name}, {scene.version} serves: {counted}."
    reason = scene.outcome.reason if scene.expected == "reverted" else ""
    ending = "back" if scene.name == "rollback" and scene.as_expected else scene.outcome.ending
    end = f"{ending} after {show(scene.outcome.seconds, 's')}"
    why = f" Why: {reason}." if reason else ""
    odd = "" if scene.as_expected else f" Expected was: {scene.expected}."
    return f"{scene.name} of {scene.version}: {end}; {counted}.{why}{odd}"


def _ways_back(act: Act, name: str) -> list[str]:
    """The moment of going back, enlarged, for each scene that went back under traffic."""
    paint = plots.colours(act.record, act.scenes)
    figures: list[str] = []
    for number, scene in enumerate(act.scenes):
        goes_back = scene.name == "rollback" or scene.expected == "reverted"
        drawing = (
            plots.draw_way_back(f"{name}-back{number}", act.record, scene, paint)
            if goes_back and len(figures) < 3
            else None
        )
        if drawing:
            says = f"{scene.name} of {scene.version}: {_why_back(scene)}"
            figures.append(f"<figure>{drawing}<figcaption>{esc(says)}</figcaption></figure>")
    return figures


def _why_back(scene: Scene) -> str:
    revert = scene.outcome.first("RevertOrdered") if scene.outcome else None
    if revert is None:
        return "by command; the older version was still warm, so one route write was enough."
    return f"{revert.body['code']}: {revert.body['reason']}"


def _events(act: Act) -> str:
    rows = "".join(
        f'<tr><td class="number">{mark.at - act.record.start:.3f}</td><td>{esc(scene.name)}</td>'
        f"<td>{esc(mark.kind)}</td><td>{esc(mark.text)}</td></tr>"
        for scene, mark in plots.all_marks(act.scenes)
    )
    return (
        "<details><summary>Timeline of events</summary>"
        '<div class="scroll"><table><thead><tr><th class="number">second</th><th>scene</th>'
        f"<th>kind</th><th>what</th></tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _evidence(findings: Sequence[Finding]) -> str:
    rows = "".join(
        f"<tr><td>{esc(finding.promise)}</td><td>{esc(key)}</td><td>{esc(_plain(value))}</td></tr>"
        for finding in findings
        for key, value in finding.evidence.items()
    )
    return (
        "<details><summary>Evidence behind the verdicts</summary>"
        '<div class="scroll"><table><thead><tr><th>promise</th><th>what</th><th>value</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div></details>"
    )


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(each)}" for key, each in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(each) for each in value) or "-"
    return str(value)


def _machine(report: Report) -> str:
    pairs = "".join(f"<dt>{esc(k)}</dt><dd>{esc(v)}</dd>" for k, v in report.machine.items())
    return f"<section><h2>Machine and versions</h2><dl>{pairs}</dl></section>"


def _how(report: Report) -> str:
    return (
        "<section><h2>Do it again</h2>"
        f"<pre>{esc(report.command)}</pre>"
        "<p>Absolute times depend on the machine; the counts and the bounds do not. A run in which "
        "the generator was late, or in which other programs had the processors when a bound was "
        "missed, is void and not a pass. “0 of N” is printed with the bound it really shows, "
        "3/N with 95&nbsp;% confidence.</p></section>"
    )
