"""Release envelopes: signed by two algorithms, opened only when both verify."""

from __future__ import annotations

import base64
import json
import stat

import pytest

from holdfast.ledger.dsse import (
    EnvelopeInvalid,
    ReleaseSigner,
    open_envelope,
    pre_authentication,
)
from holdfast.ledger.errors import KeyTrouble

TYPE = "application/vnd.holdfast.release+json"
PAYLOAD = b'{"digest":"3f9a"}'


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return ReleaseSigner.load_or_make(tmp_path_factory.mktemp("keys") / "release.pem")


def test_the_signed_bytes_are_those_of_the_specification():
    # The test vector of the DSSE protocol document.
    found = pre_authentication("http://example.com/HelloWorld", b"hello world")
    assert found == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@pytest.mark.req("I2")
def test_an_envelope_names_both_algorithms_and_opens_with_both(signer):
    envelope = signer.sign(PAYLOAD, TYPE)
    assert open_envelope(envelope, signer.public, TYPE) == PAYLOAD
    keyids = [each["keyid"].split(":")[0] for each in json.loads(envelope)["signatures"]]
    assert keyids == ["ed25519", "ml-dsa-65"]


@pytest.mark.req("I2")
@pytest.mark.parametrize("missing", [0, 1])
def test_one_signature_alone_does_not_open_it(signer, missing):
    envelope = json.loads(signer.sign(PAYLOAD, TYPE))
    del envelope["signatures"][missing]
    with pytest.raises(EnvelopeInvalid, match="not signed by"):
        open_envelope(json.dumps(envelope).encode(), signer.public, TYPE)


@pytest.mark.req("I2")
@pytest.mark.parametrize("broken", [0, 1])
def test_a_wrong_signature_of_either_kind_is_fatal(signer, broken):
    envelope = json.loads(signer.sign(PAYLOAD, TYPE))
    bad = bytearray(base64.b64decode(envelope["signatures"][broken]["sig"]))
    bad[3] ^= 1
    envelope["signatures"][broken]["sig"] = base64.b64encode(bad).decode()
    with pytest.raises(EnvelopeInvalid, match="does not verify"):
        open_envelope(json.dumps(envelope).encode(), signer.public, TYPE)


def test_another_payload_or_type_is_refused(signer):
    envelope = json.loads(signer.sign(PAYLOAD, TYPE))
    envelope["payload"] = base64.b64encode(b"{}").decode()
    with pytest.raises(EnvelopeInvalid, match="does not verify"):
        open_envelope(json.dumps(envelope).encode(), signer.public, TYPE)
    with pytest.raises(EnvelopeInvalid, match="wanted 'text/plain'"):
        open_envelope(signer.sign(PAYLOAD, TYPE), signer.public, "text/plain")


def test_signatures_of_strangers_are_ignored_and_do_not_help(signer, tmp_path):
    stranger = ReleaseSigner.load_or_make(tmp_path / "release.pem")
    envelope = json.loads(signer.sign(PAYLOAD, TYPE))
    envelope["signatures"] += json.loads(stranger.sign(PAYLOAD, TYPE))["signatures"]
    assert open_envelope(json.dumps(envelope).encode(), signer.public, TYPE) == PAYLOAD
    with pytest.raises(EnvelopeInvalid, match="not signed by"):
        open_envelope(stranger.sign(PAYLOAD, TYPE), signer.public, TYPE)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b"\xff", b'{"payload":1,"payloadType":"t","signatures":[]}',
     b'{"payload":"","payloadType":"t","signatures":[7]}',
     b'{"payload":"","payloadType":"t","signatures":[{"keyid":"a","sig":null}]}'],
)  # fmt: skip
def test_what_is_no_envelope_is_refused(signer, raw):
    with pytest.raises(EnvelopeInvalid):
        open_envelope(raw, signer.public, "t")


def test_the_keys_are_kept_for_their_owner_only(tmp_path):
    path = tmp_path / "keys" / "release.pem"
    first = ReleaseSigner.load_or_make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ReleaseSigner.load_or_make(path).public == first.public
    path.write_bytes(path.read_bytes().split(b"-----END")[0])
    with pytest.raises(KeyTrouble):
        ReleaseSigner.load_or_make(path)
