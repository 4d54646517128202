"""Statements of IAM: who may do what to which, and when."""

from __future__ import annotations

from typing import Final

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.resilience.aws.template import resource, sub

VERSION: Final = "2012-10-17"
#: The account itself: its own IAM policies decide.
ACCOUNT: Final = {"AWS": sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")}
OWN: Final = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def document(*statements: Object) -> Object:
    return {"Version": VERSION, "Statement": list(statements)}


def allow(actions: list[str], resources: object, condition: Object | None = None) -> Object:
    found: Object = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return found | ({"Condition": condition} if condition else {})


def granted(
    principal: object, actions: list[str], resources: object, condition: Object | None = None
) -> Object:
    """A statement of a policy that hangs on the thing itself."""
    return {"Effect": "Allow", "Principal": principal, **_rest(actions, resources, condition)}


def denied(actions: list[str], resources: object, condition: Object) -> Object:
    everybody = {"Effect": "Deny", "Principal": {"AWS": "*"}}
    return {**everybody, **_rest(actions, resources, condition)}


def _rest(actions: list[str], resources: object, condition: Object | None) -> Object:
    found: Object = {"Action": actions, "Resource": resources}
    return found | ({"Condition": condition} if condition else {})


def service(name: str) -> Object:
    """A principal: ``eks`` for ``eks.amazonaws.com``."""
    return {"Service": f"{name}.amazonaws.com"}


def managed(name: str) -> Object:
    """The ARN of a policy that AWS keeps."""
    return sub("arn:${AWS::Partition}:iam::aws:policy/" + name)


def role(
    trusted: Object, statements: list[Object], policies: tuple[str, ...] = (), **more: object
) -> Object:
    """A role with statements of its own and policies that AWS keeps. ``trusted``: a statement."""
    found: Object = {"AssumeRolePolicyDocument": document(trusted)}
    if policies:
        found["ManagedPolicyArns"] = [managed(each) for each in policies]
    if statements:
        inline = {"PolicyName": "access", "PolicyDocument": document(*statements)}
        found["Policies"] = [inline]
    return resource("IAM::Role", found, **more)


def trust(principal: str, condition: Object | None = None) -> Object:
    """A service of AWS may take the role."""
    found = {"Effect": "Allow", "Principal": service(principal), "Action": ["sts:AssumeRole"]}
    return found | ({"Condition": condition} if condition else {})


def pods() -> Object:
    """Pods of this account's clusters may take the role, through EKS Pod Identity."""
    found = trust("pods.eks", OWN)
    return {**found, "Action": ["sts:AssumeRole", "sts:TagSession"]}
