"""Hostile texts, the services they are written into, and how others read what comes of it.

``MARK`` is in every hostile text and nowhere else: where it is found, a person's words are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from holdfast.artifacts.catalog import render
from holdfast.spec import rules
from holdfast.spec.fields import find, generic, options
from holdfast.spec.load import load
from holdfast.spec.model import Service
from holdfast.spec.variants import allowed, replaced, values

EVERYTHING = Path(__file__).with_name("everything.yaml")
MARK = "Zq9"
HARMLESS = f"{MARK}harmless"
#: Each text, and what is left of it for keys that do not take all of its characters. Whoever runs
#: ``canary`` leaves a file.
HOSTILE = {
    "quotes": (f"{MARK}a'b\"c\\d'\"\\", f"{MARK}a'b\"c\\d", f"{MARK}a'b\"c", f"{MARK}'"),
    "lines": (f"{MARK}a\nb: c\n- d\n---\nkind: Secret\nRUN evil\n@evil\n", f"{MARK}\rb"),
    "expressions": (
        f"{MARK}${{{{ secrets.{MARK} }}}} {{{{ .{MARK} }}}} <<.{MARK}>> ${{{MARK}}} %{{{MARK}}}",
        f"${{{{{MARK}}}}}", f"${{{MARK}}}%{{{MARK}}}$({MARK})", f"%REQ({MARK})%",
    ),
    "commands": (
        f"{MARK}$(canary) `canary` ; canary && canary | canary\n canary",
        f"{MARK}$(canary) `canary` ; canary && canary | canary # canary",
        f"{MARK}$(canary)`canary`;canary", f"{MARK}';canary;'",
    ),
    "variables": (f"$(PORT) ${{PORT}} $PORT {MARK} ${{AWS::Region}}", f"${{AWS::Region}}{MARK}"),
    "unicode": (f"{MARK}\u00e9\u2026\u5b57 \U0001f680\u202e\u2028", f"{MARK}\u00e9\u5b57"),
    "comments": (f"{MARK}*/ --> ]]> # // ; -- x", f"{MARK}*/-->]]>//;--x", f"{MARK}--x"),
    "nodes": (f"!!python/object:{MARK}", f"&{MARK}", f"- {MARK}: *{MARK}"),
    "long": (MARK + "x" * 10_000,),
}  # fmt: skip
#: Other artifacts exist with these.
FORMS: dict[str, dict[str, Any]] = {
    "mesh": {},
    "nginx": {
        "kubernetes": {"mesh": "none", "ingress": "nginx", "workload": "stateful"},
        "image": {"language": "python"},
        "autoscaling": {"by": "adapter"},
        "traffic": {"balance": "least-request"},
        "resilience": {"database": "cockroach", "objects": "minio"},
    },
    "traefik": {
        "kubernetes": {"mesh": "none", "ingress": "traefik", "network": "cilium"},
        "image": {"language": "node", "digest": None, "signer": ""},
        "traffic": {"balance": "least-request"},
        "rollout": {"strategy": "rolling"},
    },
}


@cache
def service(form: str) -> Service:
    found = load(EVERYTHING)
    for section, keys in FORMS[form].items():
        for key, value in keys.items():
            found = replaced(found, (section, key), value)
    assert not [each for each in rules.check(found) if each.breaks]
    return found


def is_text(path: tuple[Any, ...]) -> bool:
    """Whether a key takes text: any, or text of a form."""
    key = find(generic(path))
    kinds = [getattr(o, "__origin__", o) if hasattr(o, "__metadata__") else o
             for o in options(key.hint_type)] if key else []  # fmt: skip
    return str in kinds


def texts(found: Service) -> Iterator[tuple[Any, ...]]:
    yield from (path for path, value in values(found, ()) if isinstance(value, str)
                and is_text(path))  # fmt: skip


@cache
def attack(form: str, kind: str) -> dict[tuple[Any, ...], str]:
    """Each key that takes some of the texts of a kind -> the first that it takes."""
    found = {}
    for path in texts(service(form)):
        text = next((t for text in HOSTILE[kind] for t in (text, f"/{text}")
                     if accepts(form, path, t)), None)  # fmt: skip
        if text:
            found[path] = text
    return found


def accepts(form: str, path: tuple[Any, ...], text: str) -> bool:
    if not allowed(find(generic(path)), text):
        return False
    given = replaced(service(form), path, text)
    return not any(finding.breaks for finding in rules.check(given))


@cache
def attacked(form: str, kind: str, harmless: bool = False) -> dict[str, str]:
    """The whole set with the texts of a kind wherever they are taken; or a harmless one there."""
    found = service(form)
    for path, text in attack(form, kind).items():
        found = replaced(found, path, f"/{HARMLESS}" if text[0] == "/" else HARMLESS)
        if not harmless:
            found = replaced(found, path, text)
    return {file.path: file.data.decode() for file in render(found)}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every text of a document, with its place."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, (*path, index))
    elif isinstance(value, str):
        yield path, value


def shape(value: Any) -> Any:
    """The structure without the words; a text is only a text."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(each) for each in value] if isinstance(value, list) else type(value)


def kubernetes(text: str) -> str:
    """What a container is given for a value of its environment or an argument.

    Source: k8s.io/kubernetes third_party/forked/golang/expansion: ``$(NAME)`` is replaced, and
    ``$$`` is a dollar.
    """
    return re.sub(r"\$(\$|\(PORT\))", lambda m: "$" if m[1] == "$" else "EXPANDED", text)


def compose(text: str) -> str:
    """Source: Compose specification, interpolation: ``$$`` is a dollar, any other is replaced."""
    return re.sub(r"\$(.)", lambda m: "$" if m[1] == "$" else "EXPANDED", text)


def bake(text: str) -> str:
    """Source: HCL templates: ``$${`` and ``%%{`` stand for themselves."""
    return re.sub(r"(\$\$|%%|\$|%)\{", lambda m: m[1][0] + "{" if len(m[1]) > 1 else "EXPANDED",
                  text)  # fmt: skip
