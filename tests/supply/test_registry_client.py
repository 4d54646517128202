"""The client against a registry made of answers: tokens, stumbles, lies."""

from __future__ import annotations

import hashlib

import pytest

httpx = pytest.importorskip("httpx2", reason="httpx2 is not installed: holdfast[supply]")

from holdfast.supply.registry.client import Registry, RegistryError  # noqa: E402
from holdfast.supply.registry.credentials import Login  # noqa: E402

BODY = b'{"schemaVersion": 2}'
DIGEST = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


def registry(answer, login=None):
    """A registry whose answers a function gives; it never waits."""
    waited: list[float] = []
    transport = httpx.MockTransport(answer)
    made = Registry("registry.example.com", login, transport=transport, sleep=waited.append)
    return made, waited


@pytest.mark.req("T21")
def test_a_token_is_fetched_where_the_registry_says_with_the_scope_that_is_needed():
    seen = []

    def answer(request):
        seen.append((request.url.host, request.headers.get("authorization", "")))
        if request.url.host == "auth.example.com":
            assert request.url.params["scope"] == "repository:team/shop:pull"
            assert request.url.params["service"] == "here"
            return httpx.Response(200, json={"token": "t1"})
        if request.headers.get("authorization") == "Bearer t1":
            return httpx.Response(200, content=BODY, headers={"content-type": "x"})
        challenge = 'Bearer realm="https://auth.example.com/token",service="here"'
        return httpx.Response(401, headers={"www-authenticate": challenge})

    made, _ = registry(answer, Login("ann", "secret"))
    assert made.manifest("team/shop", "v1").digest == DIGEST
    assert made.manifest("team/shop", "v1").digest == DIGEST
    hosts = [host for host, _ in seen]
    assert hosts.count("auth.example.com") == 1, "the token was not kept"
    assert seen[0] == ("registry.example.com", ""), "a password was volunteered"


def test_a_password_is_never_sent_over_http_to_who_asks_for_it():
    def answer(request):
        assert request.url.host == "registry.example.com"
        challenge = 'Bearer realm="http://evil.example.com/token"'
        return httpx.Response(401, headers={"www-authenticate": challenge})

    made, _ = registry(answer, Login("ann", "secret"))
    with pytest.raises(RegistryError, match="not https"):
        made.tags("team/shop")


def test_an_upload_is_not_followed_to_another_host():
    def answer(request):
        return httpx.Response(202, headers={"location": "https://evil.example.com/upload"})

    made, _ = registry(answer)
    with pytest.raises(RegistryError, match=r"evil\.example\.com"):
        made.start("team/shop")


def test_a_registry_that_stumbles_is_asked_again_and_not_for_ever():
    answers = iter([httpx.Response(503), httpx.Response(429), httpx.Response(200, content=BODY)])
    made, waited = registry(lambda request: next(answers))
    assert made.manifest("team/shop", "v1").data == BODY
    assert waited == [0.2, 0.4]
    made, waited = registry(lambda request: httpx.Response(503))
    with pytest.raises(RegistryError) as failed:
        made.manifest("team/shop", "v1")
    assert failed.value.status == 503 and len(waited) == 4


def test_a_refusal_is_not_repeated_and_says_what_the_registry_said():
    body = {"errors": [{"code": "DENIED", "message": "not yours"}]}
    made, waited = registry(lambda request: httpx.Response(403, json=body))
    with pytest.raises(RegistryError, match=r"403 .* DENIED not yours"):
        made.manifest("team/shop", "v1")
    assert waited == []


@pytest.mark.req("T25")
def test_other_bytes_than_the_digest_says_are_refused():
    made, _ = registry(lambda request: httpx.Response(200, content=BODY + b" "))
    with pytest.raises(RegistryError, match="other bytes"):
        made.manifest("team/shop", DIGEST)
    with pytest.raises(RegistryError, match="other bytes"):
        made.blob("team/shop", DIGEST)


def test_long_lists_are_read_to_their_end():
    def answer(request):
        if "last" in request.url.params:
            return httpx.Response(200, json={"tags": ["b"]})
        link = '</v2/team/shop/tags/list?last=a&n=1>; rel="next"'
        return httpx.Response(200, json={"tags": ["a"]}, headers={"link": link})

    made, _ = registry(answer)
    assert made.tags("team/shop") == ["a", "b"]


def test_a_repository_that_does_not_exist_yet_has_no_tags():
    made, _ = registry(lambda request: httpx.Response(404))
    assert made.tags("team/shop") == []
