"""Copies of files for a checker, in which what only the machine that uses them has is stood in for.

Envoy opens the certificates that its configuration names, also when it only validates. They lie
on the machine of the edge; here certificates made for this one run lie in their places, so that
everything else in the file is still judged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from holdfast.supply.checkers.job import Readable

Place = tuple[str | int, ...]
_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
#: Fields of Envoy's ``CommonTlsContext`` (envoyproxy.io, v3 API) that name a file directly.
_CERTIFICATES = frozenset({"certificate_chain", "trusted_ca"})


def envoy(file: Readable, place: Path) -> dict[str, str]:
    """Write a copy of a bootstrap below ``place``, and what stands in for its certificates.

    Returns what each written path stands for, the copy first; lines stay where they are. Raises
    ``OSError``.
    """
    copy, text = place / file.path, file.text
    copy.parent.mkdir(parents=True, exist_ok=True)
    made = {str(copy): file.path}
    for number, (path, content) in enumerate(sorted(_contents(file).items())):
        stand_in = copy.with_name(f"{copy.stem}-{number}{Path(path).suffix}")
        stand_in.write_text(content, "utf-8")
        made[str(stand_in)] = path
        text = re.sub(rf"(?<![\w./-]){re.escape(path)}(?![\w./-])", str(stand_in), text)
    copy.write_text(text, "utf-8")
    return made


def _contents(file: Readable) -> dict[str, str]:
    """Absolute path -> what such a file contains."""
    found = {}
    for document in file.objects:
        for place, value, around in _texts(document):
            content = _content(place, around) if value.startswith("/") else None
            if content is not None:
                found[value] = content
    return found


def _content(place: Place, around: dict[str, Any]) -> str | None:
    if place[-2:] == ("path_config_source", "path"):
        return _subscription(place, around)
    if place[-1] != "filename":
        return None
    certificate, key = _pair()
    return key if "private_key" in place else certificate if _CERTIFICATES & {*place} else None


def _subscription(place: Place, around: dict[str, Any]) -> str:
    """Secrets by their names; of other resources there are none."""
    certificate, key = ({"inline_string": each} for each in _pair())
    if "validation_context_sds_secret_config" in place:
        body = {"validation_context": {"trusted_ca": certificate}}
    elif "tls_certificate_sds_secret_configs" in place:
        body = {"tls_certificate": {"certificate_chain": certificate, "private_key": key}}
    else:
        return '{"resources": []}'
    return json.dumps({"resources": [{"@type": _SECRET, "name": around.get("name"), **body}]})


def _texts(
    value: Any,  # noqa: ANN401  # YAML
    place: Place = (),
    above: tuple[dict[str, Any], ...] = (),
) -> Iterator[tuple[Place, str, dict[str, Any]]]:
    """Every text with its place, and the object three levels up: whose subscription it is."""
    if isinstance(value, str) and place:
        yield place, value, above[-3] if len(above) > 2 else {}
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*place, str(key)), (*above, value))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*place, index), above)


@cache
def _pair() -> tuple[str, str]:
    """A certificate and its key, both PEM, good for a day and trusted by nobody."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(pem).decode(), private.decode()
