"""The parts that workflows are made of.

Rules that every part keeps: an action is named by a commit; a job has its own permissions and a
bound on its time; a checkout leaves no token behind; a text of the spec or of a person reaches a
script only as an environment variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from holdfast import __version__
from holdfast.artifacts import names, versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery.objects import GITHUB
from holdfast.artifacts.versions import Action
from holdfast.spec.model import Service

RUNNERS = {"amd64": "ubuntu-24.04", "arm64": "ubuntu-24.04-arm"}
RUNNER = RUNNERS["amd64"]
READ = {"contents": "read"}
#: What ``told`` reads; every workflow has it.
KEYS = ("service", "image.repository", "delivery.path")
_STRICT = "bash --noprofile --norc -euo pipefail {0}"


def workflow(
    service: Service,
    name: str,
    about: str,
    body: Object,
    keys: Iterable[str],
    rows: Iterable[str],
) -> Artifact:
    """``body``: ``on``, ``concurrency`` and ``jobs``."""
    jobs = {key: _strict(job) for key, job in body["jobs"].items()}
    head = {"name": name, "on": body["on"], "permissions": {}}
    found = {**head, "concurrency": body["concurrency"], "env": told(service), "jobs": jobs}
    path = f"{GITHUB}/workflows/{name.lower().replace(' ', '-')}.yaml"
    return Artifact(path, found, about, (*KEYS, *keys), tuple(rows))


def _strict(job: Object) -> Object:
    """Scripts of a job end with the first command that fails, in a pipe too."""
    steps = job.pop("steps")
    return {**job, "defaults": {"run": {"shell": _STRICT}}, "steps": steps}


def told(service: Service) -> Object:
    """What every script may read: names of the spec, never an expression."""
    return {
        "HOLDFAST": __version__,
        "SERVICE": service.service,
        "REPOSITORY": literal(names.repository(service)),
        "REGISTRY": literal(names.registry(service)),
        "SET": literal(root(service)),
    }


def root(service: Service) -> str:
    """Where the rendered set is in the repository; a dot: at its top."""
    parts = [part for part in service.delivery.path.split("/") if part not in ("", ".")]
    return "/".join(parts) or "."


def literal(text: str) -> str:
    """A text of the spec as a value that GitHub does not evaluate; always one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line.replace("${{", "${{ '${{' }}")


def pattern(text: str) -> str:
    """A branch's name as a filter, whose own marks it may hold."""
    return literal(re.sub(r"[*?+!\[\]\\]", r"\\\g<0>", text))


def concurrency(group: str, *, cancel: bool | str = False) -> Object:
    return {"group": group, "cancel-in-progress": cancel}


def job(
    name: str,
    steps: Iterable[Object],
    *,
    minutes: int,
    permissions: dict[str, str] | None = None,
    **more: Any,  # noqa: ANN401  # JSON
) -> Object:
    """A job on a hosted runner; ``more``: ``needs``, ``if``, ``strategy``, ``environment``..."""
    runner = more.pop("runner", RUNNER)
    return {
        "name": name,
        **{key.rstrip("_"): value for key, value in more.items()},
        "runs-on": runner,
        "timeout-minutes": minutes,
        "permissions": READ if permissions is None else permissions,
        "steps": [_hardened(), *steps],
    }


def matrix(service: Service) -> Object:
    """A row for each platform of the image, on a runner of that processor: nothing is emulated."""
    rows = [platform.partition("/")[2] for platform in service.image.platforms]
    include = [{"arch": arch, "runner": RUNNERS[arch]} for arch in rows]
    return {"fail-fast": False, "matrix": {"include": include}}


def uses(title: str, action: Action, /, **given: Any) -> Object:  # noqa: ANN401  # JSON
    """A step by an action; an underscore in an input's name is a dash."""
    step: Object = {"name": title}
    if "id" in given:
        step["id"] = given.pop("id")
    if "if_" in given:
        step["if"] = given.pop("if_")
    step["uses"] = action.reference
    inputs = {key.replace("_", "-"): value for key, value in given.items()}
    return step | ({"with": inputs} if inputs else {})


def run(name: str, script: str, env: dict[str, str] | None = None, **more: Any) -> Object:  # noqa: ANN401
    """A step by a script, which reads everything from its environment."""
    fields = {key.rstrip("_"): value for key, value in more.items()}
    step = {"name": name, **fields}
    return {**step, **({"env": env} if env else {}), "run": script.strip("\n") + "\n"}


def checkout(**given: Any) -> Object:  # noqa: ANN401  # JSON
    return uses("Check out", versions.CHECKOUT, **given, persist_credentials=False)


def installed(extras: str = "") -> list[Object]:
    """The release of Holdfast that rendered this workflow."""
    wanted = f'"holdfast{extras}==$HOLDFAST"'
    return [
        uses("Set up Python", versions.SETUP_PYTHON, python_version="3.13"),
        run("Install Holdfast", f"python -m pip install --disable-pip-version-check {wanted}"),
    ]


def login() -> Object:
    """The robot account of the environment ``registry``."""
    return uses(
        "Log in to the registry",
        versions.LOGIN,
        registry="${{ env.REGISTRY }}",
        username="${{ secrets.REGISTRY_USERNAME }}",
        password="${{ secrets.REGISTRY_PASSWORD }}",
    )


def app_token(**permissions: str) -> Object:
    """A token of the service's GitHub App: pull requests by it start the other workflows."""
    granted = {f"permission_{key}": value for key, value in permissions.items()}
    return uses(
        "Ask for a token",
        versions.APP_TOKEN,
        id="token",
        app_id="${{ vars.DELIVERY_APP_ID }}",
        private_key="${{ secrets.DELIVERY_PRIVATE_KEY }}",
        **granted,
    )


def buildx() -> Object:
    return uses("Set up Buildx", versions.BUILDX)


def trivy() -> Object:
    return uses("Set up Trivy", versions.SETUP_TRIVY, version=f"v{versions.TRIVY}", cache=False)


def cosign() -> Object:
    release = f"v{versions.COSIGN_USED}"
    return uses("Set up cosign", versions.COSIGN_INSTALLER, cosign_release=release)


def _hardened() -> Object:
    return uses("Watch the runner", versions.HARDEN, egress_policy="audit")
