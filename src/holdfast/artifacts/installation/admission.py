"""Releases that the API server refuses before anybody acts on them.

What the service's own pods must fulfil is in ``kubernetes.admission``; this is about the object
that a person or a pipeline writes. Source: kubernetes.io, Validating Admission Policy.
"""

from __future__ import annotations

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.installation.definition import GROUP, PLURAL, VERSION

NAME = "holdfast-releases"
_API = "admissionregistration.k8s.io/v1"
_IN_CLUSTER = "object.spec.target != 'kubernetes' || "
_DIGEST = "has(object.spec.image.digest) && string(object.spec.image.digest).matches("
_SIGNER = "has(object.spec.image.signer) && string(object.spec.image.signer) != ''"
_REPOSITORY = "has(object.spec.delivery) && has(object.spec.delivery.repository)"
_SPACE = "has(object.spec.kubernetes) && has(object.spec.kubernetes.namespace)"
DEMANDS = (
    (f"{_IN_CLUSTER}(has(object.spec.image) && {_DIGEST}'^sha256:[0-9a-f]{{64}}$'))",
     "the image must be pinned: image.digest: sha256:..."),
    (f"{_IN_CLUSTER}(has(object.spec.image) && {_SIGNER}) || ({_REPOSITORY})",
     "somebody must have signed the image: image.signer or delivery.repository"),
    (f"!({_SPACE}) || object.spec.kubernetes.namespace == object.metadata.namespace",
     "a release deploys into its own namespace only"),
)  # fmt: skip


def objects() -> list[Object]:
    """The policy, and the binding that makes it count everywhere."""
    rule = {"apiGroups": [GROUP], "apiVersions": [VERSION], "resources": [PLURAL],
            "operations": ["CREATE", "UPDATE"]}  # fmt: skip
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [_validation(*demand) for demand in DEMANDS],
    }
    binding = {"policyName": NAME, "validationActions": ["Deny", "Audit"]}
    return [
        _object("ValidatingAdmissionPolicy", policy),
        _object("ValidatingAdmissionPolicyBinding", binding),
    ]


def _validation(expression: str, message: str) -> Object:
    return {"expression": expression, "message": message, "reason": "Forbidden"}


def _object(kind: str, spec: Object) -> Object:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": NAME}, "spec": spec}
