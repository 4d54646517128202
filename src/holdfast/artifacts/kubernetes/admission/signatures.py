"""Kyverno: an image of the service starts only with the signature of its own pipeline.

Source: Kyverno 1.19, ImageValidatingPolicy. Who signs is ``image.signer``: a public key, a key in a
cloud's key store, or, where it is empty, the identity of the repository's workflows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import PLATFORM, clustered, named
from holdfast.spec.model import Service

_ISSUER = "https://token.actions.githubusercontent.com"
_TRANSPARENCY = "https://rekor.sigstore.dev"
#: Predicate types of the two SBOMs that the pipeline attests (CycloneDX, SPDX specifications).
_ATTESTED = {"cyclonedx": "https://cyclonedx.org/bom", "spdx": "https://spdx.dev/Document"}
_ALL = "images.containers.map(image, {call}).all(count, count > 0)"
_PEM = "-----BEGIN PUBLIC KEY-----"


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{PLATFORM}/signatures.yaml",
        _policy(service),
        "Images of the service start only when its pipeline signed them and listed their parts.",
        ("service", "kubernetes.namespace", "image.repository", "image.signer",
         "image.mirrors", "delivery.repository"),
        ("T22", "T60"),
    )  # fmt: skip


def _policy(service: Service) -> Object:
    found = clustered(
        service, "policies.kyverno.io/v1/ImageValidatingPolicy", named(service, "signatures"),
        "admission",
    )  # fmt: skip
    found["spec"] = {
        "failurePolicy": "Fail",
        "validationActions": ["Deny"],
        "webhookConfiguration": {"timeoutSeconds": 15},
        "evaluation": {"background": {"enabled": False}},
        "matchConstraints": _matched(service),
        "matchImageReferences": [
            {"glob": f"{name}{end}"}
            for name in names.repositories(service)
            for end in (":*", "@*", ":*@*")
        ],
        "validationConfigurations": {"required": True, "verifyDigest": True, "mutateDigest": True},
        "attestors": [{"name": "pipeline", "cosign": _signer(service)}],
        "attestations": [{"name": n, "intoto": {"type": t}} for n, t in _ATTESTED.items()],
        "validations": list(_demanded()),
    }
    return found


def _matched(service: Service) -> Object:
    space = {"kubernetes.io/metadata.name": names.namespace(service)}
    pods = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["pods"],
    }
    return {"namespaceSelector": {"matchLabels": space}, "resourceRules": [pods]}


def _signer(service: Service) -> Object:
    given = service.image.signer
    if not given:
        subject = f"^{re.escape(names.git(service))}/"
        identity = {"issuer": _ISSUER, "subjectRegExp": subject}
        return {"keyless": {"identities": [identity]}, "ctlog": {"url": _TRANSPARENCY}}
    private = {"insecureIgnoreTlog": True, "insecureIgnoreSCT": True}  # nothing leaves the house
    return {"key": {"data": given} if _PEM in given else {"kms": given}, "ctlog": private}


def _demanded() -> Iterable[Object]:
    call = "verifyImageSignatures(image, [attestors.pipeline])"
    yield {"expression": _ALL.format(call=call), "message": "the image is not signed"}
    for name in _ATTESTED:
        call = f"verifyAttestationSignatures(image, attestations.{name}, [attestors.pipeline])"
        message = f"nobody attests what is in the image ({name})"
        yield {"expression": _ALL.format(call=call), "message": message}
