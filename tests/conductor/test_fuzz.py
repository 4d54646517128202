"""Whatever is sent, the answer is JSON with a code, never a 500, and the conductor lives."""

import http.client
import json
import os
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.conductor.client import Client
from holdfast.conductor.operations import EVENTS, OPERATIONS

pytestmark = pytest.mark.live

FUZZ = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
POSTS = sorted(op.path for op in OPERATIONS if op.method == "POST")
GETS = sorted(op.path for op in OPERATIONS if op.method == "GET" and op.answer != EVENTS)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
fields = st.sampled_from(
    ["spec_text", "spec_path", "version", "by", "force", "restart", "replicas", "to", "reason", "x"]
)
specs = st.sampled_from(
    [
        "service: fuzz\ntarget: simulated\nrun: app\nreplicas: 0\n",
        "service: fuzz\ntarget: simulated\nrun: 'a \"'\n",
        "service: fuzz\ntarget: simulated\nrun: {command: app, env: {SIMULATED_START_S: nan}}\n",
        "service: fuzz\nrun: app\n",
        "service: [\n",
        "a: &a [*a]",
    ]
)
bodies = st.dictionaries(fields, scalars | specs, max_size=5) | st.builds(
    lambda text, extra: {**extra, "spec_text": text},
    specs,
    st.dictionaries(fields, scalars, max_size=2),
)
names = st.sampled_from(["fuzz", "nobody", "%00", "..", "a%2fb", "FUZZ", "%ff", "x" * 300])


def send(home, method, path, body=None, headers=()):
    with socket.socket(socket.AF_UNIX) as connection:
        directory = os.open(home.path, os.O_RDONLY)
        connection.connect(f"/proc/self/fd/{directory}/{home.socket.name}")
        os.close(directory)
        connection.settimeout(30)
        talk = http.client.HTTPConnection("conductor")
        talk.sock = connection
        talk.request(method, path, body, dict(headers))
        answer = talk.getresponse()
        return answer.status, answer.read()


def check(status, content):
    assert status < 500 or status == 503, content
    if status >= 400:
        error = json.loads(content)["error"]
        assert error["code"] and error["detail"] and "hint" in error


@given(path=st.sampled_from(POSTS), name=names, body=bodies)
@FUZZ
def test_no_body_of_the_right_form_makes_a_500(running_home, path, name, body):
    raw = json.dumps(body).encode("utf-8", "surrogatepass")
    check(*send(running_home, "POST", path.replace("{service}", name), raw))


@given(path=st.sampled_from(POSTS), raw=st.binary(max_size=200))
@FUZZ
def test_no_bytes_make_a_500(running_home, path, raw):
    check(*send(running_home, "POST", path.replace("{service}", "fuzz"), raw))


@given(
    path=st.sampled_from(GETS),
    name=names,
    key=st.sampled_from(["since", "limit", "lines", "release", "replica", "by", "service"]),
    value=st.sampled_from(["", "-1", "9" * 30, "1e3", "NaN", "%F0%9F%98%80", "..", "%00", "٣"]),
)
@FUZZ
def test_no_query_makes_a_500(running_home, path, name, key, value):
    target = path.replace("{service}", name) + f"?{key}={value}".replace("٣", "%D9%A3")
    check(*send(running_home, "GET", target))


def test_a_body_that_is_too_large_or_too_deep_is_refused(running_home):
    path = "/v1/services/fuzz/deploy"
    status, content = send(running_home, "POST", path, b'{"spec_text": "' + b"x" * 5_000_000)
    assert (status, json.loads(content)["error"]["code"]) == (413, "too-large")
    status, content = send(running_home, "POST", path, b"[" * 100_000)
    assert status == 400
    check(status, content)


def test_a_wrong_last_event_id_and_odd_headers_are_survived(running_home):
    headers = {"last-event-id": "9" * 400, "authorization": "Bearer \xff"}
    status, _content = send(running_home, "GET", "/v1/services", headers=headers)
    assert status == 200
    assert Client(running_home).healthz()["ok"]
