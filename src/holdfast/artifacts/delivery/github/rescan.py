"""What is in the registry is scanned again each day: what was clean may be known as sick today."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery.github import steps
from holdfast.artifacts.delivery.github.image import REGISTRY
from holdfast.spec.model import Service

_KEPT = 10  # newest versions; an older one should not run any more
_DAYS = 90

_SCAN = r"""
mkdir -p scans
skopeo list-tags "docker://$REPOSITORY" \
  | jq --raw-output '.Tags[] | select(test("^[0-9]+[.][0-9]+[.][0-9]+([-_][0-9A-Za-z._-]+)?$"))
      | select(test("-(amd64|arm64|debug|profiling)$") | not)' \
  | sort --version-sort | tail --lines "$KEPT" >tags.txt
while read -r tag; do
  trivy --config "$SET/containers/trivy.yaml" image --exit-code 0 --format json \
    --output "scans/$tag.json" "$REPOSITORY:$tag"
done <tags.txt
"""

_PREVIOUS = """
mkdir -p before
run=$(gh run list --workflow rescan.yaml --status completed --limit 1 --json databaseId \\
  --jq '.[0].databaseId // empty')
[[ -z "$run" ]] || gh run download "$run" --name scans --dir before || echo "no earlier scans"
"""

_COMPARE = """
code=0
python3 .github/scripts/scan_diff.py before scans >report.md || code=$?
cat report.md >>"$GITHUB_STEP_SUMMARY"
[[ "$code" -le 1 ]] || exit "$code"
[[ "$code" == 0 ]] || gh issue create --title "$SERVICE: new vulnerabilities in the registry" \\
  --body-file report.md
exit "$code"
"""


def render(service: Service) -> Iterable[Artifact]:
    yield steps.workflow(
        service,
        "Rescan",
        "Each day: the versions in the registry are scanned again and compared with the last scan.",
        {
            "on": {"schedule": [{"cron": "17 4 * * *"}], "workflow_dispatch": {}},
            "concurrency": steps.concurrency("rescan"),
            "jobs": {"rescan": _rescan()},
        },
        (),
        ("T9", "T23", "P9"),
    )


def _rescan() -> Object:
    keep = steps.uses(
        "Keep the scans",
        versions.UPLOAD,
        name="scans",
        path="scans",
        if_no_files_found="error",
        retention_days=_DAYS,
    )
    token = {"GH_TOKEN": "${{ github.token }}"}
    return steps.job(
        "Scan and compare",
        [
            steps.checkout(),
            steps.trivy(),
            steps.login(),
            steps.run("Scan", _SCAN, {"KEPT": str(_KEPT)}),
            steps.run("Fetch the scans before", _PREVIOUS, token),
            keep,
            steps.run("Compare", _COMPARE, token),
        ],
        minutes=60,
        permissions={"contents": "read", "actions": "read", "issues": "write"},
        environment=REGISTRY,
    )
