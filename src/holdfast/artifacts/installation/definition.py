"""``kubectl get releases``: what shall serve, and how far it is.

The spec is a holdfast.yaml in its long form; the conductor writes the status. Whoever applies a
new ``spec.version`` deploys it.
"""

from __future__ import annotations

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.installation.structural import Schema, structural
from holdfast.spec.schema import json_schema

GROUP, VERSION, KIND, PLURAL = "holdfast.dev", "v1alpha1", "Release", "releases"
PHASES = ("Serving", "Progressing", "Paused", "Queued", "Failed", "Refused", "Retired", "Unknown")
CONDITIONS = ("Accepted", "Available", "Progressing")
#: Targets that make sense without a machine of one's own.
TARGETS = ("kubernetes", "simulated")
#: Of ``run``: what would be read from the conductor's own files and environment.
ELSEWHERE = ("cwd", "config", "secrets")

_RULES = (
    ("self.spec.service == self.metadata.name", "spec.service must be metadata.name"),
)  # fmt: skip
_SPEC_RULES = (
    ("self.service == oldSelf.service", "a release keeps its service"),
    ("self.target == oldSelf.target", "a service keeps its target for life"),
)
_COLUMNS = (
    ("Stable", "string", ".status.stable", 0),
    ("New", "string", ".status.new", 0),
    ("Phase", "string", ".status.phase", 0),
    ("Step", "string", ".status.step", 0),
    ("Traffic", "string", ".status.traffic", 0),
    ("Ready", "string", ".status.ready", 0),
    ("Why", "string", ".status.message", 0),
    ("Verdict", "string", ".status.verdict", 1),
    ("Rollout", "string", ".status.rollout", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def definition() -> Object:
    """The CustomResourceDefinition."""
    names = {"plural": PLURAL, "singular": "release", "kind": KIND, "listKind": f"{KIND}List",
             "shortNames": ["hfr"], "categories": ["all", "holdfast"]}  # fmt: skip
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _schema()},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(*each) for each in _COLUMNS],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _column(name: str, kind: str, path: str, priority: int) -> Object:
    return {"name": name, "type": kind, "jsonPath": path, "priority": priority}


def _schema() -> Schema:
    spec = structural(json_schema())
    target = spec["properties"]["target"]
    spec["properties"]["target"] = target | {"enum": list(TARGETS), "default": TARGETS[0]}
    run = spec["properties"]["run"]["properties"]
    spec["properties"]["run"]["properties"] = {k: run[k] for k in run if k not in ELSEWHERE}
    spec["x-kubernetes-validations"] = [_rule(*each) for each in _SPEC_RULES]
    return {
        "type": "object",
        "required": ["spec"],
        "description": "A service as it shall be; the status says how far it is, and why.",
        "properties": {"spec": spec, "status": _status()},
        "x-kubernetes-validations": [_rule(*each) for each in _RULES],
    }


def _rule(rule: str, message: str) -> Object:
    return {"rule": rule, "message": message}


def _status() -> Schema:
    words = {
        "phase": {"type": "string", "enum": list(PHASES)},
        **{name: _text(about) for name, about in _STATUS.items()},
        "observedGeneration": {"type": "integer", "format": "int64"},
        "conditions": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": _condition(),
        },
    }
    return {"type": "object", "properties": words}


_STATUS = {
    "stable": "the version that serves",
    "new": "the version that is rolled out",
    "step": "which step of how many",
    "traffic": "per cent of the new version",
    "ready": "ready instances of how many",
    "verdict": "what the latest analysis said",
    "rollout": "the rollout that runs or was the latest; see holdfast history",
    "message": "why nothing moves, or how the latest rollout ended",
}


def _text(about: str) -> Schema:
    return {"type": "string", "description": about}


def _condition() -> Schema:
    """As metav1.Condition."""
    return {
        "type": "object",
        "required": ["type", "status", "lastTransitionTime", "reason", "message"],
        "properties": {
            "type": {"type": "string", "enum": list(CONDITIONS)},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "observedGeneration": {"type": "integer", "format": "int64"},
            "lastTransitionTime": {"type": "string", "format": "date-time"},
            "reason": {"type": "string", "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
            "message": {"type": "string", "maxLength": 32768},
        },
    }
