"""``holdfast backup`` as a person types it; a real server is asked once."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from holdfast.cli.backup import command
from holdfast.cli.complaint import FAILED, REFUSED, Complaint


@pytest.fixture
def type_(tmp_path):
    """Type words; the result, or the complaint that the program would print."""

    def typed(*words, env=None):
        place = {"HOLDFAST_BACKUP_REPOSITORY": str(tmp_path / "repository")}
        done = CliRunner().invoke(command, words, env=place | (env or {}))
        if isinstance(done.exception, Complaint):
            raise done.exception
        return done

    return typed


@pytest.fixture
def ready(type_, tmp_path):
    """Somebody can open backups."""
    type_("key", str(tmp_path / "ops.key"))
    assert "opens" in type_("escrow", "--key", str(tmp_path / "ops.key")).output
    return tmp_path / "ops.key"


def test_a_backup_before_anybody_showed_a_key_is_refused_with_the_way_there(type_):
    words = ("run", "--database", "host=/nowhere")
    with pytest.raises(Complaint) as told:
        type_(*words)
    assert told.value.exit_code == REFUSED
    assert told.value.hint == "holdfast backup key, then holdfast backup escrow"


def test_without_a_backup_the_list_says_how_to_make_one(type_, ready):
    assert type_("list").output == "no backup yet: holdfast backup run\n"
    assert json.loads(type_("list", "--json").output)["bases"] == []


@pytest.mark.parametrize(("words", "says"), [
    (("--time", "yesterday"), "wanted a time such as"),
    (("--time", "2026-11-25T12:00:00"), "without a time zone"),
    (("--lsn", "12"), "wanted a log position"),
    (("--lsn", "0/12", "--marker", "x"), "more than one moment"),
])  # fmt: skip
def test_a_moment_that_is_none_is_told_what_was_wanted(type_, ready, tmp_path, words, says):
    with pytest.raises(Complaint, match=says):
        type_("restore", str(tmp_path / "into"), "--key", str(ready), *words)
    assert not (tmp_path / "into").exists()


def test_a_server_that_does_not_answer_is_a_failure_and_nothing_is_called_a_backup(type_, ready):
    with pytest.raises(Complaint, match="psql ended with 2") as told:
        type_("run", "--database", "host=/nowhere")
    assert told.value.exit_code == FAILED
    assert "no backup yet" in type_("list").output


def test_a_damaged_catalogue_is_told_with_its_line(type_, ready, tmp_path):
    (tmp_path / "repository" / "catalogue.jsonl").write_text("{}\n")
    with pytest.raises(Complaint, match=r"catalogue\.jsonl:1: this is no entry"):
        type_("list")


@pytest.mark.live
@pytest.mark.req("P5", "T121")
def test_a_base_is_listed_as_no_backup_until_it_was_proven(type_, ready, cluster):
    database = ("--database", cluster.database)
    assert "Not proven yet: holdfast backup prove" in type_("run", *database).output
    assert "marker before-v2 at 0/" in type_("mark", "before-v2", *database).output
    (base,) = json.loads(type_("list", "--json").output)["bases"]
    assert (base["proven"], base["bytes"] > 10 << 20) == (False, True)
    assert "not proven: no backup yet" in type_("list").output
    with pytest.raises(Complaint, match="log is missing from 0000"):
        type_("prove", "--key", str(ready))
    assert "every object is as it was written" in type_("check").output
