"""CloudFormation: what a template names is in it, what a stack imports another one exports.

Within a template cfn-lint says the same where it is installed; that a value which is imported is
exported somewhere, nobody says before the deployment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.artifacts.check.whole import Whole, at, table
from holdfast.artifacts.check.written import Pointer, Written, walk
from holdfast.supply.finding import Finding

_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")
_TYPE = re.compile(r"(AWS|Alexa|Custom)::\w+(::\w+)?(::MODULE)?")
_GLOBAL = "global"
#: CloudFormation User Guide, "Template sections" and "Resource attributes".
_SECTIONS = frozenset({
    "AWSTemplateFormatVersion", "Conditions", "Description", "Mappings", "Metadata", "Outputs",
    "Parameters", "Resources", "Rules", "Transform",
})  # fmt: skip
_ATTRIBUTES = frozenset({
    "Condition", "CreationPolicy", "DeletionPolicy", "DependsOn", "Metadata", "Properties", "Type",
    "UpdatePolicy", "UpdateReplacePolicy",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Template:
    """One template, and the directory of its region."""

    file: Written
    body: dict[str, Any]

    @property
    def place(self) -> str:
        return self.file.path.split("/")[-2] if "/" in self.file.path else ""

    def finding(self, place: Pointer, found: str, wanted: str) -> Finding:
        line = self.file.line(0, place)
        return Finding("holdfast/stack", self.file.path, found, wanted, line, self.file.key)


def check(whole: Whole) -> Iterator[Finding]:
    templates = [
        Template(file, each)
        for file in whole.files
        for each in file.objects
        if isinstance(each, dict) and isinstance(each.get("Resources"), dict)
    ]
    exports = {(each.place, name) for each in templates for name in _exports(each)}
    for each in templates:
        yield from _shape(each)
        yield from _inside(each)
        yield from _imports(each, exports)


def _exports(template: Template) -> Iterator[str]:
    for output in table(template.body, "Outputs").values():
        yield str(at(output, "Export", "Name"))


def _shape(template: Template) -> Iterator[Finding]:
    for name in template.body.keys() - _SECTIONS:
        yield template.finding((name,), f"the section {name}", ", ".join(sorted(_SECTIONS)))
    for name, each in template.body["Resources"].items():
        if not _TYPE.fullmatch(str(at(each, "Type"))):
            found = f"{name} of the type {at(each, 'Type')}"
            yield template.finding(("Resources", name), found, "such as AWS::S3::Bucket")
        for key in (each if isinstance(each, dict) else {}).keys() - _ATTRIBUTES:
            found, wanted = f"{key} of {name}", ", ".join(sorted(_ATTRIBUTES))
            yield template.finding(("Resources", name, key), found, wanted)


def _inside(template: Template) -> Iterator[Finding]:
    body = template.body
    values = {*table(body, "Parameters"), *table(body, "Resources")}
    conditions = {*table(body, "Conditions")}
    read: set[str] = set()
    for place, value in walk(body):
        for name in _named(place, value):
            read.add(name)
            if name not in values and not name.startswith("AWS::"):
                yield template.finding(place, f"{name}, which is not here", _list(values))
        for name in _conditional(place, value):
            if name not in conditions:
                yield template.finding(place, f"the condition {name}", _list(conditions))
    for name in table(body, "Parameters").keys() - read:
        found = f"the parameter {name}, which nothing reads"
        yield template.finding(("Parameters", name), found, "one that is read, or none")


def _named(place: Pointer, value: Any) -> Iterator[str]:
    """Names of parameters and resources in one value."""
    key = place[-1] if place else ""
    if key == "Ref" and isinstance(value, str):
        yield value
    elif key == "Fn::GetAtt" and value:
        yield str(value if isinstance(value, str) else value[0]).partition(".")[0]
    elif key == "Fn::Sub":
        text = value[0] if isinstance(value, list) and value else value
        own = table(value, 1) if isinstance(value, list) else {}
        names = (each.partition(".")[0] for each in _VARIABLE.findall(str(text)))
        yield from (name for name in names if name not in own)
    elif key == "DependsOn" and len(place) == 3:
        yield from map(str, value if isinstance(value, list) else [value])


def _conditional(place: Pointer, value: Any) -> Iterator[str]:
    key = place[-1] if place else ""
    if key == "Condition" and isinstance(value, str):
        yield value
    elif key == "Fn::If" and isinstance(value, list) and value:
        yield str(value[0])


def _imports(template: Template, exports: set[tuple[str, str]]) -> Iterator[Finding]:
    """A stack for all lives beside those of one region; each region has the same exports."""
    places = {template.place, _GLOBAL}
    known = {name for place, name in exports if template.place == _GLOBAL or place in places}
    for place, value in walk(template.body):
        imported = place[-1:] == ("Fn::ImportValue",) and isinstance(value, str)
        if imported and value not in known:
            yield template.finding(place, f"the import {value}", "a value that is exported")


def _list(names: set[str]) -> str:
    return f"one of {', '.join(sorted(names)[:12])}" if names else "none"
