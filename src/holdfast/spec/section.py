"""The base of every part of the spec: frozen, strict, with an optional one-word short form."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Section(BaseModel):
    """A frozen part of the spec; unknown keys are problems."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    _short: ClassVar[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: object) -> object:
        if value is None:  # `rollout:` with every key below it commented out
            return {}
        if cls._short and not isinstance(value, (dict, BaseModel)):
            return {cls._short: value}
        return value

    @classmethod
    def short_form(cls) -> str | None:
        """The key a bare value stands for, e.g. ``strategy`` for ``rollout: canary``."""
        return cls._short

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        full = handler.resolve_ref_schema(handler(core))
        if not cls._short:
            return {**full, "type": ["object", "null"]} if "required" not in full else full
        short = {**full["properties"][cls._short]}
        short.pop("default", None)
        about: JsonSchemaValue = {k: full.pop(k) for k in ("title", "description") if k in full}
        return {**about, "anyOf": [full, short] if "required" in full else [full, short, _EMPTY]}


_EMPTY = {"type": "null"}
