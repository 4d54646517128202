"""Every check of one set: its files, schemas, rules over the whole, other people's checkers."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.artifacts.bundle import MANIFEST
from holdfast.artifacts.check import rules, waivers
from holdfast.artifacts.check.monitoring import expressions
from holdfast.artifacts.check.whole import Whole
from holdfast.artifacts.check.written import Written, read
from holdfast.cli.complaint import Complaint
from holdfast.cli.rendering import read_manifest, rendered
from holdfast.supply import tree
from holdfast.supply.checkers import promql, run, server
from holdfast.supply.checkers.job import Job, Outcome, Status
from holdfast.supply.finding import Finding
from holdfast.supply.schemas import SchemaDirectory
from holdfast.supply.staging import note

if TYPE_CHECKING:
    from holdfast.artifacts.check.schema import Schemas
    from holdfast.spec.model import Service

SCHEMAS_VARIABLE = "HOLDFAST_SCHEMAS"
Progress = Callable[[Outcome], None]
Waiting = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """All that was looked at and all that came of it."""

    root: Path
    outcomes: tuple[Outcome, ...]
    settled: waivers.Settled

    @property
    def missing(self) -> tuple[Outcome, ...]:
        return tuple(each for each in self.outcomes if each.status is Status.NOT_CHECKED)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be checked, and how far."""

    root: Path
    service: Service | None
    schemas: Path | None
    server: bool


@contextmanager
def set_of(file: Path | None) -> Iterator[tuple[Path, Service]]:
    """The set of a spec, rendered into a directory that lives as long as the check."""
    made = rendered(file)
    with tempfile.TemporaryDirectory(prefix="holdfast-check-") as place:
        root = Path(place)
        for each in (*made.bundle, made.bundle.manifest()):
            tree.write(tree.inside(root, each.path), each.data)
        yield root, made.service


def checked(work: Work, progress: Progress, waiting: Waiting) -> Checked:
    """Run every check. Raises ``Complaint``."""
    files = _read(work.root)
    whole = Whole(files, work.service)
    own = [_schemas(work, files), _rules(whole), _syntax(whole)]
    for outcome in own:
        progress(outcome)
    with tempfile.TemporaryDirectory(prefix="holdfast-promql-") as place:
        idle, jobs = _extra(work, whole, Path(place))
        for outcome in idle:
            progress(outcome)
        others = run.check(work.root, files, jobs, progress=progress, waiting=waiting)
    outcomes = tuple(_placed(each, files) for each in (*own, *idle, *others))
    given = work.service.waivers if work.service else ()
    silent = {each.checker.partition(" ")[0] for each in outcomes if each.status != Status.CHECKED}
    findings = (finding for outcome in outcomes for finding in outcome.findings)
    today = date.today().isoformat()  # noqa: DTZ011  # a waiver ends on the reader's day
    return Checked(work.root, outcomes, waivers.settle(findings, given, today, silent))


def _read(root: Path) -> tuple[Written, ...]:
    entries = read_manifest(root)
    if note(root) is not None:
        said = f"a render into {root} was killed, so its files are of two renders"
        raise Complaint(said, "holdfast render", code="half-rendered")
    try:
        found = tree.files(root)
    except OSError as error:
        raise Complaint(f"cannot read {root}: {error}") from error
    if not found:
        raise Complaint(f"there is nothing in {root}", "holdfast render", code="no-set")
    return tuple(
        read(path, data.decode("utf-8", "replace"), tuple(entries.get(path, {}).get("keys", ())))
        for path, data in found.items()
        if path in entries or path == MANIFEST or not entries
    )


def _schemas(work: Work, files: tuple[Written, ...]) -> Outcome:
    broken = tuple(finding for file in files for finding in file.problems)
    parsed = [file for file in files if file.objects or file.problems]
    schemas, detail = _loaded(work.schemas)
    if schemas is None:
        return Outcome("schema", Status.NOT_CHECKED, len(parsed), broken, detail)
    from holdfast.artifacts.check import schema

    covered = sum(schema.covered(file, schemas) for file in parsed)
    detail = f"a schema speaks for {covered} of {len(parsed)} files"
    return Outcome("schema", Status.CHECKED, covered, tuple(schema.check(files, schemas)), detail)


def _loaded(given: Path | None) -> tuple[Schemas | None, str]:
    place = given or (Path(said) if (said := os.environ.get(SCHEMAS_VARIABLE)) else None)
    if place is None:
        return None, "give a directory of schemas with --schemas"
    directory = SchemaDirectory(place)
    try:
        from holdfast.artifacts.check.schema import Schemas

        return Schemas(directory.index, directory.read), ""
    except ImportError:
        return None, "pip install holdfast[check]"
    except (OSError, json.JSONDecodeError) as error:
        hint = "wanted a directory with an index.json of schemas"
        raise Complaint(f"cannot read schemas: {error}", hint, code="no-schemas") from error


def _rules(whole: Whole) -> Outcome:
    found = tuple(rules.check(whole))
    detail = "" if whole.service else "metrics were not looked at: there is no spec"
    return Outcome("rules", Status.CHECKED, len(whole.files), found, detail)


def _syntax(whole: Whole) -> Outcome:
    count = len({expression.file.path for expression in expressions(whole)})
    if not count:
        return Outcome("promql", Status.NOTHING, 0)
    try:
        from holdfast.artifacts.check import syntax
    except ImportError:
        return Outcome("promql", Status.NOT_CHECKED, count, detail="pip install holdfast[check]")
    return Outcome("promql", Status.CHECKED, count, tuple(syntax.check(whole)))


def _extra(work: Work, whole: Whole, place: Path) -> tuple[list[Outcome], list[Job]]:
    found = list(expressions(whole))
    origins = [each.finding("promql", "") for each in found]
    planned = [promql.job(place, [each.text for each in found], origins)]
    jobs = [each for each in planned if isinstance(each, Job)]
    idle = [each for each in planned if isinstance(each, Outcome)]
    if work.server:
        runs = server.jobs(whole.files)
        if isinstance(runs, Outcome):
            idle.append(runs)
        else:
            jobs += runs
    return idle, jobs


def _placed(outcome: Outcome, files: tuple[Written, ...]) -> Outcome:
    """Findings of others learn which key of the spec shapes their file, and the line where the
    checker names none but quotes what it does not like."""
    known = {file.path: file for file in files}
    found = (_completed(each, known.get(each.artifact)) for each in outcome.findings)
    return replace(outcome, findings=tuple(found))


def _completed(finding: Finding, file: Written | None) -> Finding:
    if file is None:
        return finding
    line = finding.line or file.quoted(finding.found)
    return replace(finding, key=finding.key or file.key, line=line)


def document(done: Checked) -> dict[str, object]:
    """The whole result for programs."""
    return {
        "directory": str(done.root),
        "checks": [_outcome(each) for each in done.outcomes],
        "findings": [_finding(each) for each in done.settled.open],
        "waived": [{**_finding(each), "reason": reason} for each, reason in done.settled.waived],
    }


def _outcome(each: Outcome) -> dict[str, object]:
    return {
        "checker": each.checker,
        "status": each.status.value,
        "files": each.files,
        "findings": len(each.findings),
        "detail": each.detail,
        "seconds": round(each.seconds, 3),
    }


def _finding(each: Finding) -> dict[str, object]:
    return {
        "rule": each.rule,
        "artifact": each.artifact,
        "line": each.line,
        "found": each.found,
        "wanted": each.wanted,
        "key": each.key,
        "severity": each.severity.value,
    }
