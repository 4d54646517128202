"""Commands of the same image that end: once per release (Job) or by a schedule (CronJob)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes import pod
from holdfast.artifacts.kubernetes.objects import BASE, WAVE, named, namespaced
from holdfast.spec.model import Service
from holdfast.spec.production.kubernetes import Job

_KEPT = 3  # finished runs that stay for people to look at
_LATE = 300  # seconds a scheduled start may be late before it is left out


def render(service: Service) -> Iterable[Artifact]:
    keys = (*pod.JOB_KEYS, "kubernetes.jobs", "kubernetes.namespace")
    for job in service.kubernetes.jobs:
        yield Artifact(
            f"{BASE}/job-{job.name}.yaml",
            _cron(service, job) if job.schedule else _once(service, job),
            f"The job {job.name}: {_when(job)}.",
            keys,
            ("T40",) if job.schedule else ("T39",),
        )


def _when(job: Job) -> str:
    return f"runs by the schedule {job.schedule}, UTC" if job.schedule else "runs once per release"


def _once(service: Service, job: Job) -> Object:
    """A Job cannot be changed, so its name says which release it belongs to."""
    spec, name = _spec(service, job), named(service, job.name)
    said = json.dumps(spec, sort_keys=True)
    unique = hashlib.sha256(said.encode()).hexdigest()[:8]
    found = namespaced(service, "batch/v1/Job", f"{name}-{unique}", job.name)
    found["metadata"]["annotations"] = {
        WAVE: "-1",
        "argocd.argoproj.io/sync-options": "Replace=true,Force=true",
    }
    return {**found, "spec": spec}


def _cron(service: Service, job: Job) -> Object:
    found = namespaced(service, "batch/v1/CronJob", named(service, job.name), job.name)
    found["spec"] = {
        "schedule": job.schedule,
        "timeZone": "Etc/UTC",
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": _LATE,
        "successfulJobsHistoryLimit": _KEPT,
        "failedJobsHistoryLimit": _KEPT,
        "jobTemplate": {
            "metadata": {"labels": names.beside(service, job.name)},
            "spec": _spec(service, job),
        },
    }
    return found


def _spec(service: Service, job: Job) -> Object:
    """A pod that was moved by the cluster is no failed try."""
    moved = {"type": "DisruptionTarget", "status": "True"}
    return {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": job.retries,
        "activeDeadlineSeconds": names.seconds(job.deadline),
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [moved]}]},
        "template": pod.job_template(service, job.name, job.command),
    }
