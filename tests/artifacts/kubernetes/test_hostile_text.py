"""Hostile text in any free field: the spec refuses it, or it stays where it was written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import upstream
import yaml
from kube_objects import HOSTILE, rendered
from pydantic import BaseModel

from holdfast.spec import fields, rules
from holdfast.spec.kinds import TEXT


def is_text(info):
    kinds = [fields.kind_of(option) for option in fields.options(fields.hint_of(info))]
    return any(kind is not None and kind.phrase == TEXT.phrase for kind in kinds)


def attacked(section: BaseModel, prefix="") -> Iterator[tuple[str, BaseModel]]:
    """The section again and again, each time with one free text replaced."""
    for name, info in type(section).model_fields.items():
        value, path = getattr(section, name), f"{prefix}{name}"
        if isinstance(value, BaseModel):
            for found, inner in attacked(value, f"{path}."):
                yield found, section.model_copy(update={name: inner})
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for found, inner in attacked(value[0], f"{path}[]."):
                yield found, section.model_copy(update={name: (inner, *value[1:])})
        elif is_text(info):
            yield path, section.model_copy(update={name: HOSTILE})


def test_hostile_text_is_refused_or_stays_in_its_field(service):
    tried = 0
    for path, given in attacked(service):
        if any(finding.breaks for finding in rules.check(given)):
            continue
        tried += 1
        found = rendered(given)
        refused = upstream.refusals(found, "kubernetes/")
        assert not refused, f"{path}: {refused}"
        for file in found:
            if file.artifact.suffix != ".yaml":
                assert HOSTILE not in file.data.decode(), path
                continue
            read = tuple(yaml.safe_load_all(file.data))
            assert read == file.artifact.objects(), path
    assert tried, "no free text is left to try"


@pytest.mark.parametrize("name", ["a" * 46, "a-" * 22 + "b"])
def test_the_longest_name_that_is_not_warned_about_fits_everywhere(reference, name):
    found = rendered(reference.model_copy(update={"service": name}))
    upstream.assert_accepted(found, "kubernetes/")
    for file in found:
        for each in file.artifact.objects():
            if "metadata" in each:
                assert len(each["metadata"]["name"]) <= 63
                assert all(len(v) <= 63 for v in each["metadata"]["labels"].values())
