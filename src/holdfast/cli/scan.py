"""``holdfast scan``: known vulnerabilities in the built image, held against image.severity."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.complaint import FAILED, UNDECIDED, Complaint
from holdfast.cli.printing import plain, say, say_json, tone
from holdfast.cli.problems import count, located

if TYPE_CHECKING:
    from holdfast.artifacts.check.waivers import Settled
    from holdfast.spec.model import Service
    from holdfast.supply.images.scan import Vulnerability

_CHECKER = "trivy"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), metavar="FILE",
    help="The spec file, or its directory. Default: the nearest holdfast.yaml.",
)  # fmt: skip
@click.option(
    "-i", "--image", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    default=Path("build/image"), show_default=True, help="The image that holdfast build left.",
)  # fmt: skip
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
    help="Read this report of trivy instead of scanning.",
)  # fmt: skip
@click.option(
    "--since", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
    help="An earlier report of trivy: say what came and what went.",
)  # fmt: skip
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def command(
    file: Path | None, image: Path, report: Path | None, since: Path | None, json_wanted: bool
) -> int:
    """Look for known vulnerabilities in the built image.

    Exits 1 when one is as bad as image.severity and no waiver of trivy/CVE-... accepts it, and 5
    when nobody looked, because there is no scanner or no database: that is never a pass.
    """
    from holdfast.spec.load import load
    from holdfast.supply.images.scan import NotScanned, news, read, scan, scanner

    service = load(located(file))
    try:
        found = read(report.read_bytes()) if report else scan(image, scanner())
        came, went = news(found, read(since.read_bytes())) if since else ([], [])
    except NotScanned as error:
        hint = "install trivy, and let it fetch its database"
        says = f"not scanned: {error}"
        raise Complaint(says, hint, code="not-scanned", exit_code=UNDECIDED) from error
    settled = _settled(service, found)
    if json_wanted:
        _tell_json(service, found, settled, came, went)
    else:
        _tell(service, found, settled)
        _tell_news(came, went, since)
    return FAILED if settled.open else 0


def _settled(service: Service, found: list[Vulnerability]) -> Settled:
    """What counts, and what a person accepted until a day that has not come."""
    from holdfast.artifacts.check.waivers import settle
    from holdfast.supply.finding import Finding
    from holdfast.supply.images.scan import bad_enough

    findings = [
        Finding(
            f"{_CHECKER}/{each.name}",
            each.place,
            f"{each.severity} in {each.package} {each.installed}: {each.title}",
            each.fixed,
        )
        for each in found
        if bad_enough(each.severity, service.image.severity)
    ]
    own = [waiver for waiver in service.waivers if waiver.rule.startswith(f"{_CHECKER}/")]
    return settle(findings, own, time.strftime("%Y-%m-%d", time.gmtime()), {_CHECKER})


def _tell(service: Service, found: list[Vulnerability], settled: Settled) -> None:
    for finding in settled.open:
        say(f"{tone(finding.severity, 'bad')} {plain(str(finding))}")
    for finding, reason in settled.waived:
        say(f"{tone('waived', 'dim')} {plain(finding.rule)}: {plain(reason)}")
    gate = service.image.severity
    counting = count(len(settled.open), "finding") if settled.open else "none"
    say(f"{len(found)} known, {counting} at {gate} or worse, {len(settled.waived)} waived")


def _tell_news(came: list[Vulnerability], went: list[Vulnerability], since: Path | None) -> None:
    for each in came:
        say(f"{tone('+', 'bad')} {plain(f'{each.name} {each.severity} {each.package}')}")
    for each in went:
        say(f"{tone('-', 'good')} {plain(f'{each.name} {each.severity} {each.package}')}")
    if since:
        say(f"since {since}: {len(came)} came, {len(went)} went")


def _tell_json(
    service: Service,
    found: list[Vulnerability],
    settled: Settled,
    came: list[Vulnerability],
    went: list[Vulnerability],
) -> None:
    told: dict[str, Any] = {
        "gate": service.image.severity,
        "vulnerabilities": [asdict(each) for each in found],
        "failing": [finding.rule for finding in settled.open],
        "waived": [{"rule": finding.rule, "reason": why} for finding, why in settled.waived],
        "came": [each.name for each in came],
        "went": [each.name for each in went],
    }
    say_json(told)
