"""Who nodes are: one role for all regions, because IAM knows no regions.

Node pools name the instance profile, so it has a name of its own. Sources: Amazon EKS, node IAM
role; Karpenter v1, NodeClasses (``instanceProfile``).
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import nodes
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import policy
from holdfast.artifacts.resilience.aws.template import AWS, att, exported, ref, resource, template
from holdfast.spec.model import Service

STACK = "identity"
#: Join, pull, and be reached by Session Manager; addresses are the network add-on's business.
_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonSSMManagedInstanceCore",
)


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{AWS}/global/{STACK}.yaml",
        _stack(service),
        "Who nodes of every region are, and what they may do.",
        ("service",),
        ("T32", "T124"),
    )


def _stack(service: Service) -> Object:
    profile = {"InstanceProfileName": nodes.profile(service), "Roles": [ref("NodeRole")]}
    resources = {
        "NodeRole": policy.role(policy.trust("ec2"), [], _POLICIES),
        "NodeProfile": resource("IAM::InstanceProfile", profile),
    }
    outputs = exported(service, STACK, NodeRole=att("NodeRole", "Arn"))
    return template(f"Nodes of {service.service}", resources, outputs)
