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

#: Everything but the kustomizations, which list what these render.
_OBJECTS: tuple[Renderer, ...] = (
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
)

RENDERERS: tuple[Renderer, ...] = (*_OBJECTS, kustomize.over(_OBJECTS))
