"""Calls the checkers that are installed, several at once, each with a bound on its time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from holdfast.supply.checkers.job import Checker, Job, Outcome, Readable, Said, Status
from holdfast.supply.checkers.table import CHECKERS, program
from holdfast.supply.finding import Finding

_SAID_MAX = 400
PATIENCE_S = 2.0  # that a person waits without a word


def check(
    root: Path,
    files: Sequence[Readable],
    more: Sequence[Job] = (),
    table: Sequence[Checker] = CHECKERS,
    progress: Callable[[Outcome], None] = lambda outcome: None,
    waiting: Callable[[Sequence[str]], None] = lambda names: None,
) -> list[Outcome]:
    """Run every checker over the files below ``root``; ``more`` are calls made elsewhere.

    ``progress`` hears of each checker when it is done, ``waiting`` every two seconds of those that
    are not. Raises ``OSError`` where copies for checkers cannot be written.
    """
    idle, jobs = [], list(more)
    with tempfile.TemporaryDirectory(prefix="holdfast-copies-") as place:
        for checker in table:
            planned = plan(checker, files, Path(place))
            if isinstance(planned, Outcome):
                idle.append(planned)
                progress(planned)
            else:
                jobs += planned
        done = list(_run_all(root, jobs, progress, waiting))
    order = {checker.name: index for index, checker in enumerate(table)}
    return sorted((*idle, *done), key=lambda outcome: order.get(outcome.checker, len(order)))


def plan(checker: Checker, files: Iterable[Readable], place: Path) -> list[Job] | Outcome:
    """The calls of a checker, or why there are none. Copies are written below ``place``."""
    wanted = tuple(file for file in files if checker.wants(file))
    if not wanted:
        return Outcome(checker.name, Status.NOTHING, 0)
    names = checker.programs or (checker.name,)
    tool = checker.find() if checker.find else program(*names)
    if tool is None:
        detail = f"{' or '.join(names)} is not installed: {checker.get}"
        return Outcome(checker.name, Status.NOT_CHECKED, len(wanted), detail=detail)
    calls = [(file,) for file in wanted] if checker.alone else [wanted]
    return [_job(checker, tool, call, place) for call in calls]


def _job(checker: Checker, tool: str, files: Sequence[Readable], place: Path) -> Job:
    paths = tuple(file.path for file in files)
    read: list[str] = []
    stands_for: dict[str, str] = {}
    for file in files:
        made = checker.copy(file, place) if checker.copy else {}
        stands_for.update(made)
        read.append(next(iter(made), file.path))
    argv = tuple(checker.argv(tool, read))
    return Job(checker.name, argv, checker.parse, paths, checker.s_max, stands_for=stands_for)


def _run_all(
    root: Path,
    jobs: Sequence[Job],
    progress: Callable[[Outcome], None],
    waiting: Callable[[Sequence[str]], None],
) -> Iterator[Outcome]:
    """Those that read most files begin first: at the end nobody waits for one of them alone."""
    parts: dict[str, list[Outcome]] = {job.checker: [] for job in jobs}
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        ordered = sorted(jobs, key=lambda job: -len(job.files))
        futures = {pool.submit(run, root, job): job.checker for job in ordered}
        for future in _as_they_end(futures, waiting):
            name = futures.pop(future)
            parts[name].append(future.result())
            if name not in futures.values():
                outcome = _together(parts[name])
                progress(outcome)
                yield outcome


def _as_they_end(
    futures: Mapping[Future[Outcome], str], waiting: Callable[[Sequence[str]], None]
) -> Iterator[Future[Outcome]]:
    """Until none is left: whoever reads takes each out of ``futures``."""
    tell_at = time.monotonic() + PATIENCE_S
    while futures:
        done, _ = wait(futures, max(tell_at - time.monotonic(), 0.0), FIRST_COMPLETED)
        yield from done
        if futures and time.monotonic() >= tell_at:
            tell_at = time.monotonic() + PATIENCE_S
            waiting(list(dict.fromkeys(futures.values())))


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
    said = finding.found
    for written, real in job.stands_for.items():
        said = said.replace(written, real)
    path = job.stands_for.get(finding.artifact, finding.artifact)
    path = path.removeprefix("./") or job.files[0]
    if path.startswith("/"):
        path = path.removeprefix(f"{root.resolve()}/")
    return replace(finding, artifact=path, found=said)


def _short(job: Job) -> str:
    return job.checker.partition(" ")[0]
