"""The console over real HTTP: files, policy, and every door that must stay shut."""

import hashlib
import http.client
import json
from importlib.resources import files
from urllib.parse import urlsplit

import pytest

from holdfast.conductor.client import ApiError, Client
from holdfast.conductor.console.pages import read_pages

CONSOLE = "holdfast.localhost"


@pytest.fixture
def link(client):
    return urlsplit(client.console_link()["url"])


class Browser:
    """What a browser sends, and what others make one send."""

    def __init__(self, port):
        self.port, self.cookie, self.csrf = port, "", ""
        self.origin = f"http://{CONSOLE}:{port}"

    def ask(self, method, path, body=None, **headers):
        sent = {"host": f"{CONSOLE}:{self.port}", "cookie": self.cookie}
        if method != "GET":
            sent |= {"origin": self.origin, "x-holdfast-csrf": self.csrf}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            payload = None if body is None else json.dumps(body)
            given = {name: value for name, value in sent.items() if value}
            connection.request(method, path, payload, given)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def sign_in(self, code):
        status, headers, _ = self.ask("POST", "/console/session", {"code": code})
        assert status == 200
        self.cookie = headers["set-cookie"].partition(";")[0]
        self.csrf = json.loads(self.ask("GET", "/console/session")[2])["csrf"]
        return headers["set-cookie"]


@pytest.fixture
def browser(link):
    made = Browser(link.port)
    made.sign_in(link.fragment.removeprefix("code="))
    return made


def test_files_of_others_are_what_their_registry_published():
    vendor = files("holdfast.conductor.console") / "static" / "vendor"
    known = json.loads((vendor / "vendor.json").read_text())
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.iterdir()
        if path.name != "vendor.json"
    }
    assert found == known["sha256"] and known["integrity"].startswith("sha512-")


def test_no_page_has_anything_inline_or_from_elsewhere():
    for name, page in read_pages().items():
        text = page.content.decode()
        if name.startswith("vendor/"):
            continue
        if name.endswith(".html"):
            assert " style=" not in text and " on" not in text.replace(" on the", "")
            assert "<script>" not in text and "<style" not in text
        assert "innerHTML" not in text and "eval(" not in text, name
        assert "https://" not in text and "//cdn" not in text, name


@pytest.mark.live
def test_a_page_is_sent_with_a_policy_that_admits_only_our_own_files(browser):
    status, headers, body = browser.ask("GET", "/")
    policy = headers["content-security-policy"]
    assert status == 200 and b"Holdfast" in body
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    again = browser.ask("GET", "/", if_none_match=headers["etag"])
    assert (again[0], again[2]) == (304, b"")
    assert browser.ask("GET", "/console/../auth.py")[0] == 404
    assert browser.ask("GET", "/console/vendor/vendor.json")[0] == 404


@pytest.mark.live
def test_the_console_is_at_its_own_name_only(browser):
    status, headers, _ = browser.ask("GET", "/", host=f"127.0.0.1:{browser.port}")
    assert (status, headers["location"]) == (307, f"http://{CONSOLE}:{browser.port}/")
    assert browser.ask("GET", "/", host="evil.example")[0] == 421
    # a cookie that reaches another name of this machine counts for nothing there
    assert browser.ask("GET", "/v1/services", host=f"127.0.0.1:{browser.port}")[0] == 401


@pytest.mark.live
def test_a_link_works_once_and_its_cookie_is_out_of_reach_of_scripts(link):
    made = Browser(link.port)
    cookie = made.sign_in(link.fragment.removeprefix("code="))
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    second = made.ask("POST", "/console/session", {"code": link.fragment.removeprefix("code=")})
    assert second[0] == 401 and b"used-link" in second[2]
    for wrong in ({}, {"code": 1}, [], {"code": "x" * 2000}):
        assert made.ask("POST", "/console/session", wrong)[0] in (400, 413)


