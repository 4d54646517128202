"""Signed notes, checkpoints, cosignatures and proof files: the C2SP formats, strictly."""

from __future__ import annotations

import base64
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.ledger import NoteInvalid, ProofInvalid, WitnessRefused
from holdfast.ledger.archive import public_keys
from holdfast.ledger.checkpoint import Checkpoint, mldsa_message, open_checkpoint, parse_checkpoint
from holdfast.ledger.entry import leaf_data
from holdfast.ledger.keys import load_or_make
from holdfast.ledger.note import VerifierKey, parse_key, parse_keys, parse_note
from holdfast.ledger.proof import check_proof, parse_consistency
from holdfast.ledger.witness import Witness, with_cosignatures

# The example of the specification of signed notes (also of Go's sumdb/note package).
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngo"
    "tpRZb6KE6RyyBwJnAM=\n"
)


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return load_or_make(tmp_path_factory.mktemp("keys"), "log", "example.com/log")


@pytest.fixture(scope="module")
def head():
    return Checkpoint("example.com/log", 42, bytes(range(32)))


@pytest.mark.req("I4")
def test_the_published_example_note_verifies():
    key, note = parse_key(GO_KEY), parse_note(GO_NOTE)
    (line,) = note.by(key)
    Ed25519PublicKey.from_public_bytes(key.public).verify(line.signature, note.text.encode())
    assert str(note) == GO_NOTE and str(key) == GO_KEY


@pytest.mark.req("I2", "I4")
def test_a_checkpoint_carries_both_algorithms_and_opens_with_both(signer, head):
    note = signer.sign(head, 1_764_000_000)
    signed = open_checkpoint(note, signer.public)
    assert signed.head == head
    assert [key.algorithm for key in signed.keys] == [0x01, 0x06]
    assert [len(line.signature) for line in signed.note.lines] == [64, 8 + 2420]
    assert note.startswith(f"example.com/log\n42\n{base64.b64encode(head.root).decode()}\n\n— ")


@pytest.mark.req("I2")
@pytest.mark.parametrize("kept", [0, 1], ids=["only Ed25519", "only ML-DSA-44"])
def test_one_signature_alone_is_not_enough(signer, head, kept):
    note = parse_note(signer.sign(head, 1))
    one = str(type(note)(note.text, (note.lines[kept],)))
    with pytest.raises(NoteInvalid, match="has no"):
        open_checkpoint(one, signer.public)


@pytest.mark.req("I2")
@pytest.mark.parametrize("broken", [0, 1], ids=["Ed25519", "ML-DSA-44"])
@pytest.mark.parametrize("at", [0, 7, 8, 40, -1])
def test_any_flipped_bit_of_either_signature_is_fatal(signer, head, broken, at):
    note = parse_note(signer.sign(head, 1_764_000_000))
    lines = list(note.lines)
    bad = bytearray(lines[broken].signature)
    bad[at] ^= 1
    lines[broken] = type(lines[broken])(lines[broken].name, lines[broken].key_id, bytes(bad))
    with pytest.raises(NoteInvalid, match="does not verify"):
        open_checkpoint(str(type(note)(note.text, tuple(lines))), signer.public)


@pytest.mark.req("I4")
def test_lines_of_unknown_keys_are_ignored_even_when_they_share_the_name(signer, head, tmp_path):
    other = load_or_make(tmp_path, "log", "example.com/log")
    text = with_cosignatures(signer.sign(head, 1), other.lines(head, 1))
    junk = "— example.com/log " + base64.b64encode(b"junk" + b"x" * 90).decode() + "\n"
    assert open_checkpoint(text + junk, signer.public).head == head


def test_a_known_key_that_fails_is_fatal_even_beside_good_ones(signer, head):
    wrong = signer.lines(Checkpoint(head.origin, 43, head.root), 1)
    with pytest.raises(NoteInvalid, match="does not verify"):
        open_checkpoint(with_cosignatures(signer.sign(head, 1), wrong), signer.public)


def test_a_checkpoint_of_another_log_is_refused(signer):
    foreign = Checkpoint("example.com/other", 42, bytes(32))
    with pytest.raises(NoteInvalid):
        open_checkpoint(signer.sign(foreign, 1), signer.public)


@pytest.mark.req("I2")
def test_the_post_quantum_message_is_the_structure_of_the_specification(head):
    message = mldsa_message("w", 0x0102, head)
    assert message == (
        b"subtree/v1\n\x00" + b"\x01w" + struct.pack(">Q", 0x0102)
        + b"\x0fexample.com/log" + bytes(8) + struct.pack(">Q", 42) + bytes(range(32))
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n01\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n٣\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n1\n" + base64.b64encode(bytes(31)).decode() + "\n",
        "a\n1\n!!!\n",
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n1\n" + base64.b64encode(bytes(32)).decode() + "\n\n",
        f"a\n{2**63}\n" + base64.b64encode(bytes(32)).decode() + "\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text):
    with pytest.raises(NoteInvalid):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "raw",
    ["", "a\n", "a\n\n", "a\n\n— x AAAAAAAA", "a\n\n- x AAAAAAAA\n", "a\n\n— x+y AAAAAAAA\n",
     "a\n\n— x AAAA\n", "a\n\n— x AAAAAAAA extra\n", "a\x07\n\n— x AAAAAAAA\n",
     "a\n\n— x AAAAAAB\n", "a\n\n" + "— x AAAAAAAA\n" * 65, "x" * 600_000],
)  # fmt: skip
def test_a_malformed_note_is_refused(raw):
    with pytest.raises(NoteInvalid):
        parse_note(raw)


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_note_a_proof_or_refused(text):
    for parse in (parse_note, parse_checkpoint, parse_key, parse_consistency):
        try:
            parse(text)
        except (NoteInvalid, ProofInvalid) as refusal:
            assert refusal.detail
    with pytest.raises((NoteInvalid, ProofInvalid)):
        check_proof("c2sp.org/tlog-proof@v1\n" + text, [VerifierKey("x", 1, bytes(32))])


