"""Words on a terminal: progress lines, the table of promises. Plain when piped, ASCII always."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TextIO

from holdfast.drills.meters import Pulse
from holdfast.drills.promises import Finding, show, show_bound

STYLES = {"holds": "32", "broken": "31;1", "void": "33", "soft": "2", "bold": "1", "what": "36"}
PULSE_EVERY_S = 1.0


class Teller:
    """Says what happens and why, with seconds since the start; numbers of the load between."""

    def __init__(self, out: TextIO | None = None, pulse_every_s: float = PULSE_EVERY_S) -> None:
        self.out = out or sys.stderr
        self.coloured = self.out.isatty()
        self.began = time.monotonic()
        self.pulse_every_s, self.pulsed_at = pulse_every_s, 0.0

    def __call__(self, line: str) -> None:
        self.say(line, "what")

    def say(self, line: str, style: str = "") -> None:
        clock = f"{time.monotonic() - self.began:6.1f} s  "
        print(self.paint(clock, "soft") + self.paint(line, style), file=self.out, flush=True)

    def head(self, line: str) -> None:
        print(f"\n{self.paint(line, 'bold')}", file=self.out, flush=True)

    def plain(self, text: str = "") -> None:
        print(text, file=self.out, flush=True)

    def pulse(self, pulse: Pulse) -> None:
        """One line of numbers a second: rate, latency, who answers, what failed."""
        now = time.monotonic()
        if now - self.pulsed_at < self.pulse_every_s or not pulse["rate"]:
            return
        self.pulsed_at = now
        self.say(f"  {pulse_line(pulse)}", "broken" if pulse["failed"] else "soft")

    def paint(self, text: str, style: str) -> str:
        code = STYLES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured and code else text

    def table(self, findings: Sequence[Finding]) -> None:
        self.plain(table(findings, self.paint))


def pulse_line(pulse: Pulse) -> str:
    answered = sum(pulse["versions"].values()) or 1
    split = "  ".join(
        f"{version} {100 * count / answered:.0f} %"
        for version, count in sorted(pulse["versions"].items())
    )
    p99 = "   -   " if pulse["p99_ms"] is None else f"{pulse['p99_ms']:6.2f}"
    rows = pulse["rows"]
    rate, unit = (pulse["rate"] * rows, "decisions/s") if rows else (pulse["rate"], "requests/s")
    return f"{rate:>9,} {unit}   p99 {p99} ms   failed {pulse['failed']}   {split}"


def plain_paint(text: str, _style: str) -> str:
    return text


def table(findings: Sequence[Finding], paint: object = plain_paint) -> str:
    """Measured beside promised, one line a finding, and under it why a run is void or broken."""
    assert callable(paint)
    head = ("promise", "what", "measured", "promised", "rests on", "verdict")
    lines = [_cells(f) for f in findings]
    widths = [max(len(row[i]) for row in (head, *lines)) for i in range(len(head))]
    told = [paint(_join(head, widths), "soft")]
    for finding, line in zip(findings, lines, strict=True):
        told.append(_join(line[:-1], widths) + "  " + paint(finding.mark, finding.mark))
        if finding.mark != "holds":
            told.append(paint(f"{'':{widths[0]}}  {why(finding)}", "soft"))
    return "\n".join(told)


def _cells(finding: Finding) -> tuple[str, ...]:
    return (
        finding.promise,
        finding.says,
        show(finding.measured, finding.unit),
        show_bound(finding),
        f"{finding.n:,}",
        finding.mark,
    )


def _join(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        cell.rjust(width) if 2 <= i <= 4 else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=False))
    ]
    return "  ".join(aligned)


def why(finding: Finding) -> str:
    """One line of the evidence that explains a void or broken promise."""
    if finding.void:
        return f"void: {finding.void}"
    telling = (
        "unexpected",
        "let in",
        "not promoted",
        "p99 ms",
        "decisions/s",
        "by scene",
        "seconds",
    )
    found = next((k for k in telling if finding.evidence.get(k)), None)
    return f"{found}: {finding.evidence[found]}" if found else "see the report"
