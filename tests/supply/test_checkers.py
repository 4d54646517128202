"""Other people's checkers: what they print becomes findings; a missing one is never green."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from holdfast.supply.checkers import output, promql, run, table
from holdfast.supply.checkers.job import Checker, Job, Outcome, Said, Status
from holdfast.supply.finding import Finding, Severity


@dataclass
class File:
    path: str
    text: str = ""
    objects: list = field(default_factory=list)


def script(code, parse=lambda said: [], **rest):
    """A checker that is this Python, running some code over the files."""
    argv = lambda tool, paths: [sys.executable, "-c", code, *paths]  # noqa: E731
    find = rest.pop("find", lambda: sys.executable)
    wants = rest.pop("wants", lambda file: True)
    return Checker("fake", wants, argv, parse, "cannot be had", find=find, **rest)


def checked(tmp_path, checker, *paths, **rest):
    (outcome,) = run.check(tmp_path, [File(path) for path in paths], table=(checker,), **rest)
    return outcome


def said(out="", code=1, err=""):
    return Said(code, out, err)


def test_promtool_names_the_line_of_each_expression():
    text = (
        "Checking rules.yaml\n"
        'rules.yaml: 5:11: group "a", rule 1, "x": could not parse expression: unclosed\n'
        "Checking other.yaml\n  FAILED: parsing YAML file other.yaml: nothing\n"
    )
    assert [(f.artifact, f.line) for f in output.promtool(said(text))] == [
        ("rules.yaml", 5),
        ("other.yaml", 0),
    ]


def test_zizmor_names_the_primary_place_of_what_is_not_ignored():
    place = {
        "symbolic": {
            "key": {"Local": {"verbatim_path": "a.yaml"}},
            "annotation": "b",
            "kind": "Primary",
        },
        "concrete": {"location": {"start_point": {"row": 4, "column": 1}}},
    }
    related = {**place, "symbolic": {**place["symbolic"], "kind": "Related"}}
    each = {"ident": "i", "desc": "d", "ignored": False, "locations": [related, place],
            "determinations": {"severity": "High"}}  # fmt: skip
    found = output.zizmor(said(json.dumps([each, {**each, "ignored": True}])))
    assert found == [Finding("zizmor/i", "a.yaml", "d: b", "", 5)]


def test_checkov_says_one_framework_or_several():
    check = {"check_id": "CKV_1", "check_name": "n", "resource": "r", "file_path": "/a.yaml",
             "file_line_range": [3, 9]}  # fmt: skip
    report = {"results": {"failed_checks": [check]}}
    one, two = (output.checkov(said(json.dumps(r))) for r in (report, [report, report]))
    assert (len(one), len(two)) == (1, 2)
    assert (one[0].rule, one[0].artifact, one[0].line) == ("checkov/CKV_1", "a.yaml", 3)


def test_amtool_yamllint_hadolint_and_cfn_lint_are_understood():
    found = output.amtool(said("Checking 'a.yml'  FAILED: undefined receiver\n"))
    assert (found[0].artifact, found[0].found) == ("a.yml", "undefined receiver")
    (found,) = output.yamllint(said("a.yml:3:5: [error] syntax error: x (y) (syntax)"))
    assert (found.rule, found.line, found.found) == ("yamllint/syntax", 3, "syntax error: x (y)")
    line = {"code": "DL1", "file": "Dockerfile", "message": "m", "line": 2, "level": "info"}
    (found,) = output.hadolint(said(json.dumps([line])))
    assert (found.rule, found.severity) == ("hadolint/DL1", Severity.WARNING)
    each = {"Rule": {"Id": "E1"}, "Filename": "a", "Message": "m", "Level": "Error",
            "Location": {"Start": {"LineNumber": 7}}}  # fmt: skip
    (found,) = output.cfn_lint(said(json.dumps([each])))
    assert (found.rule, found.line) == ("cfn-lint/E1", 7)


def test_shellcheck_tells_advice_from_what_breaks():
    each = {"file": "a.sh", "line": 3, "level": "info", "code": 2086, "message": "Double quote"}
    found = output.shellcheck(said(json.dumps([each, {**each, "level": "error"}])))
    assert [(f.rule, f.line, f.severity) for f in found] == [
        ("shellcheck/SC2086", 3, Severity.WARNING), ("shellcheck/SC2086", 3, Severity.ERROR),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "parse", [output.hadolint, output.shellcheck, output.zizmor, output.cfn_lint, output.checkov]
)
def test_silence_is_no_finding(parse):
    assert parse(said("", 0)) == []


def test_a_missing_checker_is_not_checked_and_says_how_to_get_it(tmp_path):
    outcome = checked(tmp_path, script("", find=lambda: None), "a")
    assert (outcome.status, outcome.files) == (Status.NOT_CHECKED, 1)
    assert "cannot be had" in outcome.detail


def test_a_checker_without_files_has_nothing_to_do(tmp_path):
    assert checked(tmp_path, script("", wants=lambda f: False), "a").status == Status.NOTHING


def test_a_program_that_fails_without_a_word_is_a_finding(tmp_path):
    outcome = checked(tmp_path, script("import sys; sys.exit('it broke')"), "a.yaml")
    (found,) = outcome.findings
    assert (found.rule, found.artifact, found.found) == ("fake/failed", "a.yaml", "it broke")


def test_a_program_that_prints_nonsense_is_a_finding(tmp_path):
    outcome = checked(tmp_path, script("print('[{')", output.hadolint), "a.yaml")
    assert [each.rule for each in outcome.findings] == ["fake/failed"]


def test_a_program_that_never_ends_is_stopped_with_its_children(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('pid', 'w').write(str(child.pid)); time.sleep(600)"
    )
    outcome = checked(tmp_path, script(code, s_max=3.0), "a.yaml")
    assert [each.rule for each in outcome.findings] == ["fake/timeout"]
    pid, deadline = int((tmp_path / "pid").read_text()), time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the child lives")


def test_paths_are_those_of_the_set_however_the_program_writes_them(tmp_path):
    def parse(said):
        return [Finding("fake/x", path, "x") for path in said.out.split()]

    code = "import os, sys; print('./a.yaml', os.path.abspath('b.yaml'))"
    outcome = checked(tmp_path, script(code, parse), "a.yaml", "b.yaml")
    assert [each.artifact for each in outcome.findings] == ["a.yaml", "b.yaml"]


def test_progress_hears_of_each_checker_once(tmp_path):
    heard = []
    checked(tmp_path, script("", alone=True), "a", "b", "c", progress=heard.append)
    assert [(each.checker, each.files) for each in heard] == [("fake", 3)]


def test_whoever_waits_is_told_for_whom(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "PATIENCE_S", 0.05)
    told = []
    checked(tmp_path, script("import time; time.sleep(1)"), "a", waiting=told.append)
    assert len(told) > 1 and told[0] == ["fake"]


EDGE = """node: {id: edge, cluster: edge}
static_resources:
  listeners:
  - name: edge
    address: {socket_address: {address: 127.0.0.1, port_value: 8443}}
    filter_chains:
    - filters: [{name: x, typed_config: {"@type": %s.filters.network.echo.v3.Echo}}]
      transport_socket:
        name: tls
        typed_config:
          "@type": %s.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificate_sds_secret_configs:
            - {name: own, sds_config: {path_config_source: {path: /nowhere/own.yaml}}}
            validation_context: {trusted_ca: {filename: /nowhere/ca.crt}}
