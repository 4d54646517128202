"""The URL of the database: safe unless it says otherwise, and never repeated with its password."""

from __future__ import annotations

import pytest

from holdfast.ledger import LedgerError
from holdfast.ledger.postgres_url import connection_words, shown


@pytest.mark.parametrize("host", ["db.example.com", "10.0.0.7:5433", "[2001:db8::1]:5432", "a,b"])
def test_to_another_machine_the_certificate_is_checked(host):
    words = connection_words(f"postgresql://u:p@{host}/h", True)
    assert (words["sslmode"], words["sslrootcert"]) == ("verify-full", "system")
    assert words["target_session_attrs"] == "read-write"


@pytest.mark.parametrize("host", ["", "localhost", "127.0.0.1:5433", "[::1]", "%2Frun%2Fpg"])
def test_on_this_machine_no_certificate_is_asked_for(host):
    assert "sslmode" not in connection_words(f"postgresql://u@{host}/h", True)


def test_what_the_url_says_is_left_to_the_url():
    url = "postgresql://u@db/h?sslmode=require&connect_timeout=9&target_session_attrs=any"
    words = connection_words(url, True)
    assert words["conninfo"] == url
    assert not {"sslmode", "sslrootcert", "connect_timeout", "target_session_attrs"} & set(words)


def test_a_reader_may_ask_a_standby():
    assert "target_session_attrs" not in connection_words("postgresql://u@db/h", False)


def test_a_host_in_the_query_counts():
    assert "sslmode" in connection_words("postgresql://u@/h?host=db.example.com", True)
    assert "sslmode" not in connection_words("postgresql://u@/h?host=/run/postgresql", True)


@pytest.mark.parametrize("mode", ["allow", "prefer"])
def test_encryption_that_anybody_on_the_way_can_switch_off_is_refused(mode):
    with pytest.raises(LedgerError, match="verify-full"):
        connection_words(f"postgresql://u@db/h?sslmode={mode}", True)


NO_URLS = ("", "sqlite:///x", "host=db password=hunter2", "postgresql://[",
           "postgresql://u@db/h?sslmode", "postgresql://a\nhunter2")  # fmt: skip


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_url_is_refused_without_repeating_it(url):
    with pytest.raises(LedgerError, match="wanted postgresql://") as caught:
        connection_words(url, True)
    assert "hunter2" not in str(caught.value)


def test_a_url_is_shown_without_user_password_and_options():
    url = "postgresql://u:p%40ss@db:5432/holdfast?password=x&options=-csearch_path%3Dy"
    assert shown(url) == "postgresql://db:5432/holdfast"
