"""The objects of ``holdfast install``: what a reader and an API server demand of them."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from holdfast.artifacts.installation import access
from holdfast.artifacts.installation.definition import definition
from holdfast.artifacts.installation.objects import objects, text
from holdfast.artifacts.installation.structural import structural
from holdfast.artifacts.installation.wish import Installation
from holdfast.spec.schema import json_schema
from kubernetes_rig.api_server import Refused, Server

IMAGE = "registry.example.com/holdfast@sha256:" + "7" * 64
WISH = Installation(IMAGE)
RELEASE: dict[str, Any] = {
    "apiVersion": "holdfast.dev/v1alpha1",
    "kind": "Release",
    "metadata": {"name": "shop", "namespace": "default"},
    "spec": {
        "service": "shop",
        "version": "v1",
        "run": {"command": "python app.py"},
        "replicas": 3,
        "rollout": {"strategy": "canary"},
        "image": {"repository": "example.com/shop", "digest": "sha256:" + "a" * 64,
                  "signer": "awskms:///alias/release"},
    },
}  # fmt: skip


def test_the_same_wish_is_the_same_bytes():
    assert text(WISH) == text(Installation(IMAGE))


@pytest.mark.parametrize("image", ["holdfast", "holdfast:latest", "holdfast@sha256:7", "a b@sha256:"
                                   + "7" * 64])  # fmt: skip
def test_an_image_that_can_change_is_not_installed(image):
    with pytest.raises(ValueError, match="sha256"):
        Installation(image)


def test_a_name_that_kubernetes_refuses_is_refused_at_once():
    with pytest.raises(ValueError, match="small letters"):
        Installation(IMAGE, namespace="Holdfast")


def test_the_conductor_can_neither_read_secrets_nor_make_roles_nor_start_pods():
    rights = [(right.group, resource, verb) for right in access.EVERYWHERE
              for resource in right.resources for verb in right.verbs]  # fmt: skip
    assert not {r for r in rights if "secret" in r[1] or "role" in r[1] or "*" in "".join(r)}
    assert {verb for _, resource, verb in rights if resource == "pods"} == {"list", "watch"}
    assert len(rights) == len(set(rights)), "each right is named once"


def test_secrets_are_named_and_never_held():
    made = text(WISH)
    assert "kind: Secret" not in made and "holdfast-postgres" in made


def test_the_pods_meet_the_restricted_standard_and_let_nobody_in():
    kinds = {made["kind"]: made for made in objects(WISH)}
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "ingress" not in kinds["NetworkPolicy"]["spec"]
    assert kinds["PodDisruptionBudget"]["spec"]["maxUnavailable"] < WISH.replicas


def every(schema: dict[str, Any]):
    yield schema
    for key in ("properties", "additionalProperties", "items"):
        below = schema.get(key)
        if isinstance(below, dict):
            nodes = below.values() if key == "properties" else [below]
            for each in nodes:
                yield from every(each)


def test_a_structural_schema_has_no_words_that_the_api_server_refuses():
    refused = {"$ref", "$defs", "anyOf", "const", "default", "title", "patternProperties"}
    for node in every(structural(json_schema())):
        assert not refused & set(node), node
        assert {"type", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"} & set(
            node
        )


def test_sections_with_fields_stay_sections_with_fields():
    top = structural(json_schema())["properties"]
    assert top["promises"]["properties"]["p99"]["type"] == "string"
    assert top["promises"]["nullable"] and top["probes"]["nullable"]
    assert top["rollout"]["properties"]["strategy"]["enum"]
    sections = {name for name, node in top.items() if node.get("type") == "object"}
    assert sections >= {"run", "probes", "rollout", "promises", "image", "resources", "traffic"}


def test_most_of_the_spec_is_explained_and_typed():
    nodes = list(every(structural(json_schema())))
    typed = [node for node in nodes if "type" in node or "x-kubernetes-int-or-string" in node]
    assert len(typed) > 0.97 * len(nodes), (len(typed), len(nodes))
    assert {key for key in json_schema()["properties"]} == set(
        structural(json_schema())["properties"]
    )


# ---- on a real API server -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(api_server: Server) -> Server:
    for made in objects(WISH):
        api_server.apply(made, dry=False)
    api_server.wait_for("holdfast.dev/v1alpha1/Release")
    for _ in range(200):  # a policy counts a moment after it was stored
        try:
            api_server.apply(release(spec__image__digest=None))
        except Refused:
            return api_server
        time.sleep(0.1)
    raise AssertionError("the policy does not count")


def release(**changes: Any) -> dict[str, Any]:
    """``RELEASE`` with ``section__key=value``; ``None`` takes the key away."""
    made = copy.deepcopy(RELEASE)
    for path, value in changes.items():
        *sections, last = path.split("__")
        at = made
        for section in sections:
            at = at.setdefault(section, {})
        at[last] = value
        if value is None:
            del at[last]
    return made


@pytest.mark.live
def test_an_api_server_takes_every_object_strictly(installed):
    for made in objects(WISH):
        installed.apply(made)


@pytest.mark.live
def test_a_good_release_is_taken_and_its_target_is_the_cluster(installed):
    stored = installed.apply(release())
    assert stored["spec"]["target"] == "kubernetes"


BAD = {
    "mutable image": ({"spec__image__digest": None}, "pinned"),
    "digest of another kind": ({"spec__image__digest": "md5:1"}, "pinned"),
    "nobody's signature": ({"spec__image__signer": None}, "signed"),
    "somebody else's namespace": ({"spec__kubernetes": {"namespace": "kube-system"}}, "own namesp"),
    "another name": ({"spec__service": "shoop"}, "must be metadata.name"),
    "unknown field": ({"spec__replicsa": 3}, "field not declared"),
    "wrong type": ({"spec__replicas": "three"}, "replicas"),
    "too many": ({"spec__replicas": 100_000}, "10000"),
    "no strategy": ({"spec__rollout": {"strategy": "wild"}}, "strategy"),
    "a target on this machine": ({"spec__target": "local"}, "target"),
}


@pytest.mark.live
@pytest.mark.parametrize("changes, says", BAD.values(), ids=BAD)
def test_a_bad_release_is_refused_by_the_api_server_itself(installed, changes, says):
    with pytest.raises(Refused, match=says):
        installed.apply(release(**changes))


@pytest.mark.live
def test_a_service_keeps_its_target_for_life(installed):
    made = release(metadata__name="cart", spec__service="cart")
    installed.apply(made, dry=False)
    made["spec"]["target"] = "simulated"
    with pytest.raises(Refused, match="for life"):
        installed.apply(made)
    installed.ask("DELETE", installed.place(made))


def test_every_column_shows_a_field_of_the_status():
    columns = definition()["spec"]["versions"][0]["additionalPrinterColumns"]
    status = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
        "status"
    ]
    paths = {c["jsonPath"].removeprefix(".status.") for c in columns if ".status." in c["jsonPath"]}
    assert paths <= set(status["properties"])
