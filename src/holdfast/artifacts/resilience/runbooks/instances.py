"""Runbooks of what instances suffer."""

from __future__ import annotations

from holdfast.artifacts.resilience.runbooks.page import Steps
from holdfast.artifacts.resilience.runbooks.users import scale
from holdfast.artifacts.resilience.runbooks.words import Words


def steps(words: Words) -> dict[str, Steps]:
    return {**_dying(words), **_moving(words), **_saturated(words), **_beside(words)}


def _pods(words: Words) -> list[str]:
    return [
        words.region,
        f"$ {words.k} get pods -l {words.selector} -o wide",
        f"$ POD=$({words.k} get pods -l {words.selector} "
        "--sort-by='{.status.containerStatuses[0].restartCount}' -o name | tail -1)",
        f'$ {words.k} describe "$POD"',
    ]


def _ready(words: Words) -> list[str]:
    return [f"$ {words.k} rollout status {words.workload} --timeout=5m"]


def _dying(words: Words) -> dict[str, Steps]:
    return {
        "PodCrashLooping": Steps(
            look=[*_pods(words), f'$ {words.k} logs "$POD" --previous --tail=200'],
            act=[
                "OOMKilled: see [memory-saturated](memory-saturated.md).",
                "It began with a release: see [rollback](rollback.md).",
                "A secret or a configuration is missing: the events name it.",
                f"$ {words.k} get externalsecret",
            ],
            verify=_ready(words),
        ),
        "InstancesMissing": Steps(
            look=[
                *_pods(words),
                f"$ {words.k} get events --sort-by=.lastTimestamp | tail -20",
                f"$ {words.k} get resourcequota {words.name}-pods",
            ],
            act=[
                "Pending, no room: nodes are missing or the quota is used up. Karpenter says why:",
                f"$ {words.cluster} get nodeclaims",
                "ImagePullBackOff: the registry or the digest; deploy what was there before, see "
                "[rollback](rollback.md).",
                "Not ready: the program says why; one instance may be replaced without harm.",
                f'$ {words.k} delete "$POD"',
            ],
            verify=_ready(words),
            call="Fewer than half are ready: call the second line and move users away, see "
            "[failover](failover.md).",
        ),
        "MemorySaturated": Steps(
            look=[*_pods(words), f"$ {words.k} top pods -l {words.selector} --containers"],
            act=[
                "One instance leaks: replace it; the budget keeps the others.",
                f'$ {words.k} delete "$POD"',
                "All of them grow: raise resources.limits.memory in holdfast.yaml, render, merge.",
            ],
            verify=[f"$ {words.k} top pods -l {words.selector}", "All below 90 percent."],
        ),
    }


def _moving(words: Words) -> dict[str, Steps]:
    stuck = [
        words.region,
        f"$ {words.k} rollout status {words.workload} --timeout=5s",
        f"$ {words.k} get events --sort-by=.lastTimestamp | tail -20",
    ]
    return {
        "RolloutStuck": Steps(
            look=stuck,
            act=[
                "What waits says why in its events. It is the release: see "
                "[rollback](rollback.md). It is room: see "
                "[instances-missing](instances-missing.md).",
            ],
            verify=_ready(words),
        ),
        "DisruptionBudgetExhausted": Steps(
            look=[words.region, f"$ {words.k} describe pdb {words.name}",
                  f"$ {words.k} get pods -l {words.selector}"],
            act=["Bring the instances that are not ready back first, see "
                 "[instances-missing](instances-missing.md). Never delete the budget."],
            verify=[f"$ {words.k} get pdb {words.name}", "ALLOWED DISRUPTIONS is above zero."],
        ),
    }  # fmt: skip


def _saturated(words: Words) -> dict[str, Steps]:
    top = [words.region, f"$ {words.k} top pods -l {words.selector} --containers"]
    found = {
        "CpuSaturated": Steps(
            look=[*top, f"$ {words.k} get vpa {words.name} -o yaml"],
            act=scale(words),
            verify=[top[-1], "Below 80 percent of the limit."],
        ),
        "CpuThrottled": Steps(
            look=top,
            act=["The limit cuts bursts: raise resources.limits.cpu in holdfast.yaml, or set it "
                 "equal to the request with whole cores so that cores are pinned."],
            verify=[top[-1]],
        ),
    }  # fmt: skip
    if words.service.kubernetes.workload == "deployment":
        found["AutoscalerAtLimit"] = Steps(
            look=[*top, f"$ {words.k} get hpa"],
            act=["Is the load real? Then raise autoscaling.max. If not, stop who causes it at the "
                 "edge: traffic.breaker, rate limits.", *scale(words)],
            verify=[f"$ {words.k} get hpa", "REPLICAS is below MAXPODS."],
        )  # fmt: skip
    return found


def _beside(words: Words) -> dict[str, Steps]:
    chosen = f"app.kubernetes.io/part-of={words.name}"
    jobs = Steps(
        look=[words.region, f"$ {words.k} get jobs,cronjobs",
              f"$ JOB=$({words.k} get jobs -l {chosen} --sort-by=.status.startTime -o name "
              "| tail -1)",
              f'$ {words.k} logs "$JOB" --tail=200'],
        act=["Run it again by hand once the cause is gone; the failed one stays for the record.",
             f'$ {words.k} get "$JOB" -o json | jq \'del(.metadata.uid, .metadata.resourceVersion, '
             '.spec.selector, .spec.template.metadata.labels, .status) | .metadata.name += "-again"'
             f"' | {words.k} create -f -"],
        verify=[f"$ {words.k} get jobs", "COMPLETIONS is 1/1."],
    )  # fmt: skip
    volumes = Steps(
        look=[words.region, f"$ {words.k} get pvc"],
        act=[
            "Grow it: the storage class allows it and nothing restarts. For the database change "
            "resilience.database_size in holdfast.yaml instead: the operator grows all copies.",
            f"$ PVC=$({words.k} get pvc -o name | head -1)  # the one the alert names",
            f'$ {words.k} patch "$PVC" --type=merge '
            '-p \'{"spec":{"resources":{"requests":{"storage":"200Gi"}}}}\'',
        ],
        verify=[f"$ {words.k} get pvc", "CAPACITY has grown."],
    )
    return {"JobFailed": jobs, "VolumeFillsUp": volumes}
