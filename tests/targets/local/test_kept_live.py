"""What starts under the name of a release is that release, whatever happened to the files since."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from holdfast.rollout.model import Route, Scale
from holdfast.targets.base import Fault, Refused
from holdfast.targets.local import kept

EDITED = (
    "import sys; sys.exit('this program was never judged')\n",
    None,  # deleted
)


def program(text: str) -> str:
    return f"""
        import http.server, os, neighbour
        from pathlib import Path
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = ("{text} " + neighbour.NAME + Path("limits").read_text()).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *args):
                pass
        if __name__ == "__main__":
            address = ("127.0.0.1", int(os.environ["PORT"]))
            http.server.ThreadingHTTPServer(address, Handler).serve_forever()
    """


def prepare_project(stage) -> dict[str, object]:
    (stage.directory / "neighbour.py").write_text("NAME = 'beside'\n")
    (stage.directory / "limits").write_text(" 10")
    return {"run": {"command": stage.program("app.py", program("one")), "config": ["limits"]}}


@pytest.mark.live
@pytest.mark.parametrize("stage", ["cold", "warm"], indirect=True)
@pytest.mark.parametrize("edited", EDITED)
def test_a_dead_replica_is_replaced_by_its_release_not_by_what_is_on_the_disk_now(
    stage, wait_until, fleet_in, edited
):
    spec = prepare_project(stage)

    async def scenario():
        async with stage.serving(1, **spec) as target:
            (stage.directory / "limits").write_text(" 99")
            if edited is None:
                (stage.directory / "app.py").unlink()
            else:
                (stage.directory / "app.py").write_text(edited)
            async with target.suffer(Fault("kill-replica", "v1/0")):
                pass
            await wait_until(target, lambda look: fleet_in(look, "v1").restarts == 1)
            await wait_until(target, lambda look: fleet_in(look, "v1").ready == 1)
            return (await stage.get("/")).body

    assert asyncio.run(scenario()) == b"one beside 10"


@pytest.mark.live
@pytest.mark.parametrize("stage", ["cold", "warm"], indirect=True)
def test_going_back_to_a_release_runs_the_program_it_had(stage, wait_until, fleet_in):
    spec = prepare_project(stage)

    async def scenario():
        async with stage.serving(1, **spec) as target:
            stage.program("app.py", program("two"))
            await stage.deploy(target, stage.bundle("v2", **spec), 1)
            await target.perform(Route((("v2", 100),), 1))
            await target.perform(Scale("v1", 0, 1))
            await wait_until(target, lambda look: len(look.fleets) == 1)
            newer = (await stage.get("/")).body
            await stage.deploy(target, stage.bundle("v1", **spec), 1)
            await target.perform(Route((("v1", 100),), 1))
            return newer, (await stage.get("/")).body

    assert asyncio.run(scenario()) == (b"two beside 10", b"one beside 10")


def test_without_a_copy_a_changed_release_is_refused_and_the_file_is_named(stage):
    spec = prepare_project(stage)
    stage.root.mkdir(parents=True)
    store, bundle = kept.Kept(stage.root), stage.bundle("v1", **spec)
    store.keep(bundle, stage.directory, ())
    for number in range(kept.COPIES_MAX):
        store.keep(stage.bundle(f"w{number}w", **spec), stage.directory, ())
    assert store.directory(bundle, stage.directory) == stage.directory  # nothing changed yet
    (stage.directory / "app.py").write_text("pass\n")

    async def scenario():
        async with stage.target() as target:
            await target.prepare(bundle)

    with pytest.raises(Refused, match=r"app.py changed since v1 was deployed.*put it back"):
        asyncio.run(scenario())


def test_copies_of_releases_in_use_are_never_given_up(stage):
    spec = prepare_project(stage)
    store, bundle = kept.Kept(stage.root), stage.bundle("v1", **spec)
    store.keep(bundle, stage.directory, ())
    for number in range(kept.COPIES_MAX + 2):
        store.keep(stage.bundle(f"w{number}w", **spec), stage.directory, (bundle.release.digest,))
    (stage.directory / "app.py").write_text("pass\n")
    found = store.directory(bundle, stage.directory)
    assert isinstance(found, Path) and found != stage.directory
    assert "one" in (found / "app.py").read_text()
    assert os.readlink(found / "neighbour.py") == str(stage.directory / "neighbour.py")


def test_with_the_copies_of_an_old_release_goes_the_directory_made_of_them(stage):
    spec = prepare_project(stage)
    store, bundle = kept.Kept(stage.root), stage.bundle("v1", **spec)
    store.keep(bundle, stage.directory, ())
    written = (stage.directory / "app.py").read_text()
    (stage.directory / "app.py").write_text("pass\n")
    shadow = store.directory(bundle, stage.directory)
    assert isinstance(shadow, Path) and shadow.is_dir()
    (stage.directory / "app.py").write_text(written)
    for number in range(kept.COPIES_MAX + 1):
        store.keep(stage.bundle(f"w{number}w", **spec), stage.directory, ())
    assert not shadow.exists()
