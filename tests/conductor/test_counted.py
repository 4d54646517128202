"""Counters of releases on a cluster: by every name a metric may call them, or a reason why not."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("httpx2", reason="httpx2 is not installed: holdfast[kubernetes]")

from holdfast.conductor.counted import Counted
from holdfast.rollout.model import Release
from holdfast.runtime.clock import LoopClock
from holdfast.spec.load import load_text
from holdfast.targets.base import Bundle, Unreachable
from holdfast.targets.kubernetes.marks import hashed, object_name
from holdfast.targets.kubernetes.target import by_names


def bundle(version="v1", digest="a", more=""):
    service = load_text(f"service: shop\nversion: {version}\nrun: python shop.py\n{more}")
    return Bundle(Release(f"{version}-{digest}", digest * 64, version), service)


def test_without_a_source_the_spec_is_told_what_to_set():
    async def ask():
        await Counted(LoopClock()).counters(bundle(), {})

    with pytest.raises(Unreachable, match=r"set observability\.prometheus"):
        asyncio.run(ask())


def test_a_source_that_does_not_answer_is_unreachable_and_says_why():
    async def ask():
        counted = Counted(LoopClock())
        try:
            await counted.counters(
                bundle(more="observability: {prometheus: 'http://127.0.0.1:9'}"), {}
            )
        finally:
            await counted.aclose()

    with pytest.raises(Unreachable, match=r"observability\.prometheus: .+"):
        asyncio.run(ask())


def test_a_release_is_known_by_id_hash_address_and_its_version_when_that_is_its_own():
    names = by_names([bundle("v1", "a"), bundle("v2", "b"), bundle("v2", "c")])
    assert names["v1"] == names["v1-a"] == names[hashed("v1-a")] == "v1-a"
    assert names[object_name("shop", "v2-b")] == "v2-b"
    assert "v2" not in names
