"""``holdfast.yaml`` as typed, frozen values. Durations are seconds, sizes bytes, rates per second.

Most sections have a one-word short form (``rollout: canary``, ``run: python engine.py``,
``traffic: 8080``); ``_short`` names the field it stands for. Pure: reading files is
``spec/load.py``, rules over several keys are ``spec/rules.py``. Every description here is what
``holdfast explain``, the JSON Schema and the reference say.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from holdfast.spec.kinds import (
    Clock,
    Count,
    Duration,
    Name,
    Number,
    Percent,
    Rate,
    Size,
    Switch,
    Text,
)
from holdfast.spec.production.autoscaling import Autoscaling
from holdfast.spec.production.delivery import Delivery
from holdfast.spec.production.image import Image
from holdfast.spec.production.kubernetes import Kubernetes
from holdfast.spec.production.observability import Observability
from holdfast.spec.production.regions import REGIONS, Region, settled
from holdfast.spec.production.resilience import Resilience
from holdfast.spec.production.resources import Resources
from holdfast.spec.production.waivers import Waiver
from holdfast.spec.section import Section


class Stop(Section):
    """How an instance is asked to end."""

    signal: Literal["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"] = Field(
        default="SIGTERM", description="the signal that asks the program to finish and exit"
    )
    grace: Duration = Field(default=10.0, description="how long it may take; then SIGKILL")


class Logs(Section):
    """The instances' stdout and stderr."""

    max_size: Size = Field(default=10_000_000, description="a log file is rotated at this size")
    keep: Count = Field(default=5, ge=0, le=100, description="rotated files kept per instance")


class ProcessLimits(Section):
    """rlimits of one instance."""

    memory: Size | None = Field(
        default=None, description="private writable memory; empty: no limit"
    )
    open_files: Count = Field(default=4096, ge=16, le=2**20, description="file descriptors")
    processes: Count | None = Field(
        default=None, ge=1, le=2**22, description="processes of this user; empty: no limit"
    )


class Run(Section):
    """What runs. The program must listen on ``$PORT`` or on the inherited socket."""

    _short: ClassVar[str | None] = "command"
    command: Text | tuple[Text, ...] = Field(
        description="the program and its arguments; split like a shell would, never run by one; "
        "$PORT, $HOLDFAST_VERSION and the like are filled in"
    )
    cwd: Text = Field(default=".", description="working directory, relative to the spec file")
    env: dict[str, Text] = Field(default_factory=dict, description="environment variables")
    secrets: dict[str, Text] = Field(
        default_factory=dict,
        description="environment name -> reference: env:NAME reads the conductor's environment, "
        "file:PATH a file, relative to cwd; the value itself is never stored",
    )
    config: tuple[Text, ...] = Field(
        default=(),
        description="files or directories whose content is part of the release, relative to cwd: "
        "changing one is a new release",
    )
    listen: Literal["port", "inherited"] = Field(
        default="port",
        description="port: the program listens on $PORT; inherited: on file descriptor 3",
    )
    affinity: Literal["none", "spread"] | tuple[Count, ...] = Field(
        default="none", description="CPUs of an instance: any, one each in turn, or this list"
    )
    start: Literal["cold", "warm"] = Field(
        default="cold",
        description="cold: a new process each; warm: Python imports the program once, in a fork "
        "server, and forks the replicas",
    )
    nice_until_ready: Switch = Field(
        default=True, description="start at low priority so that a start does not slow the rest"
    )
    limits: ProcessLimits = Field(default=ProcessLimits(), description="rlimits of one instance")
    stop: Stop = Field(default=Stop(), description="how an instance is asked to end")
    logs: Logs = Field(default=Logs(), description="the instances' stdout and stderr")


class Breaker(Section):
    """Circuit breaker of one release's cluster."""

    max_connections: Count = Field(default=1024, ge=1, le=10**7, description="to all replicas")
    max_pending: Count = Field(default=1024, ge=1, le=10**7, description="requests in the queue")
    max_requests: Count = Field(default=1024, ge=1, le=10**7, description="requests in flight")
    max_retries: Count = Field(default=64, ge=0, le=10**7, description="retries in flight")


class Outlier(Section):
    """When one replica is ejected from load balancing."""

    consecutive_5xx: Count = Field(default=5, ge=1, le=10**6, description="bad answers in a row")
    eject: Duration = Field(default=5.0, description="out for this long, longer each time")
    max_ejected: Percent = Field(default=30, description="percent of replicas out at once at most")


