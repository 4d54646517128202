"""Looking into images: what is counted, what counts as a shell, what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from holdfast.supply.images.contents import Contents, Layer, look
from holdfast.supply.images.layout import BadImage, Layout
from holdfast.supply.images.promises import broken


def layer(**files: str) -> bytes:
    """A tar whose names are the keys with ``__`` for slashes; a value of ``->x`` is a link."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo("./" + name.replace("__", "/").replace("wh_", ".wh."))
            if text.startswith("->"):
                entry.type, entry.linkname = tarfile.SYMTYPE, text[2:]
                archive.addfile(entry)
            else:
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def written(root: Path, layers: list[bytes], user: str = "65532:65532") -> Layout:
    blobs = root / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def stored(data: bytes) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": "x", "digest": f"sha256:{digest}", "size": len(data)}

    about = {"os": "linux", "architecture": "amd64", "config": {"User": user}}
    config = stored(json.dumps(about).encode())
    body = {"config": config, "layers": [stored(each) for each in layers]}
    manifest = stored(json.dumps(body).encode())
    (root / "index.json").write_text(json.dumps({"manifests": [manifest]}))
    return Layout(root)


def seen(layout: Layout) -> Contents:
    (image,) = layout.images()
    return look(layout, image)


@pytest.mark.req("T1")
def test_a_shell_is_found_as_a_file_a_link_and_in_a_packed_layer(tmp_path):
    plain, packed = layer(bin__busybox="x", bin__sh="->busybox"), layer(usr__bin__zsh="y")
    found = seen(written(tmp_path, [plain, gzip.compress(packed)]))
    assert found.shells == ("/bin/busybox", "/bin/sh", "/usr/bin/zsh")


@pytest.mark.req("T1")
def test_a_shell_that_a_later_layer_removes_is_none_and_a_word_elsewhere_neither(tmp_path):
    removed = layer(bin__wh_sh="")
    found = seen(written(tmp_path, [layer(bin__sh="x", app__sh="y"), removed]))
    assert found.shells == ()


@pytest.mark.req("T5", "T6")
def test_every_promise_that_is_broken_is_said_with_what_broke_it():
    layers = (Layer("a", 10, 900_000, "COPY big /"), Layer("b", 10, 200_000, ""))
    found = Contents("linux/amd64", "", layers, ("/bin/sh",), ())
    size, user, shell = broken(found, 1_000_000, 65532)
    assert size.says.startswith("1.1 MB are more than the budget of 1.0 MB; largest layers: 0.9 MB")
    assert "COPY big /" in size.says and "of the base image" in size.says
    assert "root" in user.says and "/bin/sh" in shell.says


def test_a_kept_promise_is_silent():
    found = Contents("linux/amd64", "65532", (Layer("a", 1, 999_999, ""),), (), ())
    assert list(broken(found, 1_000_000, 65532)) == []


@pytest.mark.parametrize("harm", ["changed", "missing", "cut", "index", "digest"])
def test_an_image_that_is_not_what_it_says_is_refused(tmp_path, harm):
    layout = written(tmp_path, [gzip.compress(layer(app__x="y" * 5000))])
    (image,) = layout.images()
    path = layout.path(image.layers[0].digest)
    if harm == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    elif harm == "missing":
        path.unlink()
    elif harm == "cut":
        layout = written(tmp_path / "cut", [gzip.compress(layer(app__x="y" * 5000))[:-20]])
    elif harm == "index":
        (tmp_path / "index.json").write_text("[]")
    else:
        entry = {"manifests": [{"digest": "../../../etc/passwd", "size": 1}]}
        (tmp_path / "index.json").write_text(json.dumps(entry))
    with pytest.raises(BadImage):
        seen(layout)
