"""What is asked of every change before it may be merged."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names, versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery.github import steps
from holdfast.spec.model import Service

_CODEQL = {
    "rust": "rust", "python": "python", "node": "javascript-typescript", "go": "go",
    "generic": "c-cpp",
}  # fmt: skip
_COMPILED = {"go", "generic"}  # CodeQL watches the build of these
_ROUNDS = 5  # of each revision, in turn: a noisy neighbour troubles both
_BAKE = 'docker buildx bake --file "$SET/containers/docker-bake.json"'

_SET = """
if [[ "$SET" == . ]]; then where=(--gitops .); else where=(--output "$SET"); fi
holdfast render "${where[@]}" --diff
holdfast check "$SET"
"""

_TEST = f"""
{_BAKE} testing
docker run --rm --network none "$REPOSITORY:$VERSION-testing"
"""

_BUILD = f"""
{_BAKE} --set "*.cache-to=" --set "*.output=type=oci,dest=$RUNNER_TEMP/image.tar" "runtime-$ARCH"
size=$(stat --format=%s "$RUNNER_TEMP/image.tar")
echo "$ARCH: $size bytes of at most $BUDGET" >>"$GITHUB_STEP_SUMMARY"
[[ "$size" -le "$BUDGET" ]] || {{ echo "the image is larger than its budget" >&2; exit 1; }}
"""

_SEMGREP = """
docker run --rm --volume "$PWD:/src" --workdir /src "$SEMGREP" \\
  semgrep scan --config p/default --config p/secrets --metrics=off --error \\
  --sarif-output=semgrep.sarif
"""

_MEASURE = f"""
for revision in base head; do
  (cd "$revision" && VERSION=$revision {_BAKE} benchmark)
done
for round in $(seq "$ROUNDS"); do
  for revision in base head; do
    place="$RUNNER_TEMP/$revision/$round"
    mkdir -p "$place" && chmod 777 "$place"
    docker run --rm --network none --volume "$place:/tmp" "$REPOSITORY:$revision-benchmark" \\
      >"$place/output.txt"
  done
done
python3 head/.github/scripts/regression.py "$TOLERATED" "$RUNNER_TEMP/base" "$RUNNER_TEMP/head" \\
  | tee -a "$GITHUB_STEP_SUMMARY"
"""


def render(service: Service) -> Iterable[Artifact]:
    branch = steps.pattern(service.delivery.branch)
    yield steps.workflow(
        service,
        "CI",
        "Every change: the set, tests and images on each processor, SAST, benchmarks.",
        {
            "on": {
                "pull_request": {"branches": [branch]},
                "push": {"branches": [branch]},
                "merge_group": {},
            },
            "concurrency": steps.concurrency(
                "ci-${{ github.ref }}", cancel="${{ github.event_name == 'pull_request' }}"
            ),
            "jobs": _jobs(service),
        },
        ("run.command", "image.language", "image.platforms", "image.budget", "delivery.branch",
         "delivery.regression"),
        ("T16", "T17", "T18", "T19", "T20", "T66", "T67", "T68", "T69", "P9"),
    )  # fmt: skip


def _jobs(service: Service) -> Object:
    return {
        "set": _set(),
        "test": _test(service),
        "build": _build(service),
        "codeql": _codeql(service),
        "semgrep": _semgrep(),
        "benchmark": _benchmark(service),
    }


def _set() -> Object:
    return steps.job(
        "The rendered set is what the spec says",
        [
            steps.checkout(),
            *steps.installed("[check,checkers]"),
            steps.run("Compare and check", _SET),
        ],
        minutes=20,
    )


def _test(service: Service) -> Object:
    return steps.job(
        "Tests on ${{ matrix.arch }}",
        [steps.checkout(), steps.buildx(), steps.run("Test", _TEST, {"VERSION": "ci"})],
        minutes=45,
        strategy=steps.matrix(service),
        runner="${{ matrix.runner }}",
    )


def _build(service: Service) -> Object:
    env = {"VERSION": "ci", "ARCH": "${{ matrix.arch }}", "BUDGET": str(names.budget(service))}
    return steps.job(
        "Image for ${{ matrix.arch }}",
        [steps.checkout(), steps.buildx(), steps.run("Build and weigh", _BUILD, env)],
        minutes=60,
        strategy=steps.matrix(service),
        runner="${{ matrix.runner }}",
    )


def _codeql(service: Service) -> Object:
    language = names.language(service)
    mode = "autobuild" if language in _COMPILED else "none"
    rows = [
        {"language": _CODEQL[language], "mode": mode},
        {"language": "actions", "mode": "none"},
    ]
    return steps.job(
        "CodeQL of ${{ matrix.language }}",
        [
            steps.checkout(),
            steps.uses(
                "Set up CodeQL",
                versions.CODEQL_INIT,
                languages="${{ matrix.language }}",
                build_mode="${{ matrix.mode }}",
                queries="security-extended",
            ),
            steps.uses(
                "Analyse", versions.CODEQL_ANALYZE, category="/language:${{ matrix.language }}"
            ),
        ],
        minutes=60,
        permissions={"contents": "read", "security-events": "write"},
        strategy={"fail-fast": False, "matrix": {"include": rows}},
    )


def _semgrep() -> Object:
    upload = steps.uses(
        "Upload what was found",
        versions.CODEQL_UPLOAD,
        if_="${{ !cancelled() }}",
        sarif_file="semgrep.sarif",
        category="semgrep",
    )
    env = {"SEMGREP": versions.SEMGREP.reference}
    return steps.job(
        "Semgrep",
        [steps.checkout(), steps.run("Scan", _SEMGREP, env), upload],
        minutes=30,
        permissions={"contents": "read", "security-events": "write"},
    )


def _benchmark(service: Service) -> Object:
    env = {"ROUNDS": str(_ROUNDS), "TOLERATED": str(service.delivery.regression)}
    base = {"ref": "${{ github.event.pull_request.base.sha }}", "path": "base"}
    return steps.job(
        "Benchmarks against the base",
        [
            steps.checkout(path="head"),
            steps.checkout(**base),
            steps.buildx(),
            steps.run("Measure in turn and compare", _MEASURE, env),
        ],
        minutes=90,
        if_="${{ github.event_name == 'pull_request' }}",
    )
