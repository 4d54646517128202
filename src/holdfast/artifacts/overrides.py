"""What a person changes in rendered artifacts, as files beside the spec.

``PATH.merge.yaml``  JSON merge patches (RFC 7396)
``PATH.patch.yaml``  JSON patches (RFC 6902)
``PATH.replace``     the whole file, for texts

``PATH`` is an artifact's path with or without its suffix. In an artifact of several documents a
merge patch chooses by its own ``kind`` and ``metadata.name``; a JSON patch is then written as
``{target: {kind, name}, patch: [...]}``. An override that fits nothing is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from holdfast.artifacts.artifact import Artifact, Body, Object
from holdfast.artifacts.check.written import read
from holdfast.artifacts.patch import Misfit, merged, patched

MERGE, PATCH, REPLACE = ".merge.yaml", ".patch.yaml", ".replace"


class BadOverride(Exception):
    """``file`` is the override; the words say what was found and what is wanted."""

    def __init__(self, file: str, detail: str, hint: str = "") -> None:
        super().__init__(f"{file}: {detail}")
        self.file, self.detail, self.hint = file, detail, hint


def overridden(artifacts: Iterable[Artifact], files: Mapping[str, str]) -> Iterator[Artifact]:
    """The artifacts with every override in place. Raises ``BadOverride``."""
    found = {artifact.path: artifact for artifact in artifacts}
    for file, text in sorted(files.items()):
        path = _target(file, found)
        body = _changed(file, text, found[path])
        record = (*found[path].overrides, file)
        found[path] = replace(found[path], body=body, overrides=record)
    yield from found.values()


def _target(file: str, artifacts: Mapping[str, Artifact]) -> str:
    suffix = next((s for s in (MERGE, PATCH, REPLACE) if file.endswith(s)), None)
    if suffix is None:
        wanted = f"a name that ends with {MERGE}, {PATCH} or {REPLACE}"
        raise BadOverride(file, f"this is no override, wanted {wanted}")
    stem = file.removesuffix(suffix)
    if stem in artifacts:
        return stem
    fits = [p for p, a in artifacts.items() if a.suffix and p.removesuffix(a.suffix) == stem]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise BadOverride(file, f"{stem} may be {' or '.join(sorted(fits))}", "write the suffix")
    hint = "holdfast render --json lists the artifacts"
    raise BadOverride(file, f"no artifact is called {stem}", hint)


def _changed(file: str, text: str, artifact: Artifact) -> Body:
    if file.endswith(REPLACE):
        if not isinstance(artifact.body, str):
            raise BadOverride(file, f"{artifact.path} is no text", f"use {MERGE}")
        return text
    if isinstance(artifact.body, str):
        raise BadOverride(file, f"{artifact.path} is a text", f"use {REPLACE}")
    documents = list(artifact.objects())
    for change in _changes(file, text):
        try:
            _apply(change, documents, file.endswith(MERGE))
        except Misfit as error:
            raise BadOverride(file, str(error)) from error
    return documents[0] if isinstance(artifact.body, dict) else documents


def _changes(file: str, text: str) -> tuple[Any, ...]:
    found = read(file, text)
    if found.problems:
        first = found.problems[0]
        raise BadOverride(f"{file}:{first.line}", f"found {first.found}, wanted {first.wanted}")
    if not found.objects:
        raise BadOverride(file, "it changes nothing", "delete it")
    return found.objects


def _apply(change: Any, documents: list[Object], merging: bool) -> None:  # noqa: ANN401
    if merging:
        if not isinstance(change, dict):
            raise Misfit("a merge patch is an object")
        name = change.get("metadata", {}).get("name")
        at = _chosen(documents, change.get("kind"), name)
        result = merged(documents[at], change)
    else:
        target, operations = _parts(change)
        at = _chosen(documents, target.get("kind"), target.get("name"))
        result = patched(documents[at], operations)
    if not isinstance(result, dict):
        raise Misfit("nothing is left of the document")
    documents[at] = result


def _parts(change: Any) -> tuple[Object, list[Any]]:  # noqa: ANN401
    operations = change.get("patch") if isinstance(change, dict) else change
    target = change.get("target", {}) if isinstance(change, dict) else {}
    if not isinstance(operations, list) or not isinstance(target, dict):
        raise Misfit("a JSON patch is a list of operations, or has target and patch")
    return target, operations


def _chosen(documents: list[Object], kind: object, name: object) -> int:
    """The only document that fits what is said about it."""
    fits = [
        index
        for index, each in enumerate(documents)
        if kind in (None, each.get("kind")) and name in (None, _name(each))
    ]
    if len(fits) == 1:
        return fits[0]
    said = " ".join(str(part) for part in (kind, name) if part is not None)
    if not fits:
        raise Misfit(f"no document is a {said}")
    raise Misfit(f"{len(fits)} documents fit {said or 'it'}; say kind and name")


def _name(document: Object) -> object:
    metadata = document.get("metadata")
    return metadata.get("name") if isinstance(metadata, dict) else None
