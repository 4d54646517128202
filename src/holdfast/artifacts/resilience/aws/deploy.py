"""How the stacks are deployed: a script that first shows what it would do, and its page.

``aws cloudformation deploy --no-execute-changeset`` makes a change set and leaves it for review.
Sources: AWS CLI, ``cloudformation deploy``; Amazon VPC, Transit gateway peering attachments.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.resilience.aws.steps import (
    Accept,
    Deploy,
    Given,
    Output,
    PrefixList,
    Source,
    Step,
    steps,
)
from holdfast.artifacts.resilience.aws.template import AWS
from holdfast.spec.model import Service

SCRIPT = f"{AWS}/deploy.sh"
PAGE = f"{AWS}/README.md"
_KEYS = ("service", "regions", "traffic.protocol", "resilience.cdn", "resilience.waf")
_ROWS = ("T111", "T112", "T113", "T114", "T115")
_TOLD = {
    "HOSTED_ZONE": "the id of the Route 53 zone of the public name",
    "ADMINISTRATOR_ROLE": "the ARN of the IAM role that may do everything in the clusters",
    "CERTIFICATE": "the ARN of the certificate of the public name in ACM, us-east-1",
    "NOTICE_URL": "an https address that is told of alarms; may be left out",
    "SHIELD": "true: protect by Shield Advanced, to which the account has subscribed; else false",
}


def render(service: Service) -> Iterator[Artifact]:
    plan = list(steps(service))
    yield Artifact(SCRIPT, script(plan), "Shows, or makes, every stack in its order.", _KEYS, _ROWS)
    yield Artifact(
        PAGE, page(service, plan), "Every command, for review and by hand.", _KEYS, _ROWS
    )


def asked(plan: list[Step]) -> list[Given]:
    """What people must say before anything is deployed, or may."""
    found = [s for step in plan if isinstance(step, Deploy) for _, s in step.parameters]
    return list(dict.fromkeys(each for each in found if isinstance(each, Given)))


def _value(source: Source) -> str:
    """As a shell word inside double quotes."""
    if isinstance(source, Given):
        if source.needed:
            return f"${source.variable}"
        return f"${{{source.variable}:-{'false' if source.variable == 'SHIELD' else ''}}}"
    if isinstance(source, Output):
        return f"$(output {source.place} {source.stack} {source.name})"
    if isinstance(source, PrefixList):
        return f"$(prefix_list {source.place} {source.name})"
    return source


# ---- script --------------------------------------------------------------------------------------

_FUNCTIONS = """\
set -eu
cd "$(dirname "$0")"
mode=${1:-}
case $mode in
  review|apply) ;;
  *) echo "usage: deploy.sh review|apply" >&2; exit 2 ;;
esac

# What a stack says of itself: REGION STACK OUTPUT.
output() {
  aws cloudformation describe-stacks --region "$1" --stack-name "$2" \\
    --query "Stacks[0].Outputs[?OutputKey=='$3'].OutputValue" --output text
}

# The id of a list of networks that AWS keeps: REGION NAME.
prefix_list() {
  aws ec2 describe-managed-prefix-lists --region "$1" \\
    --filters "Name=prefix-list-name,Values=$2" --query 'PrefixLists[0].PrefixListId' --output text
}

