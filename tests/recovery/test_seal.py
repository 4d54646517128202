"""What is sealed opens for its recipients, whole and in order, or not at all."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.recovery import seal as sealing
from holdfast.recovery.keys import Recipient, SecretKey, load_recipient, load_secret, make_files
from holdfast.recovery.seal import MAGIC, open_sealed, recipients_of, seal, sealed_bytes
from holdfast.recovery.trouble import BackupTrouble, Damaged, KeyTrouble

pytestmark = pytest.mark.req("T123", "I2")

OPS, AWAY = SecretKey.make("ops"), SecretKey.make("away")
BOTH = (OPS.recipient, AWAY.recipient)


def opened(data: bytes, key: SecretKey = OPS) -> bytes:
    return b"".join(open_sealed(io.BytesIO(data), key))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(sealing, "CHUNK", 64)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=400))
def test_every_recipient_opens_exactly_what_was_sealed(content):
    data = sealed_bytes(content, BOTH, "x")
    assert opened(data) == opened(data, AWAY) == content


@settings(deadline=None, max_examples=120)
@given(st.binary(min_size=1, max_size=300), st.data())
def test_whatever_is_changed_or_cut_off_is_found(content, draw):
    data = sealed_bytes(content, [OPS.recipient], "x")
    at = draw.draw(st.integers(0, len(data) - 1))
    changed = data[:at] + bytes([data[at] ^ draw.draw(st.integers(1, 255))]) + data[at + 1 :]
    for damaged in (changed, data[:at]):
        with pytest.raises(BackupTrouble):
            opened(damaged)


def test_chunks_cannot_be_moved_doubled_or_left_out():
    content = bytes(range(200))
    data = sealed_bytes(content, [OPS.recipient], "x")
    size = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4], "big")
    body = len(MAGIC) + 4 + size
    head, chunks = data[:body], [data[body + i : body + i + 80] for i in range(0, 300, 80)]
    for order in ([1, 0, 2, 3], [0, 0, 1, 2, 3], [0, 1, 3], [0, 1, 2]):
        with pytest.raises(Damaged, match="chunk"):
            opened(head + b"".join(chunks[each] for each in order))


def test_a_header_of_another_object_opens_nothing():
    one, two = (sealed_bytes(bytes(90), [OPS.recipient], "x") for _ in range(2))
    size = len(MAGIC) + 4 + int.from_bytes(one[len(MAGIC) : len(MAGIC) + 4], "big")
    with pytest.raises(Damaged):
        opened(two[:size] + one[size:])


def test_whom_it_was_sealed_for_is_told_to_whoever_has_another_key():
    data = sealed_bytes(b"x", [AWAY.recipient], "x")
    with pytest.raises(KeyTrouble, match=f"sealed for away \\({AWAY.recipient.id}\\)"):
        opened(data)
    assert recipients_of(io.BytesIO(data)) == ((AWAY.recipient.id, "away"),)


def test_nobody_to_seal_for_is_refused():
    with pytest.raises(KeyTrouble, match="nobody could open"):
        seal(io.BytesIO(b"x"), io.BytesIO(), [], "x")


def test_a_pipe_that_gives_single_bytes_is_sealed_as_well():
    class Drops(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 1))

    out = io.BytesIO()
    seal(Drops(bytes(150)), out, [OPS.recipient], "x")
    assert opened(out.getvalue()) == bytes(150)


# ---- key files -----------------------------------------------------------------------------------


def test_key_files_are_private_come_back_and_are_never_replaced(tmp_path):
    public, recipient = make_files("ops", tmp_path / "ops.key")
    assert (tmp_path / "ops.key").stat().st_mode & 0o777 == 0o600
    assert load_recipient(public) == recipient == load_secret(tmp_path / "ops.key").recipient
    with pytest.raises(KeyTrouble, match="never replaced"):
        make_files("ops", tmp_path / "ops.key")


def test_a_secret_that_others_may_read_is_refused_with_the_command_that_mends_it(tmp_path):
    make_files("ops", tmp_path / "ops.key")
    (tmp_path / "ops.key").chmod(0o644)
    with pytest.raises(KeyTrouble, match="chmod 600"):
        load_secret(tmp_path / "ops.key")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"kind": "x"}', "\xff", json.dumps({"kind": "a",
    "name": "b", "mlkem768": "!", "x25519": ""}), OPS.recipient.text()])  # fmt: skip
def test_a_file_that_is_no_secret_key_is_told_so(tmp_path, text):
    path = tmp_path / "key"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(KeyTrouble, match="key"):
        load_secret(path)


def test_a_secret_shows_nothing_of_itself_when_it_is_printed():
    assert OPS.x25519.hex() not in repr(OPS)
    assert repr(OPS.x25519) not in repr(OPS)


def test_a_damaged_public_key_is_refused(tmp_path):
    short = Recipient("x", b"1" * 1184, b"2" * 31)
    with pytest.raises(KeyTrouble, match="damaged"):
        Recipient.parse(short.text(), "x.pub")
