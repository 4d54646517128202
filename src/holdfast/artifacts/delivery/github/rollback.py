"""Going back: the instances first, at once, then the repository, by a commit that takes it back.

Argo CD is held first, or it would heal the instances to the commit that is to be taken back. No
window and no freeze stops any of this, and no approval: nobody should have to be asked for less
harm. When the commit is merged, ``resume`` lets Argo CD go on; by then both say the same.

The environment ``rollback`` has a kubeconfig with a context for each region, named like it, and one
for Argo CD, named ``argocd``.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery.applicationsets import HOLD
from holdfast.artifacts.delivery.github import steps
from holdfast.artifacts.delivery.github.promote import DELIVERY, SUBJECT
from holdfast.spec.model import Service

ROLLBACK = "rollback"
_KIND = {"deployment": "deployment", "stateful": "statefulset", "daemon": "daemonset"}

_CLUSTERS = """
umask 077
printf '%s' "$CLUSTERS" >"$RUNNER_TEMP/clusters.yaml"
export KUBECONFIG=$RUNNER_TEMP/clusters.yaml
"""

_BACK = (
    _CLUSTERS
    + """
application="application.argoproj.io/$SERVICE-$REGION"
kubectl --context argocd --namespace argocd annotate --overwrite "$application" "$HOLD=true"
kubectl --context "$REGION" --namespace "$NAMESPACE" rollout undo "$WORKLOAD/$SERVICE"
kubectl --context "$REGION" --namespace "$NAMESPACE" rollout status "$WORKLOAD/$SERVICE" \\
  --timeout "$LONGEST"
"""
)

_REVERT = """
gh auth setup-git
git config user.name "$SERVICE delivery"
git config user.email delivery@users.noreply.github.com
bad=$(git log --max-count 1 --format=%H --grep "^$SUBJECT $SERVICE " -- holdfast.yaml)
[[ -n "$bad" ]] || { echo "no promotion to take back" >&2; exit 1; }
head="rollback/${bad:0:12}"
git switch --create "$head"
git revert --no-edit "$bad"
printf '%s\\n\\nWhy: %s\\n' "Takes back $bad." "$REASON" >"$RUNNER_TEMP/body.md"
git push --force-with-lease origin "$head"
gh pr create --base "$BRANCH" --head "$head" --title "rollback: $SERVICE" \\
  --body-file "$RUNNER_TEMP/body.md"
gh pr merge --auto --squash "$head"
"""

_RESUME = (
    _CLUSTERS
    + """
for region in $REGIONS; do
  kubectl --context argocd --namespace argocd annotate \\
    "application.argoproj.io/$SERVICE-$region" "$HOLD-"
done
"""
)


def render(service: Service) -> Iterable[Artifact]:
    branch = steps.literal(service.delivery.branch)
    keys = (
        "regions", "kubernetes.namespace", "kubernetes.workload", "rollout.no_progress",
        "delivery.branch",
    )  # fmt: skip
    yield steps.workflow(
        service,
        "Rollback",
        "The release before, at once in every region; then the commit that takes the change back.",
        {
            "on": {"workflow_dispatch": {"inputs": _inputs()}},
            "concurrency": steps.concurrency("rollback"),
            "jobs": {"instances": _instances(service), "repository": _repository(branch)},
        },
        keys,
        ("T65", "P2"),
    )
    yield steps.workflow(
        service,
        "Resume",
        "Argo CD goes on after a rollback, once the repository says what runs.",
        {
            "on": {
                "push": {
                    "branches": [steps.pattern(service.delivery.branch)],
                    "paths": ["holdfast.yaml"],
                }
            },
            "concurrency": steps.concurrency("resume"),
            "jobs": {"resume": _resume(service)},
        },
        ("regions", "delivery.branch"),
        ("T65",),
    )


def _inputs() -> Object:
    return {"reason": {"description": "why", "required": True, "type": "string"}}


def _secret() -> dict[str, str]:
    return {"CLUSTERS": "${{ secrets.KUBECONFIG }}", "HOLD": HOLD}


def _instances(service: Service) -> Object:
    env = {
        **_secret(),
        "REGION": "${{ matrix.region }}",
        "NAMESPACE": names.namespace(service),
        "WORKLOAD": _KIND[service.kubernetes.workload],
        "LONGEST": names.duration(names.seconds(service.rollout.no_progress)),
    }
    regions = [region.name for region in service.regions]
    return steps.job(
        "Instances in ${{ matrix.region }}",
        [steps.run("Hold Argo CD and go back", _BACK, env)],
        minutes=15,
        permissions={},
        strategy={"fail-fast": False, "matrix": {"region": regions}},
        environment=ROLLBACK,
    )


def _repository(branch: str) -> Object:
    """Even where a region could not be reached: the others must stay back."""
    env = {
        "GH_TOKEN": "${{ steps.token.outputs.token }}",
        "REASON": "${{ inputs.reason }}",
        "BRANCH": branch,
        "SUBJECT": SUBJECT,
    }
    return steps.job(
        "The commit that takes it back",
        [
            steps.checkout(ref=branch, fetch_depth=0),
            steps.app_token(contents="write", pull_requests="write"),
            steps.run("Revert and propose", _REVERT, env),
        ],
        minutes=10,
        needs=["instances"],
        if_="${{ !cancelled() }}",
        environment=DELIVERY,
    )


def _resume(service: Service) -> Object:
    env = {**_secret(), "REGIONS": " ".join(region.name for region in service.regions)}
    return steps.job(
        "Let Argo CD go on",
        [steps.run("Take the holds away", _RESUME, env)],
        minutes=10,
        permissions={},
        if_="${{ startsWith(github.event.head_commit.message, 'rollback:') }}",
        environment=ROLLBACK,
    )
