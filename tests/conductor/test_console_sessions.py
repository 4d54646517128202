"""Who is let in by a browser: links work once, sessions end, hashes are all that is kept."""

import json
import stat

import pytest

from holdfast.conductor.auth import Identity, Role, create_token, identify_token, revoke_token
from holdfast.conductor.console.sessions import (
    LINK_S_MAX,
    LINKS_MAX,
    SESSION_S_MAX,
    Sessions,
    csrf_of,
)
from holdfast.runtime.home import Home

ALICE = Identity("alice", Role.APPROVER)


class Wall:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def private(tmp_path):
    return Home(tmp_path / ".holdfast").ensure()


@pytest.fixture
def sessions(private, wall):
    return Sessions(private, wall)


def test_a_link_lets_one_browser_in_and_no_second(sessions):
    code = sessions.link(ALICE, Role.APPROVER)
    text = sessions.redeem(code)
    assert text is not None and sessions.redeem(code) is None
    assert sessions.find(text).identity == ALICE
    assert sessions.redeem("guessed") is None and sessions.find("guessed") is None


def test_a_link_that_was_not_used_in_time_is_worthless(sessions, wall):
    code = sessions.link(ALICE, Role.VIEWER)
    wall.now += LINK_S_MAX + 1
    assert sessions.redeem(code) is None


def test_nobody_gets_a_greater_role_by_a_link(sessions):
    text = sessions.redeem(sessions.link(ALICE, Role.ADMIN))
    assert sessions.find(text).identity.role is Role.APPROVER


def test_a_session_ends_by_itself_and_by_signing_out(sessions, wall):
    first, second = (sessions.redeem(sessions.link(ALICE, Role.VIEWER)) for _ in range(2))
    sessions.end(first)
    assert sessions.find(first) is None and sessions.find(second) is not None
    wall.now += SESSION_S_MAX
    assert sessions.find(second) is None and not sessions.any_alive


def test_sessions_outlive_the_conductor_and_only_their_hashes_are_kept(private, wall):
    before = Sessions(private, wall)
    before.listen_at(4711)
    text = before.redeem(before.link(ALICE, Role.VIEWER))
    kept = private.path / "console.json"
    assert text not in kept.read_text() and stat.S_IMODE(kept.stat().st_mode) == 0o600
    after = Sessions(private, wall)
    assert after.find(text).name == "alice" and after.port == 4711


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"port": 1, "sessions": [{}]}'])
def test_a_damaged_file_of_sessions_means_signing_in_again(private, wall, content):
    kept = private.path / "console.json"
    kept.write_text(content)
    kept.chmod(0o600)
    assert not Sessions(private, wall).any_alive


def test_a_session_ends_with_the_token_it_was_got_by(private, sessions):
    token = create_token(private, "ci", Role.DEPLOYER, wall=1.0)
    who = identify_token(private.tokens, token)
    text = sessions.redeem(sessions.link(who, Role.DEPLOYER))
    assert sessions.find(text) is not None
    revoke_token(private, "ci")
    create_token(private, "ci", Role.DEPLOYER, wall=2.0)  # the name again, but not that token
    assert sessions.find(text) is None


def test_links_that_nobody_uses_do_not_pile_up(sessions):
    codes = [sessions.link(ALICE, Role.VIEWER) for _ in range(LINKS_MAX + 1)]
    assert sessions.redeem(codes[0]) is None and sessions.redeem(codes[-1]) is not None


def test_the_token_against_forged_writes_tells_nothing_about_the_cookie(sessions, private):
    text = sessions.redeem(sessions.link(ALICE, Role.VIEWER))
    kept = json.loads((private.path / "console.json").read_text())["sessions"][0]
    assert csrf_of(text) not in (text, kept["sha256"])
