"""The counters of a service through an API that may be silent, odd, or lie."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from urllib.parse import parse_qs

import pytest

httpx = pytest.importorskip("httpx2", reason="httpx2 is not installed: holdfast[supply]")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from holdfast.rollout.model import Counts, Source  # noqa: E402
from holdfast.spec.load import load_text  # noqa: E402
from holdfast.telemetry.gauge import Gauge  # noqa: E402
from holdfast.telemetry.prometheus import connection  # noqa: E402
from holdfast.telemetry.prometheus.answer import (  # noqa: E402
    Denied,
    Outdated,
    SourceError,
    Unanswered,
    Unreadable,
)
from holdfast.telemetry.prometheus.connection import Connection  # noqa: E402
from holdfast.telemetry.prometheus.source import Counting, opened, selectors  # noqa: E402

BASE = "service: shop\nrun: python shop.py\n"
OWN = """
    release_label: version
    requests: shop_requests_total
    errors: shop_requests_total{code=~"5.."}
"""
NOW = 1_800_000_000.0


def spec(more="", own=OWN):
    url = "http://metrics.test/prometheus/"
    return load_text(f"{BASE}observability:\n  prometheus:\n    url: {url}\n{own}{more}")


def points(*values, version="v1", last=NOW):
    at = [last - 15 * back for back in range(len(values))][::-1]
    values = [[when, str(value)] for when, value in zip(at, values, strict=True)]
    return {"metric": {"version": version}, "values": values}


def ok(*series, date="Fri, 15 Jan 2027 08:00:00 GMT"):
    data = {"resultType": "matrix", "result": list(series)}
    body = json.dumps({"status": "success", "data": data})
    return httpx.Response(200, text=body, headers={"date": date} if date else {})


class Fake:
    """Answers by selector what it is told to, and remembers what it was asked."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    async def __call__(self, request):
        form = {k: v[0] for k, v in parse_qs(request.content.decode()).items()}
        self.asked.append((request, form))
        answer = self.answers["errors" if "5.." in form["query"] else "requests"]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return ok()
        return answer


def counting(fake, service=None, base="."):
    service = service or spec()
    settings = service.observability.prometheus
    transport = httpx.MockTransport(fake)
    return Counting(service, Connection(settings, lambda: NOW, base, transport))


def looked(fake, *answers, service=None, base="."):
    """The counters after looking once for each answer."""

    async def looks():
        source, found = counting(fake, service, base), {}
        for answer in answers or (fake.answers,):
            fake.answers = answer
            found = await source.counters({"v1": "release-1"})
        await source.aclose()
        return found

    return asyncio.run(looks())


def test_counts_are_those_since_the_first_look():
    first = {
        "requests": ok(points(100, last=NOW - 15)),
        "errors": ok(points(4, last=NOW - 15)),
    }
    second = {"requests": ok(points(100, 140)), "errors": ok(points(4, 6))}
    assert looked(Fake(), first) == {"release-1": Counts()}
    assert looked(Fake(), first, second) == {"release-1": Counts(40, 2)}


def test_raw_samples_are_asked_for_so_that_resets_and_ages_are_seen():
    fake = Fake(requests=ok(), errors=ok())
    looked(fake)
    (request, form), _ = fake.asked
    assert (request.method, str(request.url)) == (
        "POST",
        "http://metrics.test/prometheus/api/v1/query",
    )
    assert form["query"] == "shop_requests_total[45s]"
    assert form["partial_response"] == "false" and form["deny_partial_response"] == "1"


def test_credentials_are_read_at_every_question_and_the_tenant_is_named(tmp_path):
    (tmp_path / "token").write_text("first\n")
    fake = Fake(requests=ok(), errors=ok())

    async def looks():
        source = counting(fake, spec("    token_file: token\n    tenant: shop\n"), tmp_path)
        await source.counters({})
        (tmp_path / "token").write_text("second")
        await source.counters({})
        await source.aclose()

    asyncio.run(looks())
    said = [request.headers["authorization"] for request, _ in fake.asked]
    assert said == ["Bearer first"] * 2 + ["Bearer second"] * 2
    assert {request.headers["x-scope-orgid"] for request, _ in fake.asked} == {"shop"}


def test_a_password_is_sent_as_basic_authentication(tmp_path):
    (tmp_path / "password").write_text("pa:ss\n")
    fake = Fake(requests=ok(), errors=ok())
    looked(fake, service=spec("    username: me\n    password_file: password\n"), base=tmp_path)
    wanted = "Basic " + base64.b64encode(b"me:pa:ss").decode()
    assert {request.headers["authorization"] for request, _ in fake.asked} == {wanted}


