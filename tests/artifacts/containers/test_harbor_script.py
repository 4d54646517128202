"""The script that brings a Harbor to its state, against a stand-in that keeps what it is sent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest
from container_files import rendered

LISTS = {"/projects": [], "/robots": [], "/registries": [], "/replication/policies": []}


class Harbor(BaseHTTPRequestHandler):
    """As much of Harbor's API as the script uses; bodies are kept as they come."""

    def do_GET(self):
        state, path = self.server.state, self._path()
        if path.endswith("/immutabletagrules"):
            self._answer(state["immutable"])
        elif path == "/system/scanAll/schedule":
            self._answer(state["schedule"] or {})
        else:
            self._answer(state["lists"][path])

    def do_POST(self):
        state, path, body = self.server.state, self._path(), self._body()
        state["calls"].append(f"POST {path}")
        if path in state["lists"]:
            number = len(state["lists"][path]) + 1
            kept = body | {"id": number}
            if path == "/projects":
                kept |= {"name": body["project_name"], "project_id": number, "metadata": {}}
            if path == "/robots":
                kept |= {"name": f"robot$trading+{body['name']}"}
            state["lists"][path].append(kept)
            self._answer({"secret": "s3cret"} if path == "/robots" else {}, 201)
        elif path == "/retentions":
            state["lists"]["/projects"][0]["metadata"]["retention_id"] = "1"
            state["retention"] = body
            self._answer({}, 201)
        elif path.endswith("/immutabletagrules"):
            state["immutable"].append(body)
            self._answer({}, 201)
        else:
            state["schedule"] = body
            self._answer({}, 201)

    def do_PUT(self):
        self._body()
        self.server.state["calls"].append(f"PUT {self._path()}")
        self._answer({})

    def _path(self):
        parts = urlparse(self.path)
        assert parts.path.startswith("/api/v2.0")
        assert self.headers["Authorization"].startswith("Basic ")
        assert all(parse_qs(parts.query).values() or [True])
        return parts.path.removeprefix("/api/v2.0")

    def _body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def harbor():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Harbor)
    lists = {name: [] for name in LISTS}
    server.state = {"lists": lists, "immutable": [], "schedule": None, "calls": []}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.req("T21", "T23", "T24", "T25")
def test_the_script_makes_everything_once_and_changes_nothing_the_second_time(
    harbor, reference, tmp_path
):
    for program in ("bash", "curl", "jq"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    for file in rendered(reference):
        if "/harbor/" in file.path:
            (tmp_path / file.path.rpartition("/")[2]).write_bytes(file.data)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for region in ("eu-west", "asia-pacific"):
        (secrets / f"{region}.user").write_text("robot\n")
        (secrets / f"{region}.secret").write_text("word\n")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login admin password x\n")
    environment = {
        **os.environ,
        "HARBOR_URL": f"http://127.0.0.1:{harbor.server_port}",
        "HARBOR_NETRC": str(netrc),
        "HARBOR_SECRETS": str(secrets),
    }

    def apply(*words):
        done = subprocess.run(
            ["bash", tmp_path / "apply.sh", *words], env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        calls, harbor.state["calls"] = harbor.state["calls"], []
        return calls, done.stderr

    calls, said = apply("--dry-run")
    assert calls == [] and "would POST /projects" in said and "would POST /retentions" in said
    calls, _ = apply()
    assert all(call.startswith("POST") for call in calls) and len(calls) == 10
    lists = harbor.state["lists"]
    assert [each["name"] for each in lists["/registries"]] == ["eu-west", "asia-pacific"]
    assert lists["/registries"][0]["credential"] == {
        "type": "basic", "access_key": "robot", "access_secret": "word",
    }  # fmt: skip
    policies = lists["/replication/policies"]
    assert [each["dest_registry"]["id"] for each in policies] == [1, 2]
    assert harbor.state["retention"]["scope"] == {"level": "project", "ref": 1}
    secret = secrets / "trading-engine-push"
    assert secret.read_text() == "s3cret" and secret.stat().st_mode & 0o077 == 0
    calls, _ = apply()
    assert all(call.startswith("PUT") for call in calls), calls
    assert len(lists["/robots"]) == 2 and len(harbor.state["immutable"]) == 1
