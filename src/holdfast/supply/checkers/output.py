"""What each checker prints, as findings. Nothing here runs anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from holdfast.supply.checkers.job import Said
from holdfast.supply.finding import Finding, Severity

_PROMTOOL = re.compile(r"^(?:\s*)(?P<path>[^\s:]+): (?P<line>\d+):\d+: (?P<said>.+)$")
_PROMTOOL_FILE = re.compile(r"^\s*FAILED:?\s*(?P<said>.*)$|^Checking (?P<path>\S+)")
_PARSABLE = re.compile(
    r"^(?P<path>.+?):(?P<line>\d+):\d+: \[(?P<level>\w+)\] (?P<said>.+) \((?P<rule>[\w-]+)\)$"
)
_AMTOOL = re.compile(r"Checking '(?P<path>[^']+)'\s+FAILED: (?P<said>.+)")
_ENVOY = re.compile(r"\] error initializing configuration '(?P<path>[^']+)': (?P<said>.+)", re.S)
_ENVOY_OFFSET = re.compile(r",? near \d+:\d+ \(offset \d+\)")  # in its own JSON, not in the file


def promtool(said: Said) -> list[Finding]:
    """Errors have a line where the text has one; others belong to the file being checked."""
    found, path = [], ""
    for line in (said.out + "\n" + said.err).splitlines():
        if match := _PROMTOOL.match(line):
            at = (match["path"], match["said"], "", int(match["line"]))
            found.append(Finding("promtool/syntax", *at))
        elif match := _PROMTOOL_FILE.match(line):
            path = match["path"] or path
            if match["said"]:
                found.append(Finding("promtool/invalid", path, match["said"]))
    return found


def promtool_test(said: Said) -> list[Finding]:
    """A test that failed is told over several lines; all of them are kept."""
    if said.code == 0:
        return []
    text = said.out + said.err
    path = re.search(r"^Unit Testing:\s+(\S+)", text, re.M)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    words = " | ".join(lines[1:])[:600]
    return [Finding("promtool/test", path[1] if path else "", words)]


def amtool(said: Said) -> list[Finding]:
    return [
        Finding("amtool/config", match["path"], match["said"])
        for match in _AMTOOL.finditer(said.out + said.err)
    ]


def envoy(said: Said) -> list[Finding]:
    match = _ENVOY.search(said.err)
    words = " ".join(match["said"].split()) if match else ""
    return [Finding("envoy/config", match["path"], _ENVOY_OFFSET.sub("", words))] if match else []


def hadolint(said: Said) -> list[Finding]:
    levels = {"error": Severity.ERROR, "warning": Severity.ERROR}
    return [
        Finding(f"hadolint/{e['code']}", e["file"], e["message"], "", e["line"],
                severity=levels.get(e["level"], Severity.WARNING))
        for e in _json(said.out)
    ]  # fmt: skip


def actionlint(said: Said) -> list[Finding]:
    """With ``-format '{{json .}}'``."""
    return [
        Finding(f"actionlint/{e['kind']}", e["filepath"], e["message"], "",
                e["line"])
        for e in _json(said.out)
    ]  # fmt: skip


def zizmor(said: Said) -> list[Finding]:
    return [found for each in _json(said.out) if not each["ignored"] for found in _zizmor(each)]


def _zizmor(each: dict[str, Any]) -> Iterator[Finding]:
    for place in each["locations"]:
        if place["symbolic"].get("kind", "Primary") == "Primary":
            path = _local(place["symbolic"]["key"])
            line = place["concrete"]["location"]["start_point"]["row"] + 1
            words = f"{each['desc']}: {place['symbolic']['annotation']}"
            grade = each["determinations"]["severity"]
            severity = Severity.WARNING if grade == "Informational" else Severity.ERROR
            yield Finding(f"zizmor/{each['ident']}", path, words, "", line, severity=severity)


def _local(key: dict[str, Any]) -> str:
    local = key.get("Local", {})
    return str(local.get("verbatim_path") or local.get("given_path") or "")


def cfn_lint(said: Said) -> list[Finding]:
    levels = {"Error": Severity.ERROR, "Warning": Severity.ERROR}
    return [
        Finding(f"cfn-lint/{e['Rule']['Id']}", e["Filename"], e["Message"], "",
                e["Location"]["Start"]["LineNumber"],
                severity=levels.get(e["Level"], Severity.WARNING))
        for e in _json(said.out)
    ]  # fmt: skip


def checkov(said: Said) -> list[Finding]:
    reports = _json(said.out)
    found = []
    for report in reports if isinstance(reports, list) else [reports]:
        for each in report.get("results", {}).get("failed_checks", ()):
            path = each["file_path"].lstrip("/")
            line = (each.get("file_line_range") or [0])[0]
            words = f"{each['check_name']} ({each['resource']})"
            found.append(Finding(f"checkov/{each['check_id']}", path, words, "", line))
    return found


def yamllint(said: Said) -> list[Finding]:
    return [
        Finding(f"yamllint/{match['rule']}", match["path"], match["said"], "", int(match["line"]),
                severity=Severity.ERROR if match["level"] == "error" else Severity.WARNING)
        for line in said.out.splitlines()
        if (match := _PARSABLE.match(line))
    ]  # fmt: skip


def shellcheck(said: Said) -> list[Finding]:
    """With ``--format json``; notes of style are warnings here."""
    return [
        Finding(f"shellcheck/SC{e['code']}", e["file"], e["message"], "", e["line"],
                severity=Severity.ERROR if e["level"] in ("error", "warning") else Severity.WARNING)
        for e in _json(said.out)
    ]  # fmt: skip


def kustomize(said: Said) -> list[Finding]:
    """Its errors name no line; the caller knows which directory was built."""
    if said.code == 0:
        return []
    words = said.err.strip().splitlines() or ["it failed"]
    return [Finding("kustomize/build", "", words[-1][:400])]


def _json(text: str) -> Any:  # noqa: ANN401
    """JSON, also where a program says something else before it; nothing where there is none."""
    starts = [at for at in (text.find("["), text.find("{")) if at >= 0]
    return json.loads(text[min(starts) :]) if starts else []
