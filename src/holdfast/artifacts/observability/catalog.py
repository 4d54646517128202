"""The renderers of this family, in the order of its pages."""

from __future__ import annotations

from holdfast.artifacts.artifact import Renderer
from holdfast.artifacts.observability import (
    elastic,
    exporters,
    fluentbit,
    grafana,
    jaeger,
    kustomize,
    monitors,
    openslo,
    operator,
    plain_alertmanager,
    plain_prometheus,
    rule_tests,
    rules,
    tracing,
)

RENDERERS: tuple[Renderer, ...] = (
    rules.render,
    rule_tests.render,
    openslo.render,
    plain_prometheus.render,
    plain_alertmanager.render,
    operator.render,
    monitors.render,
    exporters.render,
    elastic.render,
    fluentbit.render,
    tracing.render,
    jaeger.render,
    grafana.render,
    kustomize.render,
)
