"""Runbooks of what users notice."""

from __future__ import annotations

from holdfast.artifacts.names import duration
from holdfast.artifacts.resilience.runbooks.page import Steps
from holdfast.artifacts.resilience.runbooks.words import Words
from holdfast.artifacts.signals import RECORDED


def steps(words: Words) -> dict[str, Steps]:
    return {
        **_failures(words),
        **_latency(words),
        **_traffic(words),
        "ThroughputBelowPromise": _throughput(words),
    }


def _seen(words: Words) -> list[str]:
    """What everything about users begins with: when it began, and what changed then."""
    errors = f'{RECORDED.release_errors}{{service="{words.name}"}}'
    return [
        words.region,
        "Which release fails, and did it begin with a rollout?",
        f"$ {words.prom(errors)}",
        f"$ {words.k} rollout history {words.workload}",
        f"$ {words.k} get pods -l {words.selector} -o wide",
        f"$ {words.k} logs -l {words.selector} --tail=100 --prefix",
    ]


def _back(words: Words) -> list[str]:
    return [
        "It began with a release: take it back at once and look for the cause afterwards, see "
        "[rollback](rollback.md).",
        "It is in one region only: move its users away, see [failover](failover.md).",
    ]


def _healthy(words: Words) -> list[str]:
    ratio = f'{RECORDED.error_ratio}5m{{service="{words.name}"}}'
    return [
        f"$ {words.prom(ratio)}",
        f"$ curl -sS -o /dev/null -w '%{{http_code}} %{{time_total}}\\n' {words.url}",
        f"Below {100 - words.service.promises.availability:g} percent of failures for ten minutes.",
    ]


def _failures(words: Words) -> dict[str, Steps]:
    both = Steps(
        look=_seen(words),
        act=[
            *_back(words),
            "A dependency fails: the breaker keeps the rest alive; go to the alert of that "
            "dependency, which is firing too.",
        ],
        verify=_healthy(words),
    )
    slow = Steps(
        look=_seen(words),
        act=[*_back(words), "It is a trickle: find the requests that fail in the logs first."],
        verify=_healthy(words),
    )
    return {
        "MostRequestsFail": Steps(
            look=_seen(words),
            act=_back(words),
            verify=_healthy(words),
            call="More than one region fails: call the second line now, do not wait.",
        ),
        "AvailabilityBurnsFast": both,
        "AvailabilityBurnsSlowly": slow,
    }


def _latency(words: Words) -> dict[str, Steps]:
    promised = duration(words.service.promises.p99)
    p99 = f'{RECORDED.latency}{{service="{words.name}",quantile="0.99"}}'
    found = Steps(
        look=[
            *_seen(words),
            "Is it all releases, and are the processors busy?",
            f"$ {words.prom(p99)}",
            f"$ {words.k} top pods -l {words.selector} --containers",
        ],
        act=[
            "Processors are busy: add instances, see [cpu-saturated](cpu-saturated.md).",
            "One node's instances are slow: drain it, see [node-saturated](node-saturated.md).",
            *_back(words),
        ],
        verify=[f"$ {words.prom(p99)}", f"Below {promised} for ten minutes."],
    )
    return {"LatencyBurnsFast": found, "LatencyBurnsSlowly": found}


def _traffic(words: Words) -> dict[str, Steps]:
    rate = f'{RECORDED.requests}{{service="{words.name}"}}'
    outside = [
        words.region,
        "From your own machine, then from inside:",
        f"$ curl -vsS -o /dev/null {words.url}",
        f"$ {words.k} get endpointslices -l kubernetes.io/service-name={words.name}",
        f"$ {words.k} get certificate {words.name}-tls",
        f"$ {words.prom(rate)}",
    ]
    return {
        "NoTraffic": Steps(
            look=outside,
            act=[
                "No answer from outside: DNS or the way in, see "
                "[service-unreachable](service-unreachable.md).",
                "An answer from outside and no traffic: ask the callers whether they stopped.",
            ],
            verify=[f"$ {words.prom(rate)}", "Above zero for five minutes."],
        ),
        "SignalsAbsent": Steps(
            look=[*outside, f"$ {words.elsewhere('monitoring')} get podmonitor,servicemonitor"],
            act=[
                "Users are served and nothing counts: every other alert is blind. Restart what "
                "scrapes, then look for a changed label.",
                f"$ {words.elsewhere('monitoring')} rollout restart "
                "statefulset/prometheus-holdfast",
            ],
            verify=[f"$ {words.prom(rate)}", "A value in every region."],
        ),
        "TooFewRequestsToJudge": Steps(
            look=[words.region, f"$ {words.prom(rate)}"],
            act=["Nothing to do at once. If it stays: lower promises.availability to what so few "
                 "requests can prove, or add synthetic requests."],
            verify=[f"$ {words.prom(rate)}"],
        ),
        "ServiceUnreachable": Steps(
            look=[*outside, f"$ {words.k} describe service {words.name}"],
            act=[
                "The name does not resolve: [region-loss](region-loss.md) if the whole region is "
                "dark, else the DNS zone.",
                "The certificate is refused: see [certificate-expires](certificate-expires.md).",
                "Endpoints are empty: see [instances-missing](instances-missing.md).",
            ],
            verify=[f"$ curl -sS -o /dev/null -w '%{{http_code}}\\n' {words.url}", "200."],
            call="Two regions are unreachable: call the second line and whoever owns the network.",
        ),
    }  # fmt: skip


def _throughput(words: Words) -> Steps:
    promised = words.service.promises.throughput
    rate = f'sum({RECORDED.requests}{{service="{words.name}"}})'
    return Steps(
        look=[words.region, f"$ {words.prom(rate)}", f"$ {words.k} top pods -l {words.selector}"],
        act=[
            "Add instances; if that does not help the limit is behind them: database, queue.",
            *scale(words),
        ],
        verify=[f"$ {words.prom(rate)}", f"At {promised:g} a second, or no instance saturated."],
    )


def scale(words: Words) -> list[str]:
    """More instances, by whoever decides their number."""
    if words.service.kubernetes.workload == "daemon":
        return ["There is one instance a node: add nodes."]
    now = f"$ COUNT=$({words.k} get {words.workload} -o jsonpath='{{.spec.replicas}}')"
    if words.service.kubernetes.workload == "stateful":
        return [now, f'$ {words.k} scale {words.workload} --replicas="$((COUNT + 1))"']
    scaling = words.service.autoscaling
    keda = bool(scaling.metrics) and scaling.by == "keda"
    kind, low, high = (
        ("scaledobject", "minReplicaCount", "maxReplicaCount")
        if keda
        else ("hpa", "minReplicas", "maxReplicas")
    )
    spec = f'{{"spec":{{"{low}":%d,"{high}":%d}}}}'
    patch = f"\"$(printf '{spec}' $((COUNT * 3 / 2)) $((COUNT * 3)))\""
    return [
        now,
        f"$ {words.k} patch {kind} {words.serving} --type=merge -p {patch}",
        "Then put the numbers into autoscaling.min and max of holdfast.yaml: Argo CD goes back "
        "to what the repository says.",
    ]
