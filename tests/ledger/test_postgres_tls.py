"""History over an encrypted connection: whose certificate the authority did not sign is nobody."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import postgres_rig
from holdfast.ledger import Intact, Ledger, LedgerUnreachable

pytestmark = pytest.mark.live


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, secret = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ))  # fmt: skip
    return pem, secret


def test_a_server_is_believed_by_the_authority_that_the_url_names(tmp_path, origin, make_drafts):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with postgres_rig.running() as server:
        server.stop()
        pem, secret = certificate(server.folder, "server")
        postgres_rig.own(secret)
        pem.chmod(0o644)
        server.settings |= {
            "listen_addresses": "127.0.0.1", "port": str(port), "ssl": "on",
            "ssl_cert_file": str(pem), "ssl_key_file": str(secret),
        }  # fmt: skip
        server.port = port
        server.start()
        url = f"postgresql://holdfast@127.0.0.1:{port}/postgres?sslmode=verify-full&sslrootcert="
        postgres_rig.point(tmp_path / "good", f"{url}{pem}")
        with Ledger.open(tmp_path / "good" / "ledger.db", origin) as ledger:
            ledger.append_now(make_drafts(3))
            assert isinstance(ledger.verify(), Intact)
            encrypted = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            named = "application_name = 'holdfast'"
            assert server.run(f"{encrypted} WHERE {named}") == [(True,)]
        other, _ = certificate(tmp_path, "other")
        postgres_rig.point(tmp_path / "bad", f"{url}{other}")
        with pytest.raises(LedgerUnreachable, match="certificate verify failed"):
            Ledger.open(tmp_path / "bad" / "ledger.db", origin)
