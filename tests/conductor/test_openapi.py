"""The document and the API are the same set of operations, and answers have its shapes."""

import re

import pytest
from starlette.routing import Route

from holdfast.conductor import client as client_module
from holdfast.conductor.api import Api
from holdfast.conductor.openapi import document
from holdfast.conductor.operations import OPERATIONS


def documented():
    paths = document()["paths"]
    return {(method.upper(), path) for path, item in paths.items() for method in item}


def test_every_route_is_documented_and_every_documented_operation_is_routed():
    class Bare(Api):
        def __init__(self):
            """Routes need no conductor."""

        def pages(self):
            return []  # pages for browsers are no operations

    routed = set()
    for route in Bare().app().routes:
        assert isinstance(route, Route) and route.methods is not None
        routed |= {(method, route.path) for method in route.methods - {"HEAD"}}
    assert routed == documented()
    assert len(routed) == len(OPERATIONS)


def test_every_reference_of_the_document_leads_somewhere():
    whole = document()
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", repr(whole)))
    assert references and references <= set(whole["components"]["schemas"])


def test_every_operation_says_its_role_its_errors_and_its_body():
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            assert {"200", "401", "403", "409", "422", "503"} <= set(operation["responses"])
            assert (method == "post") is ("requestBody" in operation), path
            open_to_all = path in ("/healthz", "/v1/openapi.json")
            assert open_to_all is ("x-role" not in operation), path


def test_the_client_has_a_method_for_every_operation():
    for operation in OPERATIONS:
        assert callable(getattr(client_module.Client, operation.name)), operation.name


@pytest.mark.live
def test_answers_have_the_documented_shapes(service):
    service.deploy("v1")
    service.standing("v2")
    client, name = service.client, service.name
    answers = {
        f"/v1/services/{name}": client.status(name),
        f"/v1/services/{name}/history": {"entries": client.history(name)},
        "/v1/services": {"services": client.services()},
    }
    whole = client.openapi()
    for path, answer in answers.items():
        template = path.replace(name, "{service}")
        schema = whole["paths"][template]["get"]["responses"]["200"]["content"]
        conforms(answer, schema["application/json"]["schema"], whole, path)
    plan = client.plan(name, service.spec("v3"))
    conforms(plan, {"$ref": "#/components/schemas/PlanDoc"}, whole, "plan")


def conforms(value, schema, whole, path):
    """A strict check of the little JSON Schema that the document uses for answers."""
    if "$ref" in schema:
        schema = whole["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        assert any(_conforms(value, each, whole, path) for each in schema["anyOf"]), (path, value)
        return
    kind = schema.get("type")
    kinds = {
        "object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
        "boolean": bool, "null": type(None), None: object,
    }  # fmt: skip
    assert isinstance(value, kinds[kind]), (path, kind, value)
    if kind == "array":
        for index, each in enumerate(value):
            conforms(each, schema["items"], whole, f"{path}[{index}]")
    if "properties" in schema:
        assert set(value) == set(schema["properties"]), (path, set(value))
        for key, each in value.items():
            conforms(each, schema["properties"][key], whole, f"{path}.{key}")


def _conforms(value, schema, whole, path):
    try:
        conforms(value, schema, whole, path)
    except AssertionError:
        return False
    return True
