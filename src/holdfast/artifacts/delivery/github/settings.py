"""Files that GitHub and git-cliff read beside the workflows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery.github.steps import root
from holdfast.artifacts.delivery.objects import GITHUB
from holdfast.spec.model import Service

_ECOSYSTEMS = {"rust": "cargo", "python": "pip", "node": "npm", "go": "gomod"}
_WAIT = 7  # days a new release is left to others first
_PATTERN = re.compile(r"[*?\[\]!#\\ ]")

_CLIFF = r"""[changelog]
header = "# Changelog\n"
body = '''
{%- if version %}
## {{ version | trim_start_matches(pat="v") }} ({{ timestamp | date(format="%Y-%m-%d") }})
{% else %}
## Unreleased
{% endif %}
{%- for group, commits in commits | group_by(attribute="group") %}
### {{ group | striptags | trim }}
{% for commit in commits %}
- {% if commit.breaking %}**breaking** {% endif %}{{ commit.message | split(pat="\n") | first -}}
  {{ " (" }}{{ commit.id | truncate(length=12, end="") }})
{%- endfor %}
{% endfor %}'''
trim = true

[git]
conventional_commits = true
filter_unconventional = true
protect_breaking_commits = true
tag_pattern = "v[0-9]*"
sort_commits = "oldest"
commit_parsers = [
  { message = "^feat", group = "<!-- 0 -->New" },
  { message = "^fix", group = "<!-- 1 -->Mended" },
  { message = "^perf", group = "<!-- 2 -->Faster" },
  { message = "^(promote|rollback|revert)", skip = true },
  { message = "^(chore|ci|test|style)", skip = true },
  { message = ".*", group = "<!-- 3 -->Other" },
]

[bump]
features_always_bump_minor = true
breaking_always_bump_major = true
initial_tag = "v0.1.0"
"""


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{GITHUB}/dependabot.yml",
        _dependabot(service),
        "Updates of what the service is built from, a week after others have them.",
        ("run.command", "image.language", "delivery.path"),
        ("T66", "P9"),
    )
    yield Artifact(
        f"{GITHUB}/cliff.toml",
        _CLIFF,
        "How versions and notes come from commits (conventionalcommits.org).",
        (),
        ("T81", "T82", "T83"),
    )
    if service.delivery.approvers:
        yield Artifact(
            f"{GITHUB}/CODEOWNERS",
            "\n".join(_owned(service)) + "\n",
            "Who approves what goes to production.",
            ("delivery.approvers", "delivery.path"),
            ("T62", "P9"),
        )


def _dependabot(service: Service) -> Object:
    language = _ECOSYSTEMS.get(names.language(service))
    found = [("github-actions", "/"), ("docker", f"/{_inside(service)}containers")]
    found += [(language, "/")] if language else []
    return {"version": 2, "updates": [_update(*each) for each in found]}


def _update(ecosystem: str, directory: str) -> Object:
    return {
        "package-ecosystem": ecosystem,
        "directory": directory,
        "schedule": {"interval": "weekly"},
        "cooldown": {"default-days": _WAIT},
        "groups": {ecosystem: {"patterns": ["*"], "update-types": ["minor", "patch"]}},
    }


def _owned(service: Service) -> Iterator[str]:
    who = " ".join(f"@{name}" if "@" not in name else name for name in service.delivery.approvers)
    inside = _PATTERN.sub(lambda found: f"\\{found[0]}", _inside(service))
    for path in ("/holdfast.yaml", f"/{inside}", "/.github/"):
        yield f"{path} {who}"


def _inside(service: Service) -> str:
    """The directory of the set with a slash at its end; nothing where it is the top."""
    place = root(service)
    return "" if place == "." else f"{place}/"
