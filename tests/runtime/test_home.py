"""The state directory is private, found where people expect it, and refused when it is unsafe."""

import os
import stat
from pathlib import Path

import pytest

from holdfast.runtime.home import Home, UnsafeHome, find_home, read_private, write_private


@pytest.fixture(autouse=True)
def no_home_variable(monkeypatch):
    monkeypatch.delenv("HOLDFAST_HOME", raising=False)


def test_the_home_is_beside_the_nearest_spec(tmp_path: Path):
    (tmp_path / "holdfast.yaml").write_text("service: shop\n")
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    assert find_home(below) == tmp_path / ".holdfast"
    assert find_home(tmp_path / "holdfast.yaml") == tmp_path / ".holdfast"


def test_the_environment_names_the_home(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "elsewhere"))
    assert find_home(tmp_path) == tmp_path / "elsewhere"


def test_every_directory_of_a_home_is_private(tmp_path: Path):
    home = Home(tmp_path / "h").ensure()
    home.ensure_service("shop")
    directories = [p for p in (home.path, *home.path.rglob("*")) if p.is_dir()]
    assert len(directories) == 7
    assert {stat.S_IMODE(p.stat().st_mode) for p in directories} == {0o700}


def test_a_home_that_others_may_write_to_is_refused_with_the_remedy(tmp_path: Path):
    home = Home(tmp_path / "h").ensure()
    home.path.chmod(0o770)
    with pytest.raises(UnsafeHome, match=r"mode 0770.*chmod 700"):
        home.ensure()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_home_of_another_user_is_refused(tmp_path: Path):
    home = Home(tmp_path / "h").ensure()
    os.chown(home.path, 4242, 4242)
    with pytest.raises(UnsafeHome, match="belongs to user 4242"):
        home.ensure()


def test_a_file_in_the_place_of_the_home_is_refused(tmp_path: Path):
    (tmp_path / "h").write_text("")
    with pytest.raises(UnsafeHome, match="not a directory"):
        Home(tmp_path / "h").ensure()


def test_a_secret_file_is_written_0600_and_refused_when_others_may_read_it(tmp_path: Path):
    path = tmp_path / "tokens.json"
    write_private(path, b"one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_private(path, b"two")
    assert read_private(path) == b"two"
    path.chmod(0o644)
    with pytest.raises(UnsafeHome, match="0644"):
        read_private(path)
    assert [p.name for p in tmp_path.iterdir()] == ["tokens.json"]


def test_a_directory_of_other_things_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "passwd").write_text("root")
    with pytest.raises(UnsafeHome, match="such as passwd"):
        Home(tmp_path).ensure()
    assert [path.name for path in tmp_path.iterdir()] == ["passwd"]


def test_what_the_environment_names_is_kept_where_only_we_can_read_it(tmp_path, monkeypatch):
    home = Home(tmp_path / "home").ensure()
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "log.pem").write_bytes(b"a key")
    monkeypatch.setenv("HOLDFAST_POSTGRES", "postgresql://u:p@db/h\n")
    monkeypatch.setenv("HOLDFAST_KEYS", str(tmp_path / "mounted"))
    home.adopt_environment()
    for path, content in (
        (home.postgres, b"postgresql://u:p@db/h\n"),
        (home.keys / "log.pem", b"a key"),
    ):
        assert path.read_bytes() == content and path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("HOLDFAST_KEYS", str(tmp_path / "nothing"))
    with pytest.raises(UnsafeHome, match="HOLDFAST_KEYS"):
        home.adopt_environment()


def test_a_home_that_only_says_where_its_database_is_is_a_home(tmp_path):
    (tmp_path / "postgres.url").write_text("postgresql:///h")
    assert Home(tmp_path).ensure().keys.is_dir()
