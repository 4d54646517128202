"""One page for every alert there can be for a service, and the procedures that alerts refer to."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import alerts
from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.resilience.objects import RUNBOOKS
from holdfast.artifacts.resilience.runbooks import (
    data,
    instances,
    keepers,
    machines,
    procedures,
    users,
)
from holdfast.artifacts.resilience.runbooks.page import Page, Steps, markdown
from holdfast.artifacts.resilience.runbooks.shaped import keys
from holdfast.artifacts.resilience.runbooks.words import Words
from holdfast.spec.model import Service


def render(service: Service) -> Iterator[Artifact]:
    words = Words(service)
    known = steps(words)
    for alert in existing(service):
        yield _artifact(service, alert.page, _page(service, alert, known[alert.name]))
    for name, page in procedures.pages(words).items():
        yield _artifact(service, name, page)


def existing(service: Service) -> tuple[alerts.Alert, ...]:
    """The alerts of either place; one that exists in both once."""
    both = (*alerts.alerts(service), *alerts.alerts(service, "local"))
    return tuple({alert.name: alert for alert in both}.values())


def steps(words: Words) -> dict[str, Steps]:
    families = (users, instances, machines, data, keepers)
    return {name: found for family in families for name, found in family.steps(words).items()}


def _page(service: Service, alert: alerts.Alert, found: Steps) -> Page:
    called = {"page": "somebody is called at once", "ticket": "it can wait for the morning"}
    when = called.get(alert.severity, "nobody is called")
    return Page(
        title=f"{alert.name}: {service.service}",
        means=f"{alert.about}. Severity `{alert.severity}`: {when}.",
        look=found.look,
        act=found.act,
        verify=found.verify,
        call=found.call,
        severity=alert.severity,
    )


def _artifact(service: Service, name: str, page: Page) -> Artifact:
    return Artifact(
        f"{RUNBOOKS}/{name}.md", markdown(page, service),
        "What to do, in this service's own names and commands.", keys(name, page.severity),
        ("T126", "T128", "T130"),
    )  # fmt: skip
