"""A bill of materials in two formats, the same bytes for the same image. Pure.

Sources: CycloneDX/specification 1.6 (bom-1.6.schema.json), spdx/spdx-spec 2.3.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from holdfast.supply.images.inventory import Package

Object = dict[str, Any]
_TOOL = "holdfast"
#: Where a document of an image has its name from: the digest says which image it is about.
_SPACE = "https://holdfast.dev/sbom"


def cyclonedx(name: str, version: str, digest: str, found: Sequence[Package]) -> Object:
    """``digest``: of the image, ``sha256:...``."""
    subject = f"pkg:oci/{name}@{digest.replace(':', '%3A')}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{_SPACE}/{digest}')}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": _TOOL}]},
            "component": {
                "type": "container",
                "bom-ref": subject,
                "name": name,
                "version": version,
                "purl": subject,
                "hashes": [{"alg": "SHA-256", "content": digest.partition(":")[2]}],
            },
        },
        "components": [_component(each) for each in found],
        "dependencies": [{"ref": subject, "dependsOn": [each.url for each in found]}],
    }


def _component(package: Package) -> Object:
    return {
        "type": "library",
        "bom-ref": package.url,
        "name": package.name,
        "version": package.version,
        "purl": package.url,
    }


def spdx(name: str, version: str, digest: str, created: str, found: Sequence[Package]) -> Object:
    """``created``: a time such as 2026-11-25T09:00:00Z; SPDX wants one, so the image's own."""
    listed = [_package(f"SPDXRef-{place}", each) for place, each in enumerate(found)]
    image: Object = {
        "SPDXID": "SPDXRef-image",
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest.partition(":")[2]}],
    }
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"{_SPACE}/{digest.partition(':')[2]}",
        "creationInfo": {"created": created, "creators": [f"Tool: {_TOOL}"]},
        "packages": [image, *listed],
        "relationships": [
            _related("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image"),
            *(_related("SPDXRef-image", "CONTAINS", each["SPDXID"]) for each in listed),
        ],
    }


def _package(reference: str, package: Package) -> Object:
    return {
        "SPDXID": reference,
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package.url,
            }
        ],
    }


def _related(subject: str, kind: str, target: str) -> Object:
    return {
        "spdxElementId": subject,
        "relationshipType": kind,
        "relatedSpdxElement": target,
    }
