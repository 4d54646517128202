"""Who may do what: the kernel knows the peer of a Unix socket, a token names its role."""

import http.client
import json
import os
import socket
import stat

import pytest

from holdfast.conductor.auth import (
    Role,
    TokenProblem,
    create_token,
    identify_peer,
    identify_token,
    is_peer,
    peer_address,
    read_tokens,
    revoke_token,
)
from holdfast.conductor.client import ApiError, Client
from holdfast.conductor.daemon import start_daemon, stop_daemon
from holdfast.conductor.operations import EVENTS, OPERATIONS
from holdfast.runtime.home import Home, UnsafeHome

SPEC = "service: shop\ntarget: simulated\nrun: app\n"


@pytest.fixture
def private(tmp_path):
    return Home(tmp_path / ".holdfast").ensure()


def test_a_token_is_shown_once_and_stored_hashed_in_a_private_file(private):
    text = create_token(private, "ci", Role.DEPLOYER, wall=1.0)
    assert text not in private.tokens.read_text()
    assert stat.S_IMODE(private.tokens.stat().st_mode) == 0o600
    who = identify_token(private.tokens, text)
    assert who is not None and (who.name, who.role) == ("ci", Role.DEPLOYER)


def test_a_wrong_or_revoked_token_is_nobody(private):
    text = create_token(private, "ci", Role.ADMIN, wall=1.0)
    assert identify_token(private.tokens, text[:-1]) is None
    revoke_token(private, "ci")
    assert identify_token(private.tokens, text) is None


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 65, "a\n"])
def test_a_token_name_that_could_mislead_is_refused(private, name):
    with pytest.raises(TokenProblem):
        create_token(private, name, Role.VIEWER, wall=1.0)
    assert not private.tokens.exists()


def test_two_tokens_of_one_name_are_refused(private):
    create_token(private, "ci", Role.VIEWER, wall=1.0)
    with pytest.raises(TokenProblem, match="exists"):
        create_token(private, "ci", Role.ADMIN, wall=1.0)


def test_a_token_file_that_others_may_read_is_not_believed(private):
    text = create_token(private, "ci", Role.ADMIN, wall=1.0)
    private.tokens.chmod(0o640)
    with pytest.raises(UnsafeHome):
        identify_token(private.tokens, text)


@pytest.mark.parametrize("content", ["", "{}", '{"tokens": [{}]}', '{"tokens": 3}', "[]"])
def test_a_damaged_token_file_lets_nobody_in(private, content):
    private.tokens.write_text(content)
    private.tokens.chmod(0o600)
    with pytest.raises(TokenProblem, match="damaged"):
        read_tokens(private.tokens)


def test_the_kernel_says_who_is_at_the_other_end_of_a_unix_socket():
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        address = peer_address(ours)
    assert address == (f"uid:{os.geteuid()}", os.getpid())
    who = identify_peer(address)
    assert who is not None and who.role is Role.ADMIN


def test_another_user_at_the_unix_socket_is_nobody_and_root_is_admin():
    assert identify_peer(("uid:4242", 1), own_uid=1000) is None
    root = identify_peer(("uid:0", 1), own_uid=1000)
    assert root is not None and root.role is Role.ADMIN


def test_a_tcp_address_is_never_taken_for_a_unix_peer():
    assert not is_peer(("127.0.0.1", 1)) and not is_peer(None)


def test_an_admin_may_speak_for_somebody_and_others_are_who_they_are(private):
    admin = identify_token(private.tokens, create_token(private, "boss", Role.ADMIN, 1.0))
    deployer = identify_token(private.tokens, create_token(private, "ci", Role.DEPLOYER, 1.0))
    assert admin is not None and deployer is not None
    assert (admin.acts_as("ann"), deployer.acts_as("ann")) == ("ann", "ci")


# ---- over TCP -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("tcp") / ".holdfast").ensure()
    yield home
    stop_daemon(home)


@pytest.fixture(scope="module")
def tcp(home):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    start_daemon(home, listen=address)
    return address


def status_of(address, method, path, token=None, body=None):
    connection = http.client.HTTPConnection(address, timeout=10)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


@pytest.mark.live
@pytest.mark.req("T84")
def test_each_role_may_do_what_the_table_says_and_no_more(home, tcp):
    Client(home).deploy("shop", SPEC)
    tokens = {role: create_token(home, role.word, role, 1.0) for role in Role}
    asked = [op for op in OPERATIONS if op.role is not None and op.answer != EVENTS]
    assert len(asked) > 15
    for operation in sorted(asked, key=lambda op: op.name == "down"):
        path = operation.path.replace("{service}", "shop")
        assert status_of(tcp, operation.method, path) == 401, operation.name
        assert status_of(tcp, operation.method, path, "hf_wrong") == 401, operation.name
        for role, token in tokens.items():
            status = status_of(tcp, operation.method, path, token)
            allowed = role >= operation.role
            assert (status not in (401, 403)) is allowed, (operation.name, role, status)


@pytest.mark.live
def test_a_token_is_who_it_is_and_may_force_only_as_approver(home, tcp):
    deployer = Client(tcp, create_token(home, "ci", Role.DEPLOYER, 1.0))
    text = SPEC.replace("shop", "till")
    deployer.deploy("till", text, by="somebody else")
    started = next(e for e in deployer.history("till") if e["kind"] == "Started")
    assert started["body"]["by"] == "ci"
    with pytest.raises(ApiError) as told:
        deployer.deploy("till", text, force=True)
    assert (told.value.status, told.value.code) == (403, "role")


@pytest.mark.live
def test_forwarded_headers_make_nobody_an_admin(home, tcp):
    connection = http.client.HTTPConnection(tcp, timeout=10)
    spoofed = {"x-forwarded-for": f"uid:{os.geteuid()}", "forwarded": "for=uid:0"}
    connection.request("GET", "/v1/services", headers=spoofed)
    assert connection.getresponse().status == 401
    connection.close()


@pytest.mark.live
def test_a_page_that_rebinds_its_name_to_loopback_is_turned_away(home, tcp):
    port = tcp.rpartition(":")[2]
    token = create_token(home, "browser", Role.VIEWER, 1.0)

    def asked_as(host: str) -> int:
        connection = http.client.HTTPConnection(tcp, timeout=10)
        headers = {"host": host, "authorization": f"Bearer {token}"}
        connection.request("GET", "/v1/services", headers=headers)
        status = connection.getresponse().status
        connection.close()
        return status

    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "[::2]", ""):
        assert asked_as(host) == 421, host
    for host in ("localhost", f"LOCALHOST:{port}", tcp, f"[::1]:{port}", "[::1]", "conductor"):
        assert asked_as(host) == 200, host
