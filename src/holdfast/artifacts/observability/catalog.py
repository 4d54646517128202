"""The renderers of this family, in the order of its pages."""

from __future__ import annotations

from holdfast.artifacts.artifact import Renderer
from holdfast.artifacts.observability import (
    openslo,
    plain_alertmanager,
    plain_prometheus,
    rule_tests,
    rules,
)

RENDERERS: tuple[Renderer, ...] = (
    rules.render,
    rule_tests.render,
    openslo.render,
    plain_prometheus.render,
    plain_alertmanager.render,
)
