"""A release: the next semantic version and its notes, from the commits since the last one."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery.github import steps
from holdfast.artifacts.delivery.github.promote import DELIVERY
from holdfast.spec.model import Service

_NOTES = """
cliff() {
  pipx run --quiet --spec "git-cliff==$GIT_CLIFF" git-cliff --config .github/cliff.toml "$@"
}
version=$(cliff --bumped-version)
[[ "$version" != "$(git describe --tags --abbrev=0 2>/dev/null || true)" ]] \\
  || { echo "nothing was committed since $version" >&2; exit 1; }
cliff --tag "$version" --output CHANGELOG.md
cliff --tag "$version" --unreleased --strip all --output notes.md
echo "version=$version" >>"$GITHUB_OUTPUT"
"""

_RELEASE = """
gh release create "$VERSION" --target "$GITHUB_SHA" --title "$SERVICE $VERSION" \\
  --notes-file notes.md CHANGELOG.md
"""


def render(service: Service) -> Iterable[Artifact]:
    branch = steps.literal(service.delivery.branch)
    yield steps.workflow(
        service,
        "Release",
        "The next semantic version, its tag and its notes, from the commits.",
        {
            "on": {"workflow_dispatch": {}},
            "concurrency": steps.concurrency("release"),
            "jobs": {"release": _release(branch)},
        },
        ("delivery.branch",),
        ("T81", "T82", "T83"),
    )


def _release(branch: str) -> Object:
    token = {
        "GH_TOKEN": "${{ steps.token.outputs.token }}",
        "VERSION": "${{ steps.notes.outputs.version }}",
    }
    notes = steps.run("Write the notes", _NOTES, {"GIT_CLIFF": versions.GIT_CLIFF}, id="notes")
    return steps.job(
        "Tag and tell",
        [
            steps.run("Only from the branch", _only(), {"BRANCH": branch}),
            steps.checkout(fetch_depth=0),
            notes,
            steps.app_token(contents="write"),
            steps.run("Release", _RELEASE, token),
        ],
        minutes=15,
        environment=DELIVERY,
    )


def _only() -> str:
    return '[[ "$GITHUB_REF" == "refs/heads/$BRANCH" ]] || { echo "not $BRANCH" >&2; exit 1; }'
