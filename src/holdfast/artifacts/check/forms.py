"""Which schema speaks for a file: by apiVersion and kind, else by its name and shape."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True, slots=True)
class Form:
    """A format that is no Kubernetes object. ``shape`` are keys that such a document has."""

    glob: str  # over the whole path
    schema: str  # file among the schemas
    shape: tuple[str, ...] = ()
    pointer: str = ""  # where in the file the schema is

    def speaks_for(self, path: str, document: dict[str, Any]) -> bool:
        return fnmatchcase(path, self.glob) and all(key in document for key in self.shape)


_HARBOR = "other/harbor-api-2.15.json"
_GRAFANA = "other/grafana/dashboard.json"
#: The first that speaks wins.
FORMS = (
    Form("*workflows/*.y*ml", "other/github-workflow.json"),
    Form("*action.y*ml", "other/github-action.json", ("runs",)),
    Form("*dependabot.y*ml", "other/dependabot-2.0.json"),
    Form("*release.y*ml", "other/github-release-config.json", ("changelog",)),
    Form("*bake*.json", "other/docker-bake.json"),
    Form("*daemon.json", "other/dockerd.json"),
    Form("*compose*.y*ml", "other/compose-spec.json"),
    Form("*.y*ml", "other/container-structure-test.json", ("schemaVersion",)),
    Form("*.y*ml", "other/prometheus.rules.test.json", ("rule_files", "tests")),
    Form("*.y*ml", "other/prometheus.rules.json", ("groups",)),
    Form("*prometheus*.y*ml", "other/prometheus.json", ("scrape_configs",)),
    Form("*alertmanager*.y*ml", "other/prometheus-alertmanager.json", ("route", "receivers")),
    Form("*.json", _GRAFANA, ("panels", "schemaVersion")),
    Form("*trivy*.y*ml", "other/trivy-config.json"),
    Form("*flag*.json", "other/flagd/flags.json", ("flags",)),
    Form("*harbor/immutable.json", _HARBOR, pointer="/$defs/ImmutableRule"),
    Form("*harbor/project.json", _HARBOR, pointer="/$defs/ProjectReq"),
    Form("*harbor/robot-*.json", _HARBOR, pointer="/$defs/RobotCreate"),
    Form("*harbor/registries.json", _HARBOR, pointer="/$defs/Registry"),
    Form("*harbor/replications.json", _HARBOR, pointer="/$defs/ReplicationPolicy"),
    Form("*harbor/scan-schedule.json", _HARBOR, pointer="/$defs/Schedule"),
    Form("*kustomization.y*ml", "other/kustomization.json"),
    Form("*traefik*.y*ml", "other/traefik-v3.json", ("entryPoints",)),
)


def form_of(path: str, document: dict[str, Any]) -> Form | None:
    return next((form for form in FORMS if form.speaks_for(path, document)), None)


def kind_key(document: dict[str, Any]) -> str:
    """``apps/v1/Deployment``; empty when the document does not say both."""
    version, kind = document.get("apiVersion"), document.get("kind")
    return f"{version}/{kind}" if isinstance(version, str) and isinstance(kind, str) else ""
