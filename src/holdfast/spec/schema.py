"""The JSON Schema (draft 2020-12) of ``holdfast.yaml``, for editors. Says what ``load`` says."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticUndefined

from holdfast.spec import fields, written
from holdfast.spec.model import Service
from holdfast.spec.section import Section

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """With short forms, the words of ``holdfast explain``, and defaults as people write them."""
    schema = Service.model_json_schema()
    _finish(schema, Service)
    sections = {key.section for key in fields.catalogue().values() if key.section}
    for section in sections:
        _finish(schema["$defs"][section.__name__], section)
    return {"$schema": DRAFT, **schema, "title": "holdfast.yaml"}


def _finish(schema: dict[str, Any], section: type[Section]) -> None:
    full = schema if "properties" in schema else schema["anyOf"][0]
    for name, info in section.model_fields.items():
        hint, default = fields.hint_of(info), info.get_default(call_default_factory=True)
        about = full["properties"][name]
        about.pop("title", None)
        about.pop("default", None)
        if default is not PydanticUndefined and not isinstance(default, Section):
            about["default"] = written.plain(hint, default)
    for short in schema.get("anyOf", [])[1:]:
        short.pop("title", None)