class Traffic(Section):
    """The data plane in front of the replicas."""

    _short: ClassVar[str | None] = "port"
    port: Count = Field(default=8080, ge=1, le=65535, description="where users connect")
    address: Text = Field(default="127.0.0.1", description="loopback unless said otherwise")
    protocol: Literal["http1", "http2", "grpc", "tcp"] = Field(
        default="http1", description="what the program speaks"
    )
    balance: Literal["least-request", "round-robin", "ring-hash"] = Field(
        default="least-request", description="which replica gets the next request"
    )
    hash_header: Text = Field(default="x-user", description="what ring-hash looks at")
    idempotent: Switch = Field(
        default=False,
        description="every request may be repeated: after reset, 5xx and gRPC UNAVAILABLE too",
    )
    timeout: Duration = Field(default=15.0, description="of a whole request, retries included")
    try_timeout: Duration | None = Field(
        default=None, description="of one try; empty: only the whole request is bounded"
    )
    retries: Count = Field(default=2, ge=0, le=10, description="further tries at most")
    breaker: Breaker = Field(default=Breaker(), description="circuit breaker of one release")
    outlier: Outlier = Field(default=Outlier(), description="when one replica is ejected")
    access_log: Switch = Field(default=True, description="one JSON line per request")


class Probe(Section):
    """One HTTP GET (or TCP connect where ``path`` is empty) against one instance.

    Of gRPC the standard health service (``grpc.health.v1``) is asked: ``/`` is the server as a
    whole, ``/shop.Shop`` that service.
    """

    _short: ClassVar[str | None] = "path"
    path: Text = Field(
        default="",
        description="GET this, 2xx or 3xx passes; empty: a TCP connect; "
        "with grpc a service's health, / for the whole server",
    )
    every: Duration = Field(default=0.1, description="time between two probes")
    timeout: Duration = Field(default=1.0, description="an answer later than this is a failure")
    delay: Duration = Field(default=0.0, description="no probe before this, after the start")
    successes: Count = Field(default=1, ge=1, le=1000, description="in a row to pass")
    failures: Count = Field(default=3, ge=1, le=1000, description="in a row to fail")


class LiveProbe(Probe):
    """Like ``ready``, looked at less often: an instance that fails it is replaced.

    Of http2 and grpc only whether the instance takes the first step of HTTP/2 is looked at.
    """

    path: Text = Field(default="", description="GET this, 2xx or 3xx passes; empty: a TCP connect")
    every: Duration = Field(default=1.0, description="time between two probes")


class Smoke(Section):
    """A request that must be answered right before an instance gets traffic."""

    _short: ClassVar[str | None] = "path"
    path: Text = Field(default="/", description="where the request goes")
    method: Literal["GET", "POST", "HEAD"] = Field(default="GET", description="of the request")
    body: Text = Field(default="", description="of the request")
    headers: dict[str, Text] = Field(default_factory=dict, description="of the request")
    status: Count = Field(default=200, ge=100, le=599, description="the status wanted")
    contains: Text = Field(default="", description="text the answer must contain")
    timeout: Duration = Field(default=2.0, description="an answer later than this is wrong")


class Probes(Section):
    """When an instance may serve (ready), must be replaced (live), and is let in (smoke)."""

    ready: Probe = Field(default=Probe(), description="passes: the instance may get traffic")
    live: LiveProbe = Field(default=LiveProbe(), description="fails: the instance is replaced")
    smoke: tuple[Smoke, ...] = Field(
        default=(), description="requests that must be answered right before traffic (http1)"
    )
    version_header: Text | None = Field(
        default=None, description="a header of the ready answer that must equal the version (http1)"
    )
    start_within: Duration = Field(default=10.0, description="not ready by then: never-ready")


class CanaryStep(Section):
    """One rung of a canary."""

    _short: ClassVar[str | None] = "weight"
    weight: Percent = Field(description="percent of traffic the new release carries")
    hold: Duration = Field(default=0.0, description="stay at least this long, evidence or not")
    max: Duration = Field(default=300.0, description="judged no longer: then on_insufficient")
    approvals: Count = Field(default=0, ge=0, le=10, description="people needed to go on")


class Analysis(Section):
    """How a canary is judged."""

    metrics: tuple[Literal["errors", "slow"], ...] = Field(
        default=("errors",), description="errors: failed answers; slow: slower than promises.p99"
    )
    alpha: Number = Field(
        default=0.01, gt=0, lt=0.5, description="chance of a false stop per rollout"
    )
    warm_up: Duration = Field(default=1.0, description="first seconds of a step, not judged")
    ratio_tolerated: Number = Field(
        default=1.25,
        ge=1,
        le=10,
        description="up to this ratio to the old release is no regression",
    )
    error_rate_max: Number = Field(
        default=0.01, gt=0, lt=1, description="PASS shows fewer errors than this, at 95 %"
    )
    slow_rate_max: Number = Field(
        default=0.05, gt=0, lt=1, description="PASS shows fewer slow answers than this, at 95 %"
    )


