"""Where alarms of global things go, and secrets that outlive every region."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import foundation, storage
from holdfast.artifacts.resilience.aws.template import (
    AWS,
    att,
    exported,
    imported,
    kept,
    ref,
    template,
)
from holdfast.spec.model import Service

STACK = "notices"
RECOVERY = "recovery"


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{AWS}/global/{STACK}.yaml",
        _stack(service),
        "Where alarms of CloudFront, the firewall and names go.",
        ("service",),
        ("T120", "T137"),
    )
    yield Artifact(
        f"{AWS}/global/{RECOVERY}.yaml",
        recovery(service),
        "Where Vault's recovery keys are kept, readable in every region.",
        ("service", "regions"),
        ("T123", "T124"),
    )


def _stack(service: Service) -> Object:
    outputs = exported(service, STACK, Notices=ref("Notices"), Key=att("NoticeKey", "Arn"))
    return template(
        f"Global alarms of {service.service}",
        foundation.notices(service),
        outputs,
        foundation.NOTICE_PARAMETERS,
        foundation.NOTICE_CONDITIONS,
    )


def recovery(service: Service) -> Object:
    """A place without a value: people put the keys there when Vault is initialised."""
    settings: Object = {
        "Name": f"{service.service}/vault-recovery",
        "Description": "Recovery keys of Vault, put here by people when it is initialised",
        "KmsKeyId": imported(service, foundation.STACK, "VaultKey"),
    }
    copies = names.others(service, names.primary(service))
    if copies:
        settings["ReplicaRegions"] = [
            {"Region": each.cloud, "KmsKeyId": storage.key_in(service, each, "VaultKeyId")}
            for each in copies
        ]
    about = f"Recovery keys of {service.service}"
    return template(about, {"Recovery": kept("SecretsManager::Secret", settings)})
