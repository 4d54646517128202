"""``holdfast audit``: verify, prove, check, export, checkpoint; exit codes say what was found."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.cli import main
from holdfast.cli.printing import pulse
from holdfast.ledger import Ledger


@pytest.fixture
def home(tmp_path: Path, origin, make_drafts) -> Path:
    with Ledger.open(tmp_path / "home" / "ledger.db", origin) as ledger:
        ledger.append_now(make_drafts(20))
    return tmp_path / "home"


def test_an_intact_ledger_exits_0_and_says_what_was_compared(home, capsys):
    assert main(["audit", "verify", "--home", str(home)]) == 0
    out = capsys.readouterr().out
    assert (
        out.startswith("intact  20 entries lead to the signed root") and "this machine at 20" in out
    )


@pytest.mark.req("I4", "T140")
def test_a_changed_entry_exits_1_and_names_the_entry_and_the_proof(home, capsys):
    with sqlite3.connect(home / "ledger.db") as db:
        db.execute("UPDATE entries SET body = x'00' WHERE idx = 7")
    db.close()
    assert main(["audit", "verify", "--home", str(home)]) == 1
    assert "entry 7: entry changed; found by leaf-hash" in capsys.readouterr().out
    assert main(["audit", "verify", "--home", str(home), "--json"]) == 1
    finding = json.loads(capsys.readouterr().out)
    assert finding["intact"] is False
    assert (finding["finding"]["seq"], finding["finding"]["proof"]) == (7, "leaf-hash")


@pytest.mark.req("I4", "T140")
def test_a_checkpoint_kept_elsewhere_finds_an_old_backup(
    home, tmp_path, origin, make_drafts, capsys
):
    shutil.copytree(home, tmp_path / "backup")
    with Ledger.open(home / "ledger.db", origin) as ledger:
        ledger.append_now(make_drafts(5, 20))
    kept = tmp_path / "kept"
    assert main(["audit", "checkpoint", "--home", str(home), "-o", str(kept)]) == 0
    shutil.rmtree(home)
    (tmp_path / "backup").rename(home)
    assert main(["audit", "verify", "--home", str(home)]) == 0  # the home alone cannot tell
    assert main(["audit", "verify", "--home", str(home), "--against", str(kept)]) == 1
    out = capsys.readouterr().out
    assert "found by consistency-with-witness" in out and "old backup" in out


@pytest.mark.req("I4")
def test_a_proof_is_checked_offline_with_the_public_keys_alone(home, tmp_path, capsys):
    proof, keys = tmp_path / "seven.tlog-proof", tmp_path / "log.vkey"
    assert main(["audit", "prove", "7", "-o", str(proof), "--home", str(home)]) == 0
    shutil.copy(home / "keys" / "log.vkey", keys)
    shutil.rmtree(home)
    assert main(["audit", "check", str(proof), "--keys", str(keys)]) == 0
    out = capsys.readouterr().out
    assert "proven  entry 7 of the 20" in out and '{"by":"anna","n":7}' in out
    assert main(["audit", "check", str(proof), "--keys", str(keys), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entry"]["index"] == 7


@pytest.mark.req("I4")
def test_a_forged_proof_exits_1_and_says_why(home, tmp_path, capsys):
    proof = tmp_path / "proof"
    assert main(["audit", "prove", "7", "-o", str(proof), "--home", str(home)]) == 0
    proof.write_text(proof.read_text().replace("index 7\n", "index 8\n"))
    assert main(["audit", "check", str(proof), "--home", str(home)]) == 1
    assert "leads to root" in capsys.readouterr().err
    proof.write_bytes(b"\xff\xfe")
    assert main(["audit", "check", str(proof), "--home", str(home)]) == 1
    assert f"error: {proof}: found no proof, wanted" in capsys.readouterr().err


def test_a_proof_of_an_entry_that_is_not_there_is_a_wrong_word_with_a_hint(home, capsys):
    assert main(["audit", "prove", "20", "--home", str(home)]) == 2
    said = capsys.readouterr().err
    assert "there is no entry 20; 20 are signed" in said and "hint: holdfast history" in said
    assert main(["audit", "prove", "-1", "--home", str(home)]) == 2


@pytest.mark.req("I4")
@pytest.mark.parametrize("foreign", [sys.executable, "/dev/zero", "/dev/null"])
@pytest.mark.parametrize("option", ["--against", "--keys"])
def test_any_file_in_place_of_a_checkpoint_or_keys_is_refused_and_never_a_crash(
    home, capsys, foreign, option
):
    assert main(["audit", "verify", "--home", str(home), option, foreign]) == 1
    said = capsys.readouterr()
    assert foreign in said.out + said.err


def test_a_public_key_file_that_is_damaged_or_missing_is_said_by_its_name(home, capsys):
    keys = home / "keys" / "log.vkey"
    keys.write_bytes(b"\xff\xfe")
    assert main(["audit", "verify", "--home", str(home)]) == 1
    assert f"error: {keys}: found" in capsys.readouterr().err
    keys.unlink()
    assert main(["audit", "verify", "--home", str(home)]) == 1
    assert f"error: {keys}: No such file or directory\n" in capsys.readouterr().err


@pytest.mark.req("I4")
def test_an_export_never_writes_over_a_foreign_file(home, tmp_path, capsys):
    other = tmp_path / "project"
    other.mkdir()
    (other / "checkpoint").write_text("weights of my model")
    assert main(["audit", "export", str(other), "--home", str(home)]) == 1
    assert "found something else, wanted no file or an export" in capsys.readouterr().err
    assert (other / "checkpoint").read_text() == "weights of my model"
    assert [path.name for path in other.iterdir()] == ["checkpoint"]


@pytest.mark.req("I4")
def test_an_export_never_mixes_two_ledgers(home, tmp_path, make_drafts, capsys):
    with Ledger.open(tmp_path / "second" / "ledger.db", "example.com/second") as second:
        second.append_now(make_drafts(3))
        second.export(tmp_path / "out")
    assert main(["audit", "export", str(tmp_path / "out"), "--home", str(home)]) == 1
    assert "found example.com/second" in capsys.readouterr().err


def test_an_export_says_the_command_that_checks_it(home, tmp_path, capsys):
    assert main(["audit", "export", str(tmp_path / "out"), "--home", str(home)]) == 0
    words = capsys.readouterr().out.splitlines()[-1].removeprefix("check them with: ").split()
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("intact: "), done


def test_proofs_and_checkpoints_go_to_standard_output_unchanged(home, capsys):
    assert main(["audit", "checkpoint", "--home", str(home)]) == 0
    checkpoint = capsys.readouterr().out
    assert main(["audit", "prove", "3", "--home", str(home)]) == 0
    assert capsys.readouterr().out.endswith(f"\n\n{checkpoint}")
    assert main(["audit", "checkpoint", "--home", str(home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"] == checkpoint


@pytest.mark.req("I4", "T140")
def test_a_witness_cosigns_what_continues_and_refuses_an_old_backup(
    home, tmp_path, origin, make_drafts, capsys
):
    words = ["audit", "witness", str(tmp_path / "w"), "--name", "w.example", "--home", str(home)]
    shutil.copytree(home, tmp_path / "backup")
    for size in (20, 25):
        assert main([*words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["size"] == size
        with Ledger.open(home / "ledger.db", origin) as ledger:
            ledger.append_now(make_drafts(5, size))
    assert main([*words, "-o", str(tmp_path / "cosigned")]) == 0
    assert (tmp_path / "cosigned").read_text().count("— w.example ") == 2
    cosigned = ["--against", str(tmp_path / "cosigned")]
    assert main(["audit", "verify", "--home", str(home), *cosigned]) == 0
    shutil.rmtree(home)
    (tmp_path / "backup").rename(home)
    assert main(words) == 1
    assert "shrank from 30 to 20 entries" in capsys.readouterr().err


def test_an_export_is_written_and_says_how_to_check_it(home, tmp_path, capsys):
    assert main(["audit", "export", str(tmp_path / "out"), "--home", str(home)]) == 0
    assert "verify_export" in capsys.readouterr().out
    assert (tmp_path / "out" / "tile" / "entries" / "000.p" / "20").is_file()
    assert main(["audit", "export", str(tmp_path / "out"), "--home", str(home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == 20


def test_the_home_of_the_environment_is_used(home, monkeypatch, capsys):
    monkeypatch.setenv("HOLDFAST_HOME", str(home))
    assert main(["audit", "verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == 20


def test_missing_public_keys_are_said(home, capsys):
    (home / "keys" / "log.vkey").unlink()
    assert main(["audit", "verify", "--home", str(home)]) == 1
    assert "name the log's public keys" in capsys.readouterr().err


def test_reading_works_while_a_writer_holds_the_ledger(home, origin, make_drafts, capsys):
    with Ledger.open(home / "ledger.db", origin) as ledger:
        ledger.append_now(make_drafts(3, 20))
        assert main(["audit", "verify", "--home", str(home)]) == 0
        assert main(["history", "--home", str(home), "-n", "1"]) == 0
    assert "intact  23 entries" in capsys.readouterr().out


@pytest.mark.parametrize("work", ["verify", "export"])
def test_what_takes_long_says_how_far_it_is(tmp_path, origin, make_drafts, work):
    seen: list[tuple[int, int]] = []
    with Ledger.open(tmp_path / "home" / "ledger.db", origin) as ledger:
        ledger.append_now(make_drafts(600))
        if work == "verify":
            ledger.verify(progress=lambda *at: seen.append(at))
        else:
            ledger.export(tmp_path / "out", progress=lambda *at: seen.append(at))
    assert seen[:2] == [(256, 600), (512, 600)]


def test_progress_is_said_on_the_other_stream_and_not_at_every_step(capsys):
    tell = pulse("checked", "entries", every_s=0.0)
    tell(1_000, 2_000)
    assert capsys.readouterr() == ("", "checked 1,000 of 2,000 entries\n")
    tell = pulse("checked", "entries", every_s=60.0)
    tell(1_000, 2_000)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b"])
def test_a_witness_cannot_have_a_name_that_no_signed_note_can_carry(home, tmp_path, capsys, name):
    words = ["audit", "witness", str(tmp_path / "w"), "--name", name, "--home", str(home)]
    assert main(words) == 1
    assert "wanted one like a host name" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_the_keys_of_one_witness_do_not_sign_under_another_name(home, tmp_path, capsys):
    words = ["audit", "witness", str(tmp_path / "w"), "--home", str(home), "--name"]
    assert main([*words, "one.example"]) == 0
    known = (tmp_path / "w" / "witness.vkey").read_text()
    assert main([*words, "two.example"]) == 1
    assert "found the keys of one.example, wanted those of two.example" in capsys.readouterr().err
    assert (tmp_path / "w" / "witness.vkey").read_text() == known


def test_a_damaged_public_key_file_is_written_anew_by_the_log_itself(home, origin):
    keys = home / "keys" / "log.vkey"
    right = keys.read_bytes()
    keys.write_bytes(b"\xff\xfe")
    Ledger.open(home / "ledger.db", origin).close()
    assert keys.read_bytes() == right
