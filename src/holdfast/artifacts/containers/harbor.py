"""Harbor: project, robots, retention, immutable versions, replication, scan schedule.

Bodies of Harbor's API (v2.0) as files, so that a review sees them, and a script that brings a
Harbor to that state and may be run again at any time.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.containers.harbor_script import script
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

DIRECTORY = "containers/harbor"
KEYS = ("service", "image.repository")
_DAY_S = 86400
_ROBOT_DAYS = 90  # then a new secret is made
#: Six fields: Harbor's cron has seconds. After midnight in no region at once.
_RETENTION_CRON, _SCAN_CRON = "0 17 3 * * *", "0 47 1 * * *"


def render(service: Service) -> Iterable[Artifact]:
    yield from _project(service)
    yield from _robots(service)
    yield from _policies(service)
    yield from _replicas(service)
    about = "Brings a Harbor to the state of the files beside it; may be run again at any time."
    copied = service.service if _others(service) else ""
    body = script(project(service), names.registry(service), copied)
    keys, rows = (*KEYS, "regions"), ("T21", "T23", "T24", "T25")
    yield Artifact(f"{DIRECTORY}/apply.sh", body, about, keys=keys, rows=rows)


def _file(
    name: str, body: Object, about: str, rows: tuple[str, ...], keys: tuple[str, ...] = KEYS
) -> Artifact:
    return Artifact(f"{DIRECTORY}/{name}.json", body, about, keys=keys, rows=rows)


def project(service: Service) -> str:
    """The first part of the name; images without one are in Harbor's own project."""
    first, _, rest = names.repository(service).partition("/")[2].partition("/")
    return first if rest else "library"


def _name(service: Service) -> str:
    """The repository inside its project."""
    path = names.repository(service).partition("/")[2]
    return path.partition("/")[2] or path


def _project(service: Service) -> Iterable[Artifact]:
    about = "The project: private, scanned, signed images only."
    body: Object = {
        "project_name": project(service),
        "metadata": {
            "public": "false",
            "auto_scan": "true",
            "auto_sbom_generation": "true",
            "enable_content_trust_cosign": "true",
            "prevent_vul": "true",
            "severity": service.image.severity,
            "reuse_sys_cve_allowlist": "true",
        },
        "storage_limit": -1,
    }
    keys, rows = ("image.repository", "image.severity"), ("T9", "T10", "T21", "T22")
    yield _file("project", body, about, rows, keys)


def _robots(service: Service) -> Iterable[Artifact]:
    for suffix, rights, about in (
        ("push", _PUSH, "The account of the pipeline."),
        ("pull", _PULL, "The account of the clusters."),
    ):
        yield _file(f"robot-{suffix}", _robot(service, suffix, rights), about, ("T21",))


def _policies(service: Service) -> Iterable[Artifact]:
    keys = (*KEYS, "image.keep", "image.keep_for")
    yield _file("retention", _retention(service), "Which versions stay.", ("T24",), keys)
    about = "A version is pushed once and never replaced."
    yield _file("immutable", _immutable(service), about, ("T21",))
    scans: Object = {"schedule": {"type": "Custom", "cron": _SCAN_CRON}}
    yield _file("scan-schedule", scans, "All is scanned again every night.", ("T23",), ())


_PUSH = (
    ("repository", "push"), ("repository", "pull"), ("artifact", "read"), ("artifact", "list"),
    ("tag", "create"), ("tag", "list"), ("scan", "create"), ("scan", "read"),
)  # fmt: skip
_PULL = (("repository", "pull"), ("artifact", "read"), ("tag", "list"))


def _robot(service: Service, suffix: str, rights: tuple[tuple[str, str], ...]) -> Object:
    access = [{"resource": resource, "action": action} for resource, action in rights]
    return {
        "name": f"{service.service}-{suffix}",
        "description": f"{suffix} of {service.service}; made by holdfast render",
        "level": "project",
        "duration": _ROBOT_DAYS,
        "disable": False,
        "permissions": [{"kind": "project", "namespace": project(service), "access": access}],
    }


def _selectors(service: Service) -> Object:
    return {
        "tag_selectors": [
            {"kind": "doublestar", "decoration": "matches", "pattern": "**", "extras": ""}
        ],
        "scope_selectors": {
            "repository": [
                {"kind": "doublestar", "decoration": "repoMatches", "pattern": _name(service)}
            ]
        },
    }


def _retention(service: Service) -> Object:
    """Rules are alternatives: what any of them keeps stays."""
    days = max(1, round(service.image.keep_for / _DAY_S))
    rules = (("latestPushedK", service.image.keep), ("nDaysSinceLastPush", days))
    return {
        "algorithm": "or",
        "rules": [
            {
                "disabled": False,
                "action": "retain",
                "template": template,
                "params": {template: count},
                **_selectors(service),
            }
            for template, count in rules
        ],
        "trigger": {"kind": "Schedule", "settings": {"cron": _RETENTION_CRON}, "references": {}},
        "scope": {"level": "project", "ref": 0},
    }


def _immutable(service: Service) -> Object:
    return {
        "disabled": False,
        "action": "immutable",
        "template": "immutable_template",
        **_selectors(service),
    }


def _others(service: Service) -> list[Region]:
    return [each for each in service.regions if each != names.primary(service)]


def _replicas(service: Service) -> Iterable[Artifact]:
    others = _others(service)
    if not others:
        return
    about = "The registries of regions; apply.sh adds their credentials."
    body = [_registry(service, region) for region in others]
    keys = ("image.repository", "regions", "image.mirrors")
    yield Artifact(f"{DIRECTORY}/registries.json", body, about, keys=keys, rows=("T25",))
    about = "Every pushed version is copied to every other region."
    body = [_replication(service, region) for region in others]
    keys = (*KEYS, "regions")
    yield Artifact(f"{DIRECTORY}/replications.json", body, about, keys=keys, rows=("T25",))


def _registry(service: Service, region: Region) -> Object:
    return {
        "name": region.name,
        "type": "harbor",
        "url": f"https://{names.mirror(service, region)}",
        "insecure": False,
        "description": f"images of {region.cloud}",
    }


def _replication(service: Service, region: Region) -> Object:
    return {
        "name": f"{service.service}-{region.name}",
        "description": f"{service.service} to {region.name}",
        "filters": [{"type": "name", "value": f"{project(service)}/{_name(service)}"}],
        "trigger": {"type": "event_based"},
        "dest_namespace": project(service),
        "dest_namespace_replace_count": 1,
        "replicate_deletion": False,
        "override": True,
        "enabled": True,
        "copy_by_chunk": True,
    }
