"""Calls the checkers that are installed, several at once, each with a bound on its time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from holdfast.supply.checkers.job import Checker, Job, Outcome, Readable, Said, Status
from holdfast.supply.checkers.table import CHECKERS, program
from holdfast.supply.finding import Finding

_SAID_MAX = 400


def check(
    root: Path,
    files: Sequence[Readable],
    more: Sequence[Job] = (),
    table: Sequence[Checker] = CHECKERS,
    progress: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Run every checker over the files below ``root``; ``more`` are calls made elsewhere.

    ``progress`` hears of each checker when it is done.
    """
    idle, jobs = [], list(more)
    for checker in table:
        planned = plan(checker, files)
        if isinstance(planned, Outcome):
            idle.append(planned)
            progress(planned)
        else:
            jobs += planned
    done = list(_run_all(root, jobs, progress))
    order = [checker.name for checker in table]
    place = {name: index for index, name in enumerate(order)}
    return sorted((*idle, *done), key=lambda outcome: place.get(outcome.checker, len(order)))


def plan(checker: Checker, files: Iterable[Readable]) -> list[Job] | Outcome:
    """The calls of a checker, or why there are none."""
    paths = tuple(file.path for file in files if checker.wants(file))
    if not paths:
        return Outcome(checker.name, Status.NOTHING, 0)
    names = checker.programs or (checker.name,)
    tool = checker.find() if checker.find else program(*names)
    if tool is None:
        detail = f"{' or '.join(names)} is not installed: {checker.get}"
        status = Status.NOTHING if checker.second else Status.NOT_CHECKED
        return Outcome(checker.name, status, len(paths), detail=detail)
    calls = [(path,) for path in paths] if checker.alone else [paths]
    return [
        Job(checker.name, tuple(checker.argv(tool, call)), checker.parse, call, checker.s_max)
        for call in calls
    ]


def _run_all(
    root: Path, jobs: Sequence[Job], progress: Callable[[Outcome], None]
) -> Iterator[Outcome]:
    left = {name: [j for j in jobs if j.checker == name] for name in {j.checker for j in jobs}}
    parts: dict[str, list[Outcome]] = {name: [] for name in left}
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        futures = {pool.submit(run, root, job): job for job in jobs}
        for future in as_completed(futures):
            name = futures[future].checker
            parts[name].append(future.result())
            if len(parts[name]) == len(left[name]):
                outcome = _together(parts[name])
                progress(outcome)
                yield outcome


def _together(parts: Sequence[Outcome]) -> Outcome:
    findings = sorted(
        (finding for part in parts for finding in part.findings),
        key=lambda finding: (finding.artifact, finding.line, finding.rule),
    )
    return replace(
        parts[0],
        files=sum(part.files for part in parts),
        findings=tuple(dict.fromkeys(findings)),
        seconds=sum(part.seconds for part in parts),
    )


def run(root: Path, job: Job) -> Outcome:
    """One call. A program that fails without saying what is wrong is itself a finding."""
    began = time.monotonic()
    try:
        said = _call(root, job)
        findings = job.parse(said)
        if said.code and not findings:
            findings = [_failed(job, said)]
    except subprocess.TimeoutExpired:
        words = f"no answer within {job.s_max:.0f} s"
        findings = [Finding(f"{_short(job)}/timeout", job.files[0], words)]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        findings = [Finding(f"{_short(job)}/failed", job.files[0], f"{error!r}"[:_SAID_MAX])]
    placed = tuple(_placed(finding, job, root) for finding in findings)
    spent = time.monotonic() - began
    return Outcome(job.checker, Status.CHECKED, len(job.files), placed, seconds=spent)


def _call(root: Path, job: Job) -> Said:
    process = subprocess.Popen(
        job.argv, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(job.given, timeout=job.s_max)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)  # checkers have children of their own
        process.communicate()
        raise
    return Said(process.returncode, out, err)


def _failed(job: Job, said: Said) -> Finding:
    words = (said.err.strip() or said.out.strip() or f"exit code {said.code}")[-_SAID_MAX:]
    return Finding(f"{_short(job)}/failed", job.files[0], " ".join(words.split()))


def _placed(finding: Finding, job: Job, root: Path) -> Finding:
    """Paths below the root, however the program wrote them."""
    path = finding.artifact.removeprefix("./") or job.files[0]
    if path.startswith("/"):
        path = path.removeprefix(f"{root.resolve()}/")
    return replace(finding, artifact=path)


def _short(job: Job) -> str:
    return job.checker.partition(" ")[0]
