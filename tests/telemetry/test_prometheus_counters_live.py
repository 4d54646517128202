"""A real Prometheus, behind mutual TLS and a password, scrapes a real program that starts again."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import shutil
import socket
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry, Counter, start_http_server

from holdfast.rollout.model import Counts
from holdfast.runtime.clock import LoopClock
from holdfast.spec.load import load_text

pytest.importorskip("httpx2", reason="httpx2 is not installed: holdfast[supply]")

from holdfast.telemetry.prometheus.answer import Denied, Outdated, Unanswered
from holdfast.telemetry.prometheus.source import opened

pytestmark = pytest.mark.live
PASSWORD = "rig-only"
HASHED = "$2b$04$FY2WmzxfWR9KcOIJeUkW5OtK8519PnycL9Ca1RUblv0vZoB/GJCdW"  # bcrypt of it
SPEC = """
service: shop
run: python shop.py
observability:
  scrape: 1s
  prometheus:
    url: https://127.0.0.1:{port}
    username: holdfast
    password_file: password
    ca_file: ca.pem
    cert_file: client.pem
    key_file: client.key
    stale_after: 2s
    release_label: version
    requests: shop_requests_total
    errors: shop_requests_total{{code="500"}}
"""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Program:
    """Instances of two releases on one page; ``restart`` makes all counters start at zero."""

    def __init__(self):
        self.port = free_port()
        self.start()

    def start(self):
        registry = CollectorRegistry()
        labels = ("version", "code")
        self.requests = Counter("shop_requests", "", labels, registry=registry)
        for version in ("v1", "v2"):
            self.serve(version, 0, 0)
        self._server, self._thread = start_http_server(self.port, "127.0.0.1", registry)

    def serve(self, version, good, bad):
        self.requests.labels(version, "200").inc(good)
        self.requests.labels(version, "500").inc(bad)

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def certified(folder):
    """A CA, a server and a client that it signed."""
    now, keys, made = datetime.datetime.now(datetime.UTC), {}, {}
    for name in ("ca", "server", "client"):
        keys[name] = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(keys[name].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(name == "ca", None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        )
        made[name] = builder.sign(keys["ca"], hashes.SHA256())
        (folder / f"{name}.pem").write_bytes(made[name].public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            keys[name].private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The program, and the folder of its spec: a Prometheus scrapes it twice a second."""
    if (prometheus := shutil.which("prometheus")) is None:
        pytest.skip("prometheus is not installed")
    folder, program, port = tmp_path_factory.mktemp("prometheus"), Program(), free_port()
    certified(folder)
    (folder / "password").write_text(PASSWORD)
    targets = [{"targets": [f"127.0.0.1:{program.port}"]}]
    job = {"job_name": "shop", "scrape_interval": "500ms", "scrape_timeout": "500ms"}
    config = {"scrape_configs": [job | {"static_configs": targets}]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    tls = {"cert_file": "server.pem", "key_file": "server.key", "client_ca_file": "ca.pem",
           "client_auth_type": "RequireAndVerifyClientCert"}  # fmt: skip
    web = {"tls_server_config": tls, "basic_auth_users": {"holdfast": HASHED}}
    (folder / "web.yml").write_text(json.dumps(web))
    (folder / "holdfast.yaml").write_text(SPEC.format(port=port))
    command = [prometheus, f"--config.file={folder}/prometheus.yml",
               f"--web.config.file={folder}/web.yml", f"--storage.tsdb.path={folder}/data",
               f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield program, folder
    finally:
        process.kill()
        process.wait()
        program.close()


RELEASES = {"v1": "release-1", "v2": "release-2"}


async def until(source, holds, within=20.0):
    """The first counts for which it holds; a server that is starting may say no."""
    end, found = time.monotonic() + within, {}
    while not (found and holds(found)):
        assert time.monotonic() < end, found
        await asyncio.sleep(0.1)
        try:
            found = await source.counters(RELEASES)
        except Unanswered:
            found = {}
    return found


def test_requests_are_counted_exactly_through_a_restart_and_silence_is_told(world):
    program, folder = world

    async def story():
        service = load_text((folder / "holdfast.yaml").read_text())
        source = opened(service, LoopClock(), folder)
        assert source is not None
        try:
            await told(source)
        finally:
            await source.aclose()

    async def told(source):
        await until(source, lambda found: source._tallies.requests.newest)
        program.serve("v1", 90, 10)
        program.serve("v2", 7, 3)
        wanted = {"release-1": Counts(100, 10, 0), "release-2": Counts(10, 3, 0)}
        await until(source, lambda found: found == wanted)
        program.close()
        program.start()
        program.serve("v1", 20, 1)
        grown = {"release-1": Counts(121, 11, 0), "release-2": Counts(10, 3, 0)}
        await until(source, lambda found: found == grown)
        program.close()
        with pytest.raises(Outdated):
            await until(source, lambda found: found != grown, within=15)
        program.start()

    asyncio.run(story())


def test_a_wrong_password_and_a_missing_certificate_are_refused(world):
    _, folder = world

    async def ask(*changes):
        text = (folder / "holdfast.yaml").read_text()
        for old, new in changes:
            text = text.replace(old, new)
        source = opened(load_text(text), LoopClock(), folder)
        assert source is not None
        try:
            await source.counters(RELEASES)
        finally:
            await source.aclose()

    (folder / "other").write_text("wrong")
    with pytest.raises(Denied, match="401"):
        asyncio.run(ask(("password_file: password", "password_file: other")))
    with pytest.raises(Unanswered):  # TLS 1.3 tells why only if it is faster than the end
        asyncio.run(ask(("cert_file: client.pem", ""), ("key_file: client.key", "")))