@pytest.mark.parametrize("content", [None, b"two\nlines", b"\xff\xfe", "ü".encode()])
def test_a_secret_that_cannot_be_sent_is_named_by_its_file_and_not_by_its_content(
    content, tmp_path
):
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    fake = Fake(requests=ok(), errors=ok())
    with pytest.raises(Denied, match=r"^token (cannot be read|holds more than one line)") as found:
        looked(fake, service=spec("    token_file: token\n"), base=tmp_path)
    assert "lines" not in str(found.value) and not fake.asked


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (httpx.ConnectError("refused"), Unanswered, "refused"),
        (httpx.ReadError(""), Unanswered, "ReadError"),
        (5.0, Unanswered, "no answer within 0.05s"),
        (httpx.Response(503, text="query timed out"), Unanswered, "503: query timed out"),
        (httpx.Response(401, text="who are you"), Denied, "401: who are you"),
        (httpx.Response(429, text="too many"), Denied, "429"),
        (httpx.Response(302, headers={"location": "http://evil.test"}), Denied, "302"),
        (httpx.Response(200, text="<html>"), Unreadable, "<html>"),
        (ok(points("NaN")), SourceError, "NaN"),
    ],
)
@pytest.mark.parametrize("part", ["requests", "errors"])
def test_whatever_keeps_the_source_from_answering_is_said(answer, error, says, part):
    fake = Fake(**{"requests": ok(), "errors": ok(), part: answer})
    with pytest.raises(error, match=says):
        looked(fake, service=spec("    timeout: 50ms\n"))


def test_an_answer_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(connection, "BYTES_MAX", 1000)
    fake = Fake(requests=httpx.Response(200, text="x" * 2000), errors=ok())
    with pytest.raises(Unreadable, match="more than 1000 bytes"):
        looked(fake)


def test_ages_are_told_by_the_clock_of_the_server_and_else_by_ours():
    old = {"requests": ok(points(1, last=NOW - 60)), "errors": ok()}
    with pytest.raises(Outdated, match="60s old"):
        looked(Fake(), old)
    looked(Fake(), {"requests": ok(points(1, last=NOW - 44)), "errors": ok()})
    skewed = {"requests": ok(points(1, last=NOW - 60), date="Fri, 15 Jan 2027 07:59:10 GMT")}
    looked(Fake(), skewed | {"errors": ok(date="Fri, 15 Jan 2027 07:59:10 GMT")})
    bare = {"requests": ok(points(1, last=NOW - 60), date=""), "errors": ok(date="nonsense")}
    with pytest.raises(Outdated):
        looked(Fake(), bare)


def test_a_failed_look_takes_nothing_and_the_next_one_has_it_all():
    first = {
        "requests": ok(points(100, last=NOW - 30)),
        "errors": ok(points(4, last=NOW - 30)),
    }
    broken = {"requests": ok(points(100, 120, last=NOW - 15)), "errors": httpx.Response(500)}
    third = {"requests": ok(points(100, 120, 150)), "errors": ok(points(4, 4, 5))}
    fake = Fake()

    async def looks():
        source = counting(fake)
        for answers in (first, broken, third):
            fake.answers = answers
            try:
                found = await source.counters({"v1": "a"})
            except Unanswered:
                assert answers is broken
        await source.aclose()
        return found

    assert asyncio.run(looks()) == {"a": Counts(50, 1)}


def test_the_gauge_calls_a_source_down_and_keeps_why():
    class Clock:
        def now(self):
            return 0.0

        def wall(self):
            return NOW

    async def look():
        source = counting(Fake(requests=httpx.Response(403, text="no"), errors=ok()))
        gauge = Gauge(lambda: source.counters({"v1": "a"}), Clock())
        sample = await gauge.sample()
        await source.aclose()
        return sample.source, gauge.why_down

    assert asyncio.run(look()) == (Source.DOWN, "Denied: status 403: no")


@given(st.binary(max_size=200), st.integers(200, 599))
def test_no_bytes_and_no_status_make_more_than_an_error_of_the_source(body, status):
    with contextlib.suppress(SourceError):
        looked(Fake(requests=httpx.Response(status, content=body), errors=ok()))


def test_whoever_counts_is_asked_where_the_spec_names_no_counter():
    istio = spec("kubernetes: {mesh: istio}\n", own="")
    asked = selectors(istio)
    assert set(asked) == {"requests", "errors", "timed", "within"}
    assert asked["errors"].startswith("istio_requests_total{")
    assert 'le="10"' in asked["within"] or 'le=~"10' in asked["within"]
    assert "shop(-primary|-canary|-[0-9a-f]{10})?" in asked["requests"]
    assert set(selectors(spec())) == {"requests", "errors"}
    both = spec("    timed: a_count\n    within: 'a_bucket{le=\"1\"}'\n")
    assert selectors(both)["within"] == 'a_bucket{le="1"}'


def test_without_an_address_there_is_no_source():
    assert opened(load_text(BASE), clock=None) is None  # type: ignore[arg-type]


def test_certificates_that_cannot_be_read_are_said_before_anything_is_asked(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(Denied, match=r"certificates of observability\.prometheus"):
        counting(Fake(), spec("    ca_file: ca.pem\n"), tmp_path)
