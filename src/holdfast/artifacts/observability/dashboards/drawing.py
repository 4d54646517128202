"""A board as Grafana's JSON, by the foundation SDK; ids and places are ours, so links stay."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    gauge,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.observability.dashboards.chart import Board, Chart, Query, Row, placed
from holdfast.artifacts.signals import RECORDED
from holdfast.spec.model import Service

_SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
_UID_MAX = 40
_GREEN, _RED = "green", "red"
_PANELS: Final[dict[str, Any]] = {
    "lines": timeseries.Panel, "stacked": timeseries.Panel, "number": stat.Panel,
    "gauge": gauge.Panel, "bars": bargauge.Panel, "table": table.Panel,
}  # fmt: skip


def uid(service: Service, name: str) -> str:
    """At most 40 characters; a long name of a service is told apart by its digest."""
    own, room = service.service, _UID_MAX - len(name) - 1
    if len(own) > room:
        own = f"{own[: room - 9]}-{hashlib.sha256(own.encode()).hexdigest()[:8]}"
    return f"{own}-{name}"


def drawn(board: Board, service: Service) -> Object:
    """The JSON model of one dashboard."""
    page = (
        dashboard.Dashboard(board.title)
        .uid(uid(service, board.name))
        .description(board.about)
        .tags(["holdfast", service.service])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .editable()
    )
    for variable in _variables(board, service):
        page.with_variable(variable)
    page.link(_links(service))
    for panel in _panels(board):
        page.with_row(panel) if isinstance(panel, dashboard.Row) else page.with_panel(panel)
    found: Object = json.loads(JSONEncoder().encode(page.build()))
    return found


def _links(service: Service) -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("The other dashboards")
    return (
        link.type(model.DashboardLinkType.DASHBOARDS)
        .tags(["holdfast", service.service])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )


def _variables(board: Board, service: Service) -> Iterator[Any]:
    yield dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    series = RECORDED.chosen(RECORDED.requests, service)
    yield _choice("region", "Region", f"label_values({series}, region)")
    releases = RECORDED.chosen(RECORDED.release_requests, service)
    yield _choice("release", "Release", f"label_values({releases}, release)")
    for each in board.settings:
        option = model.VariableOption(text=each.value, value=each.value, selected=True)
        variable = dashboard.TextBoxVariable(each.name).label(each.label)
        yield variable.default_value(each.value).current(option)


def _choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    every = model.VariableOption(text="All", value="$__all", selected=True)
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_SOURCE)
        .query(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(every)
    )


# ---- panels --------------------------------------------------------------------------------------


def _panels(board: Board) -> Iterator[Any]:
    """Rows and their charts, one below the other; ids count from 1."""
    top, number = 0, 0
    for row in board.rows:
        number += 1
        yield _heading(row, number, top)
        top += 1
        for each, left, line in placed(row.charts, top):
            number += 1
            yield _panel(each, number, left, line)
        top = max(line + each.height for each, _, line in placed(row.charts, top))


def _heading(row: Row, number: int, top: int) -> dashboard.Row:
    return (
        dashboard.Row(row.title)
        .id(number)
        .collapsed(False)
        .grid_pos(model.GridPos(h=1, w=24, x=0, y=top))
    )


def _panel(each: Chart, number: int, left: int, line: int) -> Any:  # noqa: ANN401  # of six kinds
    panel = (
        _PANELS[each.look]()
        .id(number)
        .title(each.title)
        .datasource(_SOURCE)
        .grid_pos(model.GridPos(h=each.height, w=each.width, x=left, y=line))
        .unit(each.unit)
        .thresholds(_thresholds(each))
    )
    if each.about:
        panel.description(each.about)
    for index, query in enumerate(each.queries):
        panel.with_target(_target(query, index, each.look == "table"))
    _styled(panel, each)
    return panel


def _target(query: Query, index: int, as_table: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + index))
    target.datasource(_SOURCE)
    if query.legend:
        target.legend_format(query.legend)
    if as_table:
        return target.instant().format(PromQueryFormat.TABLE)
    return target.range()


def _styled(panel: Any, each: Chart) -> None:  # noqa: ANN401
    if each.look in ("lines", "stacked"):
        panel.fill_opacity(10 if each.look == "lines" else 60).line_width(1)
        panel.show_points(kinds.VisibilityMode.NEVER)
        panel.legend(_legend())
        if each.look == "stacked":
            panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL))
        if each.limit is not None:
            line = common.GraphThresholdsStyleConfig()
            panel.thresholds_style(line.mode(kinds.GraphThresholdsStyleMode.LINE))
    elif each.look != "table":
        panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .show_legend(True)
    )


def _thresholds(each: Chart) -> dashboard.ThresholdsConfig:
    """Without a lower bound the first step is the colour of everything below the second."""
    low, high = (_GREEN, _RED) if each.worse == "above" else (_RED, _GREEN)
    steps = [model.Threshold(value=None, color=low if each.limit is not None else _GREEN)]
    if each.limit is not None:
        steps.append(model.Threshold(value=each.limit, color=high))
    config = dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE)
    return config.steps(steps)