def test_a_verifier_key_whose_id_does_not_match_is_refused():
    with pytest.raises(NoteInvalid, match="its material gives c74f20a3"):
        parse_key(GO_KEY.replace("c74f20a3", "c74f20a4"))
    assert parse_keys(f"# who\n\n{GO_KEY}\n") == (parse_key(GO_KEY),)


# ---- proofs -------------------------------------------------------------------------------------


@pytest.mark.req("I4")
def test_a_proof_file_alone_shows_that_an_entry_is_in_the_ledger(ledger, path, make_drafts):
    ledger.append_now(make_drafts(300))
    for index in (0, 1, 255, 256, 299):
        text = ledger.prove(index)
        assert text.startswith("c2sp.org/tlog-proof@v1\nextra ")
        proven = check_proof(text, public_keys(path))
        assert proven.index == index
        assert proven.leaf == leaf_data(next(ledger.entries(index, index + 1)))


@pytest.mark.req("I4")
def test_a_proof_without_the_leaf_needs_it_from_elsewhere(ledger, path, make_drafts):
    ledger.append_now(make_drafts(9))
    keys, text = public_keys(path), ledger.prove(4)
    bare = "\n".join(line for line in text.split("\n") if not line.startswith("extra "))
    leaf = leaf_data(next(ledger.entries(4, 5)))
    assert check_proof(bare, keys, leaf=leaf).leaf == leaf
    with pytest.raises(ProofInvalid, match="carries no leaf"):
        check_proof(bare, keys)
    with pytest.raises(ProofInvalid, match="leads to root"):
        check_proof(bare, keys, leaf=leaf + b" ")


@pytest.mark.req("I4")
def test_a_proof_with_anything_changed_is_refused(ledger, path, make_drafts):
    ledger.append_now(make_drafts(20))
    keys, text = public_keys(path), ledger.prove(7)
    lines = text.split("\n")
    leaf = base64.b64decode(lines[1].removeprefix("extra "))
    forged = base64.b64encode(leaf.replace(b"anna", b"anne")).decode()
    changed = {
        "another leaf": text.replace(lines[1], f"extra {forged}"),
        "another index": text.replace("index 7\n", "index 6\n"),
        "leading zero": text.replace("index 7\n", "index 07\n"),
        "a hash less": text.replace(lines[3] + "\n", ""),
        "a hash twice": text.replace(lines[3], f"{lines[3]}\n{lines[3]}"),
        "another size": text.replace("\n20\n", "\n21\n"),
        "another header": text.replace("@v1", "@v2"),
        "no checkpoint": text.split("\n\n")[0],
    }
    for name, proof in changed.items():
        with pytest.raises((ProofInvalid, NoteInvalid)):
            check_proof(proof, keys)
            pytest.fail(name)


# ---- witnesses ----------------------------------------------------------------------------------


@pytest.mark.req("I4", "I2")
def test_a_quorum_of_witnesses_is_counted_by_name_and_verified(ledger, path, make_drafts, tmp_path):
    ledger.append_now(make_drafts(5))
    witnesses = [Witness(tmp_path / f"w{n}", f"witness.example/w{n}") for n in range(3)]
    log, request = public_keys(path), ledger.prove_consistency(0)
    lines = [line for w in witnesses[:2] for line in w.cosign(request, log, 1_764_000_007)]
    text = with_cosignatures(ledger.checkpoint(), lines)
    known = [key for w in witnesses for key in w.public]
    assert [key.algorithm for key in witnesses[0].public] == [0x04, 0x06]
    assert open_checkpoint(text, log, known, quorum=2).head.size == 5
    with pytest.raises(NoteInvalid, match="2 of 3 witnesses"):
        open_checkpoint(text, log, known, quorum=3)


@pytest.mark.req("I4")
def test_a_witness_follows_a_growing_log_and_remembers_over_restarts(
    ledger, path, make_drafts, tmp_path
):
    log, size = public_keys(path), 0
    for step in (1, 7, 256, 300):
        ledger.append_now(make_drafts(step - size, size))
        witness = Witness(tmp_path / "w", "witness.example/w")
        witness.cosign(ledger.prove_consistency(size), log, step)
        size = step
        assert witness.seen(ledger.origin) == ledger.head()


@pytest.mark.req("I4")
def test_a_witness_says_why_it_refuses(ledger, path, make_drafts, tmp_path):
    log, witness = public_keys(path), Witness(tmp_path / "w", "witness.example/w")
    ledger.append_now(make_drafts(6))
    small = ledger.prove_consistency(0)
    ledger.append_now(make_drafts(6, 6))
    witness.cosign(ledger.prove_consistency(0), log, 1)
    cases = {
        "shrank": small,
        "last cosigned was 12": ledger.prove_consistency(3),
        "not signed": ledger.prove_consistency(12).replace("\n12\n", "\n13\n"),
    }
    for words, request in cases.items():
        with pytest.raises(WitnessRefused, match=words):
            witness.cosign(request, log, 2)
    assert witness.seen(ledger.origin) == ledger.head()
