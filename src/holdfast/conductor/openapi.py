"""The OpenAPI document, made from the operations, the request models and the typed documents."""

from __future__ import annotations

import types
import typing
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from holdfast import __version__
from holdfast.conductor.operations import OPERATIONS, TEXT, Operation

_REF = "#/components/schemas/"
_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "detail", "hint"],
            "properties": {
                "code": {"type": "string", "description": "a stable word"},
                "detail": {"type": "string"},
                "hint": {"type": "string", "description": "what to do next"},
                "problems": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
}
_STATUSES = {
    "400": "not JSON, or a wrong parameter",
    "401": "no token, or an unknown one",
    "403": "the role does not allow it",
    "404": "no such service",
    "409": "refused: the state of the service does not allow it; `code` says why",
    "413": "the body is too large",
    "421": "over TCP: the Host header names another machine",
    "422": "the body or the spec is wrong, or the release can never be started",
    "503": "the conductor is stopping, or its ledger or target does not answer",
}


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    bodies = {op.body for op in OPERATIONS if op.body is not None}
    schemas.update(_models(sorted(bodies, key=lambda model: model.__name__)))
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        described = _operation(operation, schemas)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Holdfast conductor", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _models(bodies: list[type[BaseModel]]) -> dict[str, Any]:
    _map, schema = models_json_schema(
        [(model, "validation") for model in bodies], ref_template=_REF + "{model}"
    )
    defined: dict[str, Any] = schema.get("$defs", {})
    return defined


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": {"200": _answer(operation.answer, schemas), **_errors()},
    }
    if operation.role is not None:
        described["security"] = [{"token": []}]
        described["x-role"] = operation.role.word
    if operation.body is not None:
        schema = {"$ref": _REF + operation.body.__name__}
        needed = any(field.is_required() for field in operation.body.model_fields.values())
        described["requestBody"] = {"required": needed, "content": _json(schema)}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{service}" in operation.path:
        name = {"name": "service", "in": "path", "required": True, "schema": _SCALARS[str]}
        found.append(name)
    for each in operation.query:
        number = {"type": "integer", "minimum": 0, "maximum": each.most}
        schema = number if each.number else _SCALARS[str]
        about = {"name": each.name, "in": "query", "description": each.description}
        found.append({**about, "schema": schema})
    return found


def _answer(answer: Any, schemas: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    if isinstance(answer, str):
        schema = {"type": "object"} if answer.endswith("json") else {"type": "string"}
        media = "text/plain; version=0.0.4" if answer == TEXT else answer
        return {"description": "", "content": {media: {"schema": schema}}}
    if isinstance(answer, dict):
        lists: dict[str, Any] = {
            k: {"type": "array", "items": _schema(v, schemas)} for k, v in answer.items()
        }
        listing = {"type": "object", "required": sorted(lists), "properties": lists}
        return {"description": "", "content": _json(listing)}
    return {"description": "", "content": _json(_schema(answer, schemas))}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _errors() -> dict[str, Any]:
    content = _json({"$ref": _REF + "Error"})
    return {code: {"description": why, "content": content} for code, why in _STATUSES.items()}


def _schema(hint: Any, schemas: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """JSON Schema of a type as the typed documents use them; adds what it refers to."""
    if hint in _SCALARS:
        return dict(_SCALARS[hint])
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], schemas)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], schemas)}
    if origin is types.UnionType:
        return {"anyOf": [_schema(each, schemas) for each in arguments]}
    assert typing.is_typeddict(hint), f"no schema for {hint}"
    if hint.__name__ not in schemas:
        schemas[hint.__name__] = {}  # ends recursion
        schemas[hint.__name__] = _object(hint, schemas)
    return {"$ref": _REF + hint.__name__}


def _object(hint: Any, schemas: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    fields = typing.get_type_hints(hint)
    return {
        "type": "object",
        "description": (hint.__doc__ or "").split("\n")[0],
        "required": sorted(fields),
        "properties": {name: _schema(each, schemas) for name, each in fields.items()},
    }
