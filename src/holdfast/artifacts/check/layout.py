"""The set hangs together as files: kustomizations, regions, what Argo CD reads, the manifest."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.bundle import MANIFEST
from holdfast.artifacts.check.whole import Item, Whole, at, beside, items
from holdfast.supply.finding import Finding

_LISTS = ("resources", "components", "crds", "configurations", "transformers", "generators")
_OVERLAYS = "kubernetes/overlays/"


def check(whole: Whole) -> Iterator[Finding]:
    for each in whole.kustomizations:
        yield from _resources(each, whole)
        yield from _patches(each, whole)
        yield from _unlisted(each, whole)
    yield from _regions(whole)
    yield from _missing(whole)


def _exists(path: str, whole: Whole) -> bool:
    return path in whole.paths or any(
        f"{path}/{name}" in whole.paths for name in ("kustomization.yaml", "kustomization.yml")
    )


def _resources(each: Item, whole: Whole) -> Iterator[Finding]:
    for field in _LISTS:
        for index, said in enumerate(items(each.body, field)):
            remote = not isinstance(said, str) or "://" in said
            if not remote and not _exists(beside(each.file.path, said), whole):
                found, place = f"no file {said}", (field, index)
                yield each.finding("kustomization", place, found, "a file of the set")


def _patches(each: Item, whole: Whole) -> Iterator[Finding]:
    for index, patch in enumerate(items(each.body, "patches")):
        path, place = at(patch, "path"), ("patches", index)
        if isinstance(path, str) and beside(each.file.path, path) not in whole.paths:
            yield each.finding("kustomization", place, f"no file {path}", "a file of the set")
        kind, name = at(patch, "target", "kind"), at(patch, "target", "name")
        if isinstance(kind, str) and isinstance(name, str) and not whole.named(kind, name):
            yield each.finding("kustomization", place, f"no {kind} {name}", "an object to patch")


def _unlisted(each: Item, whole: Whole) -> Iterator[Finding]:
    """A file beside a kustomization that it does not name is never applied."""
    folder = each.file.path.rpartition("/")[0]
    named = {
        beside(each.file.path, said)
        for field in _LISTS
        for said in items(each.body, field)
        if isinstance(said, str)
    }
    named |= whole.patches | {each.file.path} | set(_generated(each))
    for file in whole.files:
        beside_it = file.path.rpartition("/")[0] == folder and bool(file.objects)
        if beside_it and file.path not in named:
            words = f"a file that {each.file.path} does not name"
            yield Finding(
                "holdfast/unlisted", file.path, words, "an entry in resources", 1, file.key
            )


def _generated(each: Item) -> Iterator[str]:
    for field in ("configMapGenerator", "secretGenerator"):
        for generator in items(each.body, field):
            for said in items(generator, "files"):
                yield beside(each.file.path, str(said).rpartition("=")[2])


def _regions(whole: Whole) -> Iterator[Finding]:
    """Every region has the files that the others have."""
    found: dict[str, dict[str, str]] = {}
    for path in whole.paths:
        for region in whole.regions:
            if region in path.split("/")[:-1] or region in path.rpartition("/")[2]:
                found.setdefault(path.replace(region, "*"), {})[region] = path
    for pattern, paths in sorted(found.items()):
        for region in whole.regions:
            if region not in paths and len(paths) > 1:
                words = f"no {pattern.replace('*', region)}"
                wanted = f"the same files as {sorted(paths)[0]}"
                yield Finding("holdfast/region", sorted(paths.values())[0], words, wanted,
                              key="regions")  # fmt: skip
    overlays = {path.split("/")[2] for path in whole.paths if path.startswith(_OVERLAYS)}
    for region in whole.regions if whole.paths else ():
        if overlays and region not in overlays:
            words = f"no overlay of the region {region}"
            yield Finding("holdfast/region", f"{_OVERLAYS}{region}", words, "one", key="regions")


def _missing(whole: Whole) -> Iterator[Finding]:
    """What the manifest lists and is not there."""
    for file in whole.files:
        if file.path == MANIFEST and file.objects:
            for entry in items(file.objects[0], "artifacts"):
                path = str(at(entry, "path"))
                if path not in whole.paths:
                    wanted = "the file, or a new render"
                    yield Finding("holdfast/missing", path, "no such file", wanted)