# One stack: REGION STACK FILE [PARAMETER=VALUE...]. Review makes a change set and leaves it.
deploy() {
  region=$1 stack=$2 file=$3
  shift 3
  if [ $# -gt 0 ]; then set -- --parameter-overrides "$@"; fi
  if [ "$mode" = review ]; then set -- "$@" --no-execute-changeset; fi
  echo "$mode $stack in $region"
  aws cloudformation deploy --region "$region" --stack-name "$stack" --template-file "$file" \\
    --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset "$@" || refused "$stack"
}

# In a review what comes later cannot know what is not there yet.
refused() {
  if [ "$mode" = apply ]; then echo "$1: failed; nothing after it was done" >&2; exit 1; fi
  echo "$1: cannot be shown before the stacks above it are there" >&2
}

state() {
  aws ec2 describe-transit-gateway-peering-attachments --region "$1" \\
    --transit-gateway-attachment-ids "$2" \\
    --query 'TransitGatewayPeeringAttachments[0].State' --output text
}

# The other side of a peering agrees: REGION PEERING. Ten minutes is twice what it takes.
accept() {
  if [ "$mode" = review ]; then echo "review: a peering would be accepted in $1"; return; fi
  tries=0
  while [ "$(state "$1" "$2")" != available ]; do
    if [ "$(state "$1" "$2")" = pendingAcceptance ]; then
      aws ec2 accept-transit-gateway-peering-attachment --region "$1" \\
        --transit-gateway-attachment-id "$2"
    fi
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then echo "the peering $2 is not available" >&2; exit 1; fi
    sleep "${HOLDFAST_PAUSE:-10}"
  done
}

# Nodes with encrypted disks are started by a role that is made once for each account.
if [ "$mode" = apply ]; then
  aws iam get-role --role-name AWSServiceRoleForAutoScaling > /dev/null 2>&1 ||
    aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com
fi
"""


def script(plan: list[Step]) -> str:
    """POSIX shell; applying it again changes only what is not yet so."""
    needed = [f': "${{{g.variable}:?{_TOLD[g.variable]}}}"' for g in asked(plan) if g.needed]
    lines = ["#!/bin/sh", *needed, _FUNCTIONS, *(_call(step) for step in plan)]
    return "\n".join(lines) + "\n"


def _call(step: Step) -> str:
    if isinstance(step, Accept):
        return f'accept {step.place} "{_value(step.peering)}"'
    words = [f'"{name}={_value(source)}"' for name, source in step.parameters]
    head = f"deploy {shlex.join([step.place, step.stack, step.file])}"
    return " \\\n  ".join([head, *words])


# ---- page ----------------------------------------------------------------------------------------


def page(service: Service, plan: list[Step]) -> str:
    """What it takes, every command in its order, and what comes after."""
    return "\n".join(
        [
            f"# {service.service} on AWS",
            "",
            "`./deploy.sh review` makes a change set of every stack that can already be shown and",
            "executes none; `./deploy.sh apply` deploys them in this order and may be run again at",
            "any time. Both need the AWS CLI with credentials, and these variables:",
            "",
            "| variable | what it is |",
            "|---|---|",
            *(f"| `{each.variable}` | {_TOLD[each.variable]} |" for each in asked(plan)),
            "",
            "## Each stack by hand",
            "",
            "`output` and `prefix_list` are the functions at the top of `deploy.sh`. Without its",
            "last line a command deploys. A review leaves a change set that",
            "`aws cloudformation describe-change-set` shows.",
            "",
            *(line for step in plan for line in (*_section(step), "")),
            *_afterwards(),
            "",
        ]
    )


def _section(step: Step) -> list[str]:
    if isinstance(step, Accept):
        accept = [
            "aws ec2 accept-transit-gateway-peering-attachment",
            f"--region {step.place}",
            f'--transit-gateway-attachment-id "{_value(step.peering)}"',
        ]
        return [f"A peering, accepted in {step.place}:", "", *_block(accept)]
    return [f"`{step.file}` in {step.place}:", "", *_block(command(step))]


def command(step: Deploy) -> list[str]:
    """The parts of a command that shows what would change, one a line."""
    told = [f'"{name}={_value(source)}"' for name, source in step.parameters]
    return [
        "aws cloudformation deploy",
        f"--region {shlex.quote(step.place)} --stack-name {shlex.quote(step.stack)}",
        f"--template-file {shlex.quote(step.file)}",
        "--capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset",
        *(["--parameter-overrides", *told] if told else []),
        "--no-execute-changeset",
    ]


def _block(parts: list[str]) -> list[str]:
    return ["```sh", " \\\n  ".join(parts), "```"]


def _afterwards() -> list[str]:
    return [
        "## Afterwards",
        "",
        "The load balancer of a region finds the gateway's pods through the AWS Load Balancer",
        "Controller: `resilience/overlays/<region>/entrance.yaml` tells it so, with the rest of",
        "the region. The control planes have no public address: reach them from inside the",
        "network, for example by Session Manager.",
    ]
