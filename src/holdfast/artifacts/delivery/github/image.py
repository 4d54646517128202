"""From a version's tag to a signed image, and to a pull request that promotes it.

Each processor builds on its own machine. Nothing is signed before it was scanned and attacked, and
nothing is promoted before its signature was verified.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery.github import promote, steps
from holdfast.spec.model import Service

REGISTRY = "registry"  # the environment with the robot account
_DIGEST = {"DIGEST": "${{ needs.publish.outputs.digest }}"}
_VERSION = {"VERSION": "${{ needs.version.outputs.version }}"}

_NAME = r"""
version=${GITHUB_REF_NAME#v}
[[ "$version" =~ ^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$ ]] \
  || { echo "$GITHUB_REF_NAME is no semantic version" >&2; exit 1; }
echo "version=${version//+/_}" >>"$GITHUB_OUTPUT"
"""

_BUILD = """
export SOURCE_DATE_EPOCH REVISION=$GITHUB_SHA
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
docker buildx bake --file "$SET/containers/docker-bake.json" \\
  --metadata-file "$RUNNER_TEMP/built.json" "runtime-$ARCH"
mkdir -p digests
jq --exit-status --raw-output '.[]."containerimage.digest"' "$RUNNER_TEMP/built.json" \\
  >"digests/$ARCH"
"""

_JOIN = """
images=()
for file in digests/*; do images+=("$REPOSITORY@$(cat "$file")"); done
docker buildx imagetools create --tag "$REPOSITORY:$VERSION" "${images[@]}"
digest=$(docker buildx imagetools inspect "$REPOSITORY:$VERSION" --format '{{json .Manifest}}' \\
  | jq --exit-status --raw-output .digest)
echo "digest=$digest" >>"$GITHUB_OUTPUT"
"""

_SCAN = """
"$SET/containers/scan.sh" "$DIGEST"
"$SET/containers/sbom.sh" "$DIGEST"
"""

_ATTACK = """
options=()
[[ ! -f .github/dast.env ]] || options=(--env-file .github/dast.env)
docker run --detach --name target --read-only --tmpfs /tmp --cap-drop ALL \\
  --security-opt no-new-privileges --publish "127.0.0.1:$PORT:$PORT" --env "PORT=$PORT" \\
  "${options[@]}" "$REPOSITORY@$DIGEST"
ready() { curl --silent --output /dev/null --max-time 2 "http://127.0.0.1:$PORT/"; }
for _ in $(seq 60); do ! ready || break; sleep 1; done
ready || { docker logs target; exit 1; }
mkdir -p zap && chmod 777 zap
docker run --rm --network host --volume "$PWD/zap:/zap/wrk:rw" "$ZAP" \\
  zap-baseline.py -t "http://127.0.0.1:$PORT/" -m 5 -I -J report.json -w report.md
cat zap/report.md >>"$GITHUB_STEP_SUMMARY"
risky=$(jq '[.site[].alerts[] | select((.riskcode | tonumber) >= 3)] | length' zap/report.json)
[[ "$risky" == 0 ]] || { echo "ZAP found $risky alerts of high risk" >&2; exit 1; }
"""


def render(service: Service) -> Iterable[Artifact]:
    yield steps.workflow(
        service,
        "Image",
        "A version's tag: built for each processor, scanned, attacked, signed, promoted.",
        {
            "on": {"push": {"tags": ["v*"]}},
            "concurrency": steps.concurrency("image-${{ github.ref }}"),
            "jobs": _jobs(service),
        },
        ("image.platforms", "image.signer", "traffic.protocol", "traffic.port", "delivery.branch"),
        ("T10", "T16", "T17", "T18", "T19", "T20", "T22", "T66", "T68", "T70", "P9"),
    )


def attackable(service: Service) -> bool:
    """ZAP speaks HTTP/1.1."""
    return service.traffic.protocol == "http1"


def _jobs(service: Service) -> Object:
    gates = ["scan", *(["dast"] if attackable(service) else [])]
    return {
        "version": _version(),
        "build": _build(service),
        "publish": _publish(),
        "scan": _scan(),
        **({"dast": _dast(service)} if attackable(service) else {}),
        "sign": _sign(service, gates),
        "promote": promote.job(service, _DIGEST | _VERSION, ["version", "publish", "sign"]),
    }


def _version() -> Object:
    return steps.job(
        "Name the version",
        [steps.run("Read the tag", _NAME, id="name")],
        minutes=5,
        permissions={},
        outputs={"version": "${{ steps.name.outputs.version }}"},
    )


def _build(service: Service) -> Object:
    upload = steps.uses(
        "Hand over the digest",
        versions.UPLOAD,
        name="digest-${{ matrix.arch }}",
        path="digests/*",
        if_no_files_found="error",
        retention_days=1,
    )
    env = {**_VERSION, "ARCH": "${{ matrix.arch }}"}
    build = steps.run("Build and push", _BUILD, env)
    return steps.job(
        "Image for ${{ matrix.arch }}",
        [steps.checkout(), steps.buildx(), steps.login(), build, upload],
        minutes=60,
        needs=["version"],
        strategy=steps.matrix(service),
        environment=REGISTRY,
        runner="${{ matrix.runner }}",
    )


def _publish() -> Object:
    fetch = steps.uses(
        "Fetch the digests",
        versions.DOWNLOAD,
        pattern="digest-*",
        path="digests",
        merge_multiple=True,
    )
    return steps.job(
        "One image of all processors",
        [fetch, steps.buildx(), steps.login(), steps.run("Join", _JOIN, _VERSION, id="join")],
        minutes=15,
        permissions={},
        needs=["version", "build"],
        environment=REGISTRY,
        outputs={"digest": "${{ steps.join.outputs.digest }}"},
    )


def _scan() -> Object:
    upload = steps.uses(
        "Keep the lists",
        versions.UPLOAD,
        name="sbom",
        path="sbom.*.json",
        if_no_files_found="error",
        retention_days=90,
    )
    scan = steps.run("Scan and list", _SCAN, _DIGEST)
    return steps.job(
        "Vulnerabilities and contents",
        [steps.checkout(), steps.trivy(), steps.login(), scan, upload],
        minutes=30,
        needs=["publish"],
        environment=REGISTRY,
    )


def _dast(service: Service) -> Object:
    env = {**_DIGEST, "PORT": str(service.traffic.port), "ZAP": versions.ZAP.reference}
    return steps.job(
        "ZAP baseline",
        [steps.checkout(), steps.login(), steps.run("Start and attack", _ATTACK, env)],
        minutes=30,
        needs=["publish"],
        environment=REGISTRY,
    )


def _private(service: Service) -> dict[str, str]:
    """The other half of a key that the spec gives; a key store is asked with its own login."""
    if "-----BEGIN" not in service.image.signer:
        return {}
    wanted = ("COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD")
    return {name: f"${{{{ secrets.{name} }}}}" for name in wanted}


def _sign(service: Service, gates: list[str]) -> Object:
    provenance = steps.uses(
        "Attest where it was built",
        versions.ATTEST,
        subject_name="${{ env.REPOSITORY }}",
        subject_digest="${{ needs.publish.outputs.digest }}",
        push_to_registry=True,
        create_storage_record=False,
    )
    sign = steps.run("Sign", '"$SET/containers/sign.sh" "$DIGEST"', _DIGEST | _private(service))
    verify = steps.run("Verify", '"$SET/containers/verify.sh" "$DIGEST"', _DIGEST)
    lists = steps.uses("Fetch the lists", versions.DOWNLOAD, name="sbom")
    return steps.job(
        "Sign and verify",
        [steps.checkout(), steps.cosign(), steps.login(), lists, sign, provenance, verify],
        minutes=15,
        permissions={"contents": "read", "id-token": "write", "attestations": "write"},
        needs=["publish", *gates],
        environment=REGISTRY,
    )
