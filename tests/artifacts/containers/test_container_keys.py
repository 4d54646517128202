"""What a file of the container family says shaped it is what shapes it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import shaping
from container_files import LANGUAGES, of_language, rendered

from holdfast.spec.load import load, load_text

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "10-production"
#: Keys that change nothing in the four examples.
MORE = (
    "service: shop\nrun: {command: python a.py, secrets: {T: env:T}}\n"
    "waivers: [{rule: trivy/CVE-2026-1, reason: unreachable, expires: 2027-01-31}]\n"
    "image: {mirrors: {eu-west: registry.eu.example.com}}\n",
    "service: shop\nrun: ./shop --version $HOLDFAST_VERSION\nresources: {hugepages: 2MiB}\n",
)


@cache
def shapes() -> shaping.Shapes:
    services = (
        *map(load, sorted(EXAMPLES.glob("*.yaml"))),
        *map(of_language, LANGUAGES),
        *map(load_text, MORE),
    )
    return shaping.observed(services, rendered)


def test_no_key_changes_a_container_file_that_does_not_name_it():
    assert not shaping.silent(shapes())


def test_every_key_that_a_container_file_names_can_change_it():
    assert not shaping.idle(shapes())