""".replace("%s", "type.googleapis.com/envoy.extensions")


@pytest.mark.req("T116", "T117")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", None),
        ("/nowhere/own.yaml", "own.yaml", "own.yaml"),
        ("trusted_ca", "trustd_ca", "'trustd_ca'"),
        ("port_value: 8443", "port_value: 88443", "88443"),
        ("path: /nowhere/own", "pth: /nowhere/own", "'pth'"),
    ],
)
def test_envoy_sees_certificates_that_lie_elsewhere_and_every_other_mistake(
    tmp_path, old, new, said
):
    from holdfast.artifacts.check.written import read

    path = "resilience/edge/envoy/a.yaml"
    (checker,) = (each for each in table.CHECKERS if each.name == "envoy")
    (outcome,) = run.check(tmp_path, [read(path, EDGE.replace(old, new, 1))], table=(checker,))
    if outcome.status is Status.NOT_CHECKED:
        pytest.skip(outcome.detail)
    assert [each.artifact for each in outcome.findings] == ([path] if said else []), outcome
    assert not said or said in outcome.findings[0].found
    assert "holdfast-copies" not in str(outcome)


def test_expressions_of_many_files_are_placed_where_they_are_written(tmp_path):
    if not table.program("promtool"):
        pytest.skip("promtool is not installed")
    origins = [Finding("", "a.yaml", "", line=7), Finding("", "b.json", "", line=9)]
    planned = promql.job(tmp_path, ['rate(a{b="\\n\'"}[5m])', "sum(a"], origins)
    assert isinstance(planned, Job)
    (found,) = run.run(tmp_path, planned).findings
    assert (found.artifact, found.line) == ("b.json", 9)


BAD = {
    "hadolint": ("Dockerfile", "FROM debian:latest\nRUN cd /tmp\n"),
    "yamllint": ("a.yaml", "a: 1\na: 2\n"),
    "zizmor": ("delivery/github/workflows/a.yaml",
               "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
               "      - run: echo ${{ github.event.issue.title }}\n"),
    "actionlint": ("delivery/github/workflows/a.yaml", "on: push\njobs:\n  a:\n    steps: []\n"),
    "cfn-lint": ("a.yaml", 'AWSTemplateFormatVersion: "2010-09-09"\n'
                 "Resources:\n  A:\n    Type: AWS::S3::Bucket\n    Properties: {BucketNme: x}\n"),
    "amtool": ("a.yml", "route: {receiver: x}\nreceivers: [{name: y}]\n"),
    "promtool rules": ("a.yml", "groups:\n- name: a\n  rules:\n  - {alert: x, expr: sum(x}\n"),
    "promtool config": ("a.yml", "scrape_configs:\n- job_name: a\n  scrape_intrval: 3s\n"),
    "promtool test": ("a.yml", "rule_files: []\ntests:\n- interval: 1m\n  promql_expr_test:\n"
                      "  - {expr: vector(1), eval_time: 1m, exp_samples: [{value: 2}]}\n"),
    "envoy": ("envoy.yaml", "static_resources: {listners: []}\n"),
    "kustomize": ("kubernetes/overlays/x/kustomization.yaml",
                  "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
                  "resources: [gone.yaml]\n"),
    "shellcheck": ("a.sh", "#!/bin/sh\ncd $1\nrm -rf $X/*\n"),
    "checkov": ("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
                "spec: {containers: [{name: a, image: a}]}\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_each_checker_that_is_installed_finds_what_is_wrong_and_says_where(tmp_path, name):
    from holdfast.artifacts.check.written import read

    (checker,) = (each for each in table.CHECKERS if each.name == name)
    path, text = BAD[name]
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)
    (outcome,) = run.check(tmp_path, [read(path, text)], table=(checker,))
    if outcome.status is Status.NOT_CHECKED:
        pytest.skip(outcome.detail)
    assert outcome.status is Status.CHECKED and outcome.findings, outcome
    assert {each.artifact for each in outcome.findings} == {path}
    assert not any(each.rule.endswith("/failed") for each in outcome.findings), outcome


def test_every_checker_of_the_table_is_tried_above():
    assert {each.name for each in table.CHECKERS} == set(BAD)


def test_the_order_of_outcomes_is_that_of_the_table(tmp_path):
    outcomes = run.check(tmp_path, [])
    assert [each.checker for each in outcomes] == [each.name for each in table.CHECKERS]
    assert all(isinstance(each, Outcome) and not each.findings for each in outcomes)


def test_the_server_is_asked_through_kubectl(tmp_path):
    from holdfast.artifacts.check.written import read
    from holdfast.supply.checkers import server

    files = [
        read("kubernetes/platform/a.yaml", "apiVersion: v1\nkind: Namespace\n"),
        read("kubernetes/base/b.yaml", "apiVersion: v1\nkind: Secret\n"),
        read("kubernetes/overlays/x/kustomization.yaml", "apiVersion: a/v1\nkind: Kustomization\n"),
    ]
    planned = server.jobs(files)
    if isinstance(planned, Outcome):
        pytest.skip(planned.detail)
    assert [job.argv[-2:] for job in planned] == [
        ("-f", "kubernetes/platform/a.yaml"), ("-k", "kubernetes/overlays/x"),
    ]  # fmt: skip
    assert subprocess.run([planned[0].argv[0], "version", "--client"], capture_output=True)
