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
from holdfast.supply.tree import Change, Outside, changes, files

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
        return {path: data.decode() for path, data in files(directory).items()}
    except UnicodeDecodeError as error:
        raise Complaint(f"an override in {directory} is not UTF-8 text: {error}") from error


def planned(
    root: Path, made: Rendered, only: Collection[str] = ()
) -> tuple[File, tuple[Change, ...]]:
    """The manifest to be, and what must change below ``root``. Raises ``Complaint``."""
    old = read_manifest(root)
    chosen = [each for each in made.bundle if not only or family_of(each.path) in only]
    # What earlier renders wrote for families that are not asked for now stays as it is.
    kept = {path: e for path, e in old.items() if only and family_of(path) not in only}
    owned = {path: entry["digest"] for path, entry in old.items() if path not in kept}
    try:
        todo = changes(root, {each.path: each.data for each in chosen}, owned)
    except Outside as error:
        raise Complaint(str(error), f"is {MANIFEST} from holdfast?", code="outside") from error
    return manifest([*kept.values(), *(listed(each) for each in chosen)]), todo


def read_manifest(root: Path) -> dict[str, dict[str, Any]]:
    """The entries of an earlier render by path; none where there was none."""
    path = root / MANIFEST
    try:
        entries = json.loads(path.read_text("utf-8"))["artifacts"]
        return {str(each["path"]): {**each, "digest": str(each["digest"])} for each in entries}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        said = f"{path} is no manifest of holdfast: {error}"
        raise Complaint(said, "render into another directory", code="bad-manifest") from error