class Window(Section):
    """When rollouts may start: weekdays and UTC hours. A rollback is never blocked."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(
        default=("mon", "tue", "wed", "thu", "fri"), description="weekdays in UTC"
    )
    start: Clock = Field(default="00:00", description="first minute, UTC")
    end: Clock = Field(default="24:00", description="first minute after it, UTC")


class Freeze(Section):
    """No rollout between two UTC instants (RFC 3339)."""

    start: Text = Field(description="an instant, such as 2026-12-20T00:00:00Z")
    end: Text = Field(description="an instant, such as 2027-01-02T08:00:00Z")
    reason: Text = Field(default="", description="said to whoever asks why")


class Rollout(Section):
    """How a new release replaces the old one."""

    _short: ClassVar[str | None] = "strategy"
    strategy: Literal["rolling", "blue-green", "canary"] = Field(
        default="rolling",
        description="rolling: instance by instance; blue-green: a whole second fleet, then one "
        "switch; canary: a rising share of traffic, judged at each step",
    )
    steps: tuple[CanaryStep, ...] = Field(
        default=(
            CanaryStep(weight=5),
            CanaryStep(weight=25),
            CanaryStep(weight=50),
            CanaryStep(weight=100),
        ),
        description="the rungs of a canary; weights rise and end at 100",
    )
    max_surge: Count = Field(default=2, ge=0, le=10_000, description="instances above replicas")
    max_unavailable: Count = Field(
        default=0, ge=0, le=10_000, description="instances below replicas"
    )
    keep_warm: Duration = Field(
        default=900.0, description="the old release stays whole: rollback is one route write"
    )
    bake: Duration = Field(default=0.0, description="watched at 100 % before it is promoted")
    deadline: Duration = Field(default=600.0, description="of the whole rollout, then rollback")
    step_deadline: Duration = Field(default=300.0, description="of one step to carry its weight")
    no_progress: Duration = Field(default=120.0, description="no further instance ready: rollback")
    drain: Duration = Field(default=30.0, description="in-flight work may take this long")
    approvals: Count = Field(
        default=0, ge=0, le=10, description="people needed before a rollout starts to shift"
    )
    on_conflict: Literal["replace", "queue", "refuse"] = Field(
        default="refuse", description="a deploy while another runs"
    )
    on_source_down: Literal["hold", "promote", "rollback"] = Field(
        default="hold", description="metrics are silent for longer than source_down"
    )
    on_insufficient: Literal["hold", "promote", "rollback"] = Field(
        default="rollback", description="too few requests to judge within a step's max"
    )
    source_down: Duration = Field(default=60.0, description="metrics may be silent this long")
    analysis: Analysis = Field(default=Analysis(), description="how a canary is judged")
    windows: tuple[Window, ...] = Field(
        default=(), description="when rollouts may start; none: always"
    )
    freezes: tuple[Freeze, ...] = Field(default=(), description="when no rollout may start")


class Promises(Section):
    """What is promised about the service; ``holdfast drill`` measures each."""

    deploy: Duration = Field(default=300.0, description="P1: deploy to last replica serving")
    rollback: Duration = Field(default=30.0, description="P2: trigger to last bad request")
    failed: Count = Field(
        default=0, ge=0, le=10**9, description="P3: failed requests while deploying"
    )
    p99: Duration = Field(default=0.010, description="P6: 99th percentile latency")
    throughput: Rate = Field(default=0.0, description="P7: units of work per second; 0/s: none")
    availability: Number = Field(default=99.999, gt=0, le=100, description="P8: percent")


class Service(Section):
    """One service and what is promised about it. Top level of ``holdfast.yaml``."""

    service: Name = Field(description="the name of the service, unique on its conductor")
    version: Text | None = Field(
        default=None, description="what people call this release; empty: named when it is deployed"
    )
    target: Literal["local", "kubernetes", "simulated"] = Field(
        default="local",
        description="where it runs: processes behind Envoy, a Kubernetes cluster, or a simulation",
    )
    run: Run = Field(description="what runs")
    replicas: Count = Field(default=2, ge=0, le=10_000, description="instances that serve")
    traffic: Traffic = Field(default=Traffic(), description="the data plane in front of them")
    probes: Probes = Field(default=Probes(), description="when an instance may serve")
    rollout: Rollout = Field(default=Rollout(), description="how a new release replaces the old")
    promises: Promises = Field(default=Promises(), description="what the drills measure")
    image: Image = Field(default=Image(), description="the container image")
    resources: Resources = Field(default=Resources(), description="what one instance gets")
    autoscaling: Autoscaling = Field(default=Autoscaling(), description="how replicas follow load")
    regions: tuple[Region, ...] = Field(default=REGIONS, description="where it runs, primary first")
    kubernetes: Kubernetes = Field(default=Kubernetes(), description="how it runs on Kubernetes")
    delivery: Delivery = Field(default=Delivery(), description="from a commit to production")
    observability: Observability = Field(
        default=Observability(), description="metrics, alerts, logs, traces, dashboards"
    )
    resilience: Resilience = Field(
        default=Resilience(), description="data services, backups, protection"
    )
    waivers: tuple[Waiver, ...] = Field(
        default=(), description="findings of `holdfast check` accepted for a while, with a reason"
    )

    @field_validator("regions")
    @classmethod
    def _settle(cls, regions: tuple[Region, ...]) -> tuple[Region, ...]:
        return settled(regions)
