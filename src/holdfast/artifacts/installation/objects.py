"""All objects of an installation, in the order in which they are applied."""

from __future__ import annotations

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.format import yaml_text
from holdfast.artifacts.installation import access, admission, workload
from holdfast.artifacts.installation.definition import definition
from holdfast.artifacts.installation.wish import Installation
from holdfast.artifacts.names import MANAGER

#: Kept by ``uninstall``: what people wrote, and where their Secrets are.
KEPT = ("Namespace", "CustomResourceDefinition")
_LABEL = {"app.kubernetes.io/managed-by": MANAGER, "app.kubernetes.io/part-of": "holdfast"}


def objects(wish: Installation) -> tuple[Object, ...]:
    """The pods come last: they find everything that they need."""
    made = [
        workload.space(wish),
        definition(),
        *admission.objects(),
        *access.objects(wish.namespace),
        *workload.objects(wish),
    ]
    for each in made:
        each["metadata"]["labels"] = {**_LABEL, **each["metadata"].get("labels", {})}
    return tuple(made)


def text(wish: Installation) -> str:
    """The same as one YAML file, for whoever applies it otherwise."""
    said = "# The conductor inside the cluster. Written by: holdfast install -o"
    return f"{said}\n{yaml_text(objects(wish))}"