@pytest.mark.live
def test_a_write_needs_the_page_itself(browser, service):
    service.deploy("v1")
    service.standing("v2")
    path = f"/v1/services/{service.name}/abort"
    evil = browser.ask("POST", path, {}, origin="http://evil.example")
    no_token = browser.ask("POST", path, {}, x_holdfast_csrf="0" * 64)
    no_origin = browser.ask("POST", path, {}, origin="")
    assert [each[0] for each in (evil, no_token, no_origin)] == [403, 403, 403]
    assert service.state()["rollout"]["phase"] == "shifting"
    assert browser.ask("GET", "/v1/services", sec_fetch_site="same-site")[0] == 403
    assert browser.ask("POST", path, {"reason": "enough"})[0] == 200


@pytest.mark.live
def test_a_viewer_may_look_and_order_nothing(client, service):
    service.deploy("v1")
    service.standing("v2")
    link = urlsplit(client.console_link("viewer")["url"])
    viewer = Browser(link.port)
    viewer.sign_in(link.fragment.removeprefix("code="))
    assert viewer.ask("GET", "/v1/board")[0] == 200
    refused = viewer.ask("POST", f"/v1/services/{service.name}/abort", {})
    assert refused[0] == 403 and b"viewer" in refused[2]
    longer = viewer.ask("POST", "/v1/console/links", {})
    assert longer[0] == 403 and b"session" in longer[2]


@pytest.mark.live
def test_signing_out_makes_the_cookie_worthless(browser):
    assert browser.ask("GET", "/v1/services")[0] == 200
    assert browser.ask("DELETE", "/console/session")[0] == 200
    assert browser.ask("GET", "/v1/services")[0] == 401
    assert browser.ask("GET", "/console/session")[0] == 401


@pytest.mark.live
def test_what_the_console_reads_says_the_same_as_the_rest_of_the_api(service):
    service.deploy("v1")
    rollout = service.standing("v2")
    client: Client = service.client
    card = next(c for c in client.board() if c["status"]["service"] == service.name)
    assert card["status"]["state"]["rollout"]["id"] == rollout
    sheet = client.sheet(service.name)
    assert [rung["standing"] for rung in sheet["ladder"]] == ["now", "ahead"]
    assert sheet["rollout"] == rollout and sheet["running"]
    assert {each["promise"] for each in sheet["promises"]} >= {"P1", "P2", "P3", "P6"}
    service.eventually(lambda: client.series(service.name)["points"])
    frames = client.live(service.name)
    assert service.name in {s["service"] for s in next(frames)["statuses"]}
    frames.close()


@pytest.mark.live
def test_proofs_of_the_api_verify_offline(service):
    from holdfast.ledger.note import parse_keys
    from holdfast.ledger.proof import check_proof, parse_consistency

    service.deploy("v1")
    client = service.client
    keys = parse_keys(client.verifier_keys())
    newest = client.ledger(5)
    assert [e["index"] for e in newest] == sorted((e["index"] for e in newest), reverse=True)
    proven = check_proof(client.proof(newest[-1]["index"]), keys)
    assert newest[-1]["kind"].encode() in proven.leaf
    parse_consistency(client.consistency(proven.signed.head.size)).check(proven.signed.head.root)
    with pytest.raises(ApiError, match="entries"):
        client.proof(10**6)
    with pytest.raises(ApiError, match="entries"):
        client.consistency(10**6)


@pytest.mark.live
def test_the_scorecard_has_the_latest_finding_about_each_promise(home):
    from holdfast.conductor.daemon import start_daemon
    from holdfast.conductor.wiring import ledger_origin
    from holdfast.ledger import Draft, Ledger

    ledger = Ledger.open(home.ledger, ledger_origin(home))
    found = [{"promise": "P2", "mark": "broken"}, {"promise": "P1", "mark": "holds"}]
    found += [{"promise": "P2", "mark": "holds"}]
    bodies = [json.dumps(each).encode() for each in found]
    ledger.append_now([Draft("drills", "Finding", body, 1.0) for body in bodies])
    ledger.close()
    start_daemon(home)
    findings = Client(home).findings()
    assert {each["body"]["promise"]: each["body"]["mark"] for each in findings} == {
        "P1": "holds",
        "P2": "holds",
    }
