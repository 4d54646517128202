"""ValidatingAdmissionPolicies: CEL that the API server itself evaluates, with no webhook to fail.

Pods are looked at, and also what makes pods: who applies a Deployment hears at once what its pods
would be refused for. Source: kubernetes.io, Validating Admission Policy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.artifacts.kubernetes.objects import clustered, named, present
from holdfast.spec.model import Service

_GROUP = "admissionregistration.k8s.io/v1"
_RULES = (
    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
     "resources": ["pods", "pods/ephemeralcontainers"]},
    {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
     "resources": ["deployments", "statefulsets", "daemonsets"]},
    {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
     "resources": ["jobs", "cronjobs"]},
)  # fmt: skip
_TEMPLATE = (
    "object.kind == 'Pod' ? object : object.kind == 'CronJob' "
    "? object.spec.jobTemplate.spec.template : object.spec.template"
)
_CONTAINERS = " + ".join((
    "variables.pod.containers",
    *(f"(has(variables.pod.{kind}) ? variables.pod.{kind} : [])"
      for kind in ("initContainers", "ephemeralContainers")),
))  # fmt: skip
#: Names that all expressions may use, in the order in which they need each other.
VARIABLES = (
    ("template", _TEMPLATE),
    ("pod", "variables.template.spec"),
    ("containers", _CONTAINERS),
    ("lasting", "variables.pod.containers + "
     "(has(variables.pod.initContainers) ? variables.pod.initContainers : [])"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Demand:
    """An expression that must be true, and what is said where it is not."""

    expression: str
    message: str


@dataclass(frozen=True, slots=True)
class Policy:
    """``own``: it looks at the service's own objects only, by their label."""

    name: str
    demands: tuple[Demand, ...]
    own: bool = False
    unless: tuple[Demand, ...] = ()  # conditions of looking at all; the message is their name


def quoted(text: str) -> str:
    """A CEL string: it has the escapes of JSON."""
    return json.dumps(text, ensure_ascii=True)


def objects(service: Service, policy: Policy) -> list[Object]:
    """The policy, and the binding that makes it count in the service's namespace."""
    name = named(service, policy.name)
    made = clustered(service, f"{_GROUP}/ValidatingAdmissionPolicy", name, "admission")
    made["spec"] = present(
        failurePolicy="Fail",
        matchConstraints={"matchPolicy": "Equivalent", "resourceRules": list(_RULES)},
        matchConditions=[
            {"name": each.message, "expression": each.expression} for each in policy.unless
        ],
        variables=[{"name": n, "expression": expression} for n, expression in VARIABLES],
        validations=[_validation(each) for each in policy.demands],
    )
    return [made, _binding(service, name, policy.own)]


def _validation(demand: Demand) -> Object:
    return {"expression": demand.expression, "message": demand.message, "reason": "Forbidden"}


def _binding(service: Service, name: str, own: bool) -> Object:
    found = clustered(service, f"{_GROUP}/ValidatingAdmissionPolicyBinding", name, "admission")
    space = {"kubernetes.io/metadata.name": names.namespace(service)}
    chosen = {"namespaceSelector": {"matchLabels": space}}
    if own:
        chosen["objectSelector"] = {"matchLabels": names.ours(service)}
    found["spec"] = {
        "policyName": name,
        "validationActions": ["Deny", "Audit"],
        "matchResources": chosen,
    }
    return found
