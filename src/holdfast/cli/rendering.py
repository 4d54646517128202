"""From words to a rendered set: the spec, its overrides, and what an earlier render wrote."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.artifacts.bundle import MANIFEST, Bundle, File, bundle, listed, manifest
from holdfast.artifacts.catalog import artifacts, family_of
from holdfast.artifacts.gitops import arranged
from holdfast.artifacts.overrides import BadOverride, overridden
from holdfast.cli.complaint import Complaint
from holdfast.cli.problems import located
from holdfast.spec.load import load
from holdfast.spec.model import Service
from holdfast.supply.staging import note
from holdfast.supply.tree import Change, Outside, changes, digest, files, inside

OVERRIDES = "overrides"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A spec file, its service and its whole set."""

    spec: Path
    service: Service
    bundle: Bundle


def rendered(file: Path | None, overrides: Path | None = None, gitops: bool = False) -> Rendered:
    """The whole set of the spec meant, overrides in place. Raises ``Complaint``, ``Invalid``."""
    spec = located(file)
    service = load(spec)
    given = read_overrides(overrides or spec.parent / OVERRIDES)
    try:
        made = overridden(artifacts(service), given)
        found = bundle(arranged(made, service) if gitops else made)
    except BadOverride as error:
        raise Complaint(f"override {error}", error.hint, code="bad-override") from error
    return Rendered(spec, service, found)


def read_overrides(directory: Path) -> dict[str, str]:
    """Every override by its path; none where there is no directory. Raises ``Complaint``."""
    if not directory.is_dir():
        return {}
    try:
        return {path: _text(path, data) for path, data in files(directory).items()}
    except OSError as error:
        raise Complaint(f"cannot read overrides in {directory}: {error}") from error


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        said = f"override {path} is not UTF-8 text: {error.reason} at byte {error.start}"
        raise Complaint(said, "save it as UTF-8", code="bad-override") from error


def planned(
    root: Path, made: Rendered, only: Collection[str] = ()
) -> tuple[File, tuple[Change, ...]]:
    """The manifest to be, and what must change below ``root``. Raises ``Complaint``."""
    old, owned = _standing(root)
    chosen = [each for each in made.bundle if not only or family_of(each.path) in only]
    # What earlier renders wrote for families that are not asked for now stays as it is.
    kept = {path: e for path, e in old.items() if only and family_of(path) not in only}
    mine = {path: digests for path, digests in owned.items() if path not in kept}
    try:
        todo = changes(root, {each.path: each.data for each in chosen}, mine)
    except Outside as error:
        raise Complaint(str(error), f"is {MANIFEST} from holdfast?", code="outside") from error
    return manifest([*kept.values(), *(listed(each) for each in chosen)]), todo


def _standing(root: Path) -> tuple[dict[str, dict[str, Any]], dict[str, set[str]]]:
    """What earlier renders say of the files there, and every digest a file of ours may have.

    A render that was killed wrote some of its files: each file is as one of the two says.
    """
    told = [read_manifest(root), _begun(root)]
    digests: dict[str, set[str]] = {}
    for entries in told:
        for path, entry in entries.items():
            digests.setdefault(path, set()).add(entry["digest"])
    found = told[0]
    for path, entry in told[1].items():
        place = inside(root, path)
        if place.is_file() and digest(place.read_bytes()) == entry["digest"]:
            found = {**found, path: entry}
    return found, digests


def _begun(root: Path) -> dict[str, dict[str, Any]]:
    """What a render wanted that was killed; nothing where its note is not whole either."""
    try:
        return _entries(note(root) or b'{"artifacts": []}')
    except (ValueError, KeyError, TypeError):
        return {}


def _entries(manifest: bytes) -> dict[str, dict[str, Any]]:
    entries = json.loads(manifest)["artifacts"]
    return {str(each["path"]): {**each, "digest": str(each["digest"])} for each in entries}


def read_manifest(root: Path) -> dict[str, dict[str, Any]]:
    """The entries of an earlier render by path; none where there was none."""
    path = root / MANIFEST
    try:
        return _entries(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        said = f"{path} is no manifest of holdfast: {error}"
        raise Complaint(said, "render into another directory", code="bad-manifest") from error
