"""A Prometheus without an operator: what the local target runs, file for file.

Who is scraped is said in ``targets/*.json`` (file-based discovery): the local target writes them
as replicas come and go, each with the labels ``service`` and ``region``.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.names import duration, primary
from holdfast.spec.model import Service

#: job -> what answers there.
JOBS = ("service", "envoy", "conductor", "node", "alertmanager")


def render(service: Service) -> Iterator[Artifact]:
    keys = ("observability.scrape", "observability.metrics_path", "regions")
    yield Artifact(
        "observability/prometheus/prometheus.yml",
        configuration(service),
        "A plain Prometheus for one machine: the local target runs it as it is.",
        keys,
        ("T86", "T89", "T90"),
    )


def evaluation(service: Service) -> str:
    """Every other scrape: often enough for a page, and half the work."""
    return duration(2 * service.observability.scrape)


def configuration(service: Service) -> Object:
    scrape = service.observability.scrape
    return {
        "global": {
            "scrape_interval": duration(scrape),
            "scrape_timeout": duration(min(10.0, scrape)),
            "evaluation_interval": evaluation(service),
            "external_labels": {"region": primary(service).name, "replica": "local"},
        },
        "rule_files": ["rules/local.yml"],
        "alerting": {"alertmanagers": [_alertmanagers()]},
        "scrape_configs": [_itself(), *(_job(service, name) for name in JOBS)],
    }


def _alertmanagers() -> Object:
    return {"file_sd_configs": [{"files": ["targets/alertmanager.json"]}]}


def _itself() -> Object:
    return {"job_name": "prometheus", "static_configs": [{"targets": ["127.0.0.1:9090"]}]}


def _job(service: Service, name: str) -> Object:
    job: Object = {"job_name": name}
    if name == "service":
        job["metrics_path"] = service.observability.metrics_path
    if name == "envoy":
        job["metrics_path"] = "/stats/prometheus"
    job["file_sd_configs"] = [{"files": [f"targets/{name}.json"], "refresh_interval": "5s"}]
    return job
