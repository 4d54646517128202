"""A pull request that puts a digest into the spec and renders the set anew.

Merging it is the approval, by the people of CODEOWNERS; Argo CD brings each region to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery.github import steps
from holdfast.spec.model import Service

SUBJECT = "promote:"  # how the commit of a promotion begins; rollbacks look for it
DELIVERY = "delivery"  # the environment with the key of the GitHub App

_CHECK = r"""
[[ "$DIGEST" =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "that is no digest" >&2; exit 1; }
[[ "$VERSION" =~ ^[0-9]+\.[0-9]+\.[0-9]+([-+_][0-9A-Za-z.+_-]+)?$ ]] \
  || { echo "that is no semantic version" >&2; exit 1; }
"""

_WRITE = """
yq --inplace '
  (.image | select(tag == "!!str")) |= {"repository": .} |
  .image.digest = strenv(DIGEST) | .version = strenv(VERSION)
' holdfast.yaml
if [[ "$SET" == . ]]; then where=(--gitops .); else where=(--output "$SET"); fi
{
  echo "The image \\`$DIGEST\\` of $VERSION was scanned, attacked, signed and verified."
  echo
  echo '~~~diff'
  holdfast render "${where[@]}" --diff | head --bytes 50000 || true
  echo
  echo '~~~'
} >"$RUNNER_TEMP/body.md"
holdfast render "${where[@]}"
holdfast check "$SET"
"""

_PROPOSE = """
gh auth setup-git
git config user.name "$SERVICE delivery"
git config user.email delivery@users.noreply.github.com
git switch --create "promote/$VERSION"
git add --all -- holdfast.yaml "$SET"
git commit --message "promote: $SERVICE $VERSION" --message "Image: $REPOSITORY@$DIGEST"
git push --force-with-lease origin "promote/$VERSION"
gh pr create --base "$BRANCH" --head "promote/$VERSION" \\
  --title "promote: $SERVICE $VERSION" --body-file "$RUNNER_TEMP/body.md"
"""


def render(service: Service) -> Iterable[Artifact]:
    asked = {"DIGEST": "${{ inputs.digest }}", "VERSION": "${{ inputs.version }}"}
    yield steps.workflow(
        service,
        "Promote",
        "By hand: a verified digest of the registry becomes a pull request, as after a build.",
        {
            "on": {"workflow_dispatch": {"inputs": _inputs()}},
            "concurrency": steps.concurrency("promote-${{ inputs.version }}"),
            "jobs": {"promote": job(service, asked)},
        },
        ("delivery.branch",),
        ("T22", "T62", "T70", "P9"),
    )


def job(service: Service, asked: dict[str, str], needs: list[str] | None = None) -> Object:
    """``asked``: where ``DIGEST`` and ``VERSION`` come from."""
    branch = steps.literal(service.delivery.branch)
    after: Object = {"needs": needs} if needs else {}
    token = {"GH_TOKEN": "${{ steps.token.outputs.token }}", "BRANCH": branch}
    verify = '"$SET/containers/verify.sh" "$DIGEST"'
    return steps.job(
        "Promote",
        [
            steps.run("Read what was asked", _CHECK, asked),
            steps.checkout(ref=branch),
            steps.cosign(),
            steps.login(),
            steps.run("Verify", verify, asked),
            *steps.installed("[check]"),
            steps.run("Write and render", _WRITE, asked),
            steps.app_token(contents="write", pull_requests="write"),
            steps.run("Propose", _PROPOSE, asked | token),
        ],
        minutes=20,
        environment=DELIVERY,
        **after,
    )


def _inputs() -> Object:
    return {
        "version": {"description": "a semantic version", "required": True, "type": "string"},
        "digest": {"description": "sha256:...", "required": True, "type": "string"},
    }
