"""``init`` looks at projects like these and writes a spec that says the right things and loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.spec.discover import Discovery, discover, service_name
from holdfast.spec.load import load_text
from holdfast.spec.model import Service

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/healthz')\ndef h(): ...\n"
UVICORN = "uvicorn main:app --port $PORT"
GUNICORN = "gunicorn --bind 127.0.0.1:$PORT"


def project(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return root


def found(root: Path, files: dict[str, str]) -> tuple[Discovery, Service]:
    discovery = discover(project(root, files))
    return discovery, load_text(discovery.text)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"main.py": FASTAPI}, UVICORN),
        (
            {"main.py": FASTAPI, ".venv/bin/uvicorn": ""},
            UVICORN.replace("uvicorn", ".venv/bin/uvicorn"),
        ),
        (
            {"src/shop/api.py": "api: Starlette = Starlette(routes=[])\n"},
            "uvicorn shop.api:api --app-dir src --port $PORT",
        ),
        (
            {"app.py": "from flask import Flask\napp = Flask(__name__)\n"},
            "flask --app app:app run --port $PORT",
        ),
        (
            {"app.py": "web = Flask(__name__)\n", "requirements.txt": "flask\ngunicorn==23\n"},
            f"{GUNICORN} app:web",
        ),
        (
            {"manage.py": "", "shop/wsgi.py": "", "requirements.txt": "django\ngunicorn\n"},
            f"{GUNICORN} shop.wsgi",
        ),
        ({"manage.py": ""}, "python manage.py runserver --noreload 127.0.0.1:$PORT"),
        ({"server.py": "import http.server\n"}, "python server.py"),
        (
            {"pyproject.toml": "[project]\nname='x'\n[project.scripts]\nshopd='shop:main'\n"},
            "shopd",
        ),
        ({"package.json": '{"scripts": {"start": "node server.js"}}'}, "node server.js"),
        (
            {"package.json": '{"scripts": {"start": "next start"}}'},
            "next start -p $PORT",
        ),
        ({"package.json": '{"scripts": {"start": "npm run a && npm run b"}}'}, "npm start"),
        (
            {"package.json": "{}", "server.js": "http.createServer().listen(process.env.PORT)"},
            "node server.js",
        ),
        (
            {"Cargo.toml": "[package]\nname='shop'\n", "src/main.rs": "fn main(){}"},
            "target/release/shop",
        ),
        (
            {"Cargo.toml": "[package]\nname='shop'\n[[bin]]\nname='shopd'\npath='x.rs'\n"},
            "target/release/shopd",
        ),
        ({"go.mod": "module example.org/shop/v2\n", "main.go": "package main"}, "bin/shop"),
        ({"go.mod": "module example.org/shop\n", "cmd/api/main.go": "package main"}, "bin/api"),
        (
            {"Dockerfile": 'EXPOSE 8000\nCMD ["server", "--listen", "0.0.0.0:8000"]\n'},
            "server --listen 127.0.0.1:$PORT",
        ),
        (
            {"compose.yaml": "services: {web: {build: ., command: node index.js}}\n"},
            "node index.js",
        ),
        (
            {
                "Dockerfile": "CMD [other]\n",
                "compose.yaml": "services:\n  web:\n    build: .\n    ports: ['9000:80']\n"
                "    entrypoint: [serve]\n    command: ['--listen', '0.0.0.0:80']\n",
            },
            "serve --listen 127.0.0.1:$PORT",
        ),
        (
            {
                "compose.yaml": "services:\n  web:\n    build: .\n    command: s -p 81\n"
                "    ports: [{target: 81, published: 9000}]\n"
            },
            "s -p $PORT",
        ),
        ({"Dockerfile": "CMD node \\\n  server.js\n"}, "node server.js"),
        (
            {"Procfile": "release: x\nweb: gunicorn shop:app\n", "main.py": FASTAPI},
            "gunicorn shop:app",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_a_project_says_how_it_runs(files: dict[str, str], command: str, tmp_path: Path):
    discovery, service = found(tmp_path, files)
    assert service.run.command == command == discovery.command


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": "hello"},
        {"Cargo.toml": "[workspace]\nmembers=['a']\n"},
        {"Cargo.toml": "[package]\nname='lib'\n", "src/lib.rs": ""},
        {"Dockerfile": 'FROM scratch\nENTRYPOINT ["/server"]\n'},
        {"package.json": "[]", "pyproject.toml": "= broken", "compose.yaml": "a: [", "go.mod": ""},
        {"package.json": "[" * 50_000, "compose.yaml": "{a: " * 5_000},
        {"package.json": '{"name": 5, "scripts": {"start": ["x"]}, "main": {}}'},
        {"node_modules/x/server.py": "import http.server", ".git/app.py": FASTAPI},
    ],
    ids=range(9),
)
def test_where_nothing_says_how_it_runs_a_template_is_written(
    files: dict[str, str], tmp_path: Path
):
    discovery, service = found(tmp_path, files)
    assert discovery.command is None
    assert service.run.command == "./program" and "stand-in" in discovery.text


def test_a_program_no_spec_can_name_leaves_a_template(tmp_path: Path):
    bad = {"pyproject.toml": '[project.scripts]\n"a\\u0000b" = "x:y"\n'}
    assert found(tmp_path, bad)[0].command is None


def test_names_port_and_probe_come_from_the_files_that_know_them(tmp_path: Path):
    files = {
        "pyproject.toml": "[project]\nname = 'Acme_Shop'\n",
        "main.py": FASTAPI,
        "Dockerfile": "EXPOSE 8000/tcp\nHEALTHCHECK CMD curl http://localhost:8000/up || exit 1\n",
    }
    discovery, service = found(tmp_path, files)
    assert (service.service, service.traffic.port) == ("acme-shop", 8000)
    assert service.probes.ready.path == "/up"
    said = [clue.file for clue in discovery.used]
    assert said == ["pyproject.toml", "main.py", "Dockerfile", "Dockerfile"]
    assert "#   main.py has the FastAPI app app" in discovery.text


def test_a_compose_file_says_the_published_port_and_the_health_check(tmp_path: Path):
    compose = (
        "x-base: &base {restart: always}\nservices:\n  db: {image: postgres}\n  api:\n"
        "    <<: *base\n    build: .\n    ports: ['127.0.0.1:9000:80']\n"
        "    healthcheck: {test: [CMD, curl, 'http://localhost/ok']}\n"
    )
    service = found(tmp_path, {"compose.yaml": compose, "server.py": "import http.server"})[1]
    assert (service.service, service.traffic.port) == ("api", 9000)
    assert service.probes.ready.path == "/ok"


def test_a_privileged_port_is_not_taken_over(tmp_path: Path):
    assert found(tmp_path, {"Dockerfile": "EXPOSE 80\n"})[0].port == 8080


def test_a_path_in_the_sources_that_looks_like_a_health_check_is_used(tmp_path: Path):
    files = {"server.js": "app.get('/health'); app.get('/ready'); listen(1)", "package.json": "{}"}
    assert found(tmp_path, files)[1].probes.ready.path == "/ready"


def test_a_program_that_must_be_built_says_how(tmp_path: Path):
    discovery = found(tmp_path, {"go.mod": "module a/shop\n", "main.go": "package main"})[0]
    assert discovery.build == "go build -o bin/shop ."
    assert "# Before the first deploy: go build -o bin/shop ." in discovery.text


def test_files_that_make_no_sense_are_said(tmp_path: Path):
    files = {"package.json": "[", "Cargo.toml": "=", "compose.yaml": "a: [", "server.py": "PORT"}
    clues = found(tmp_path, files)[0].clues
    assert {clue.file: clue.says for clue in clues if "passed over" in clue.says} == {
        "package.json": "is no JSON table and was passed over",
        "Cargo.toml": "is no TOML table and was passed over",
        "compose.yaml": "is no YAML table and was passed over",
    }


def test_a_file_without_a_name_is_not_said_to_name_the_project(tmp_path: Path):
    clues = found(tmp_path, {"package.json": '{"name": 5}', "pyproject.toml": ""})[0].clues
    assert [clue.says for clue in clues] == ["does not name the project"] * 2


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("@acme/Shop_API", "shop-api"),
        ("9lives", "lives"),
        ("日本", "service"),
        ("a" * 99, "a" * 63),
    ],
)
def test_any_name_becomes_an_allowed_one(text: str, name: str):
    assert service_name(text) == name


TEXTS = st.text(max_size=30) | st.sampled_from(
    ["FROM x\nEXPOSE ", "CMD [", "web: ", "[project]\nname='", '{"scripts":{"start":"', "module "]
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(
        st.sampled_from(["Dockerfile", "Procfile", "package.json", "pyproject.toml", "go.mod",
                         "Cargo.toml", "compose.yaml", "main.py", "server.js"]),
        st.lists(TEXTS, max_size=4).map("".join),
    )
)  # fmt: skip
def test_whatever_the_files_hold_the_spec_that_is_written_loads(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("project")
    for name, content in files.items():
        (root / name).write_bytes(content.encode("utf-8", "surrogatepass"))
    discovery = discover(root)
    assert load_text(discovery.text).service == discovery.name
