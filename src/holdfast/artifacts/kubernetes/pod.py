"""The pod of an instance, shared by Deployment, StatefulSet, DaemonSet and jobs."""

from __future__ import annotations

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.artifacts.kubernetes import environment, gpu, placement, probes, sriov, words
from holdfast.artifacts.kubernetes.hardening import container_context, pod_context
from holdfast.artifacts.kubernetes.mesh import install
from holdfast.artifacts.kubernetes.objects import named, present
from holdfast.spec.model import Service

#: What shapes a job's pod.
JOB_KEYS = tuple(
    dict.fromkeys((
        *environment.KEYS, *placement.KEYS, "run.stop.grace", "resources",
        "image.repository", "image.digest", "image.user", "image.tmpfs",
    ))
)  # fmt: skip
#: What shapes the pod of an instance.
KEYS = tuple(
    dict.fromkeys((
        *JOB_KEYS, *probes.KEYS, "rollout.drain", "kubernetes.sriov", "kubernetes.mesh",
        "observability.metrics_path",
    ))
)  # fmt: skip
_HUGE = "hugepages"


def template(service: Service, revision: str, volume: Object | None = None) -> Object:
    """The pod template of the serving workload.

    ``revision``: the label its controller puts on the pods of one revision; empty for a DaemonSet,
    which spreads by itself. ``volume``: the mount of a stateful service's own volume.
    """
    mounts = [volume] if volume else []
    spec = {
        **_pod(service),
        "runtimeClassName": gpu.runtime(service) or None,
        "priorityClassName": named(service),
        "terminationGracePeriodSeconds": _ending(service),
        "affinity": placement.affinity(service),
        "topologySpreadConstraints": placement.spread(service, revision) if revision else [],
        "tolerations": placement.leaving(service),
        "containers": [_serving(service, mounts)],
        "volumes": _volumes(service),
    }
    metadata = {"labels": _labels(service), "annotations": _annotations(service)}
    return {"metadata": metadata, "spec": present(**spec)}


def _annotations(service: Service) -> dict[str, str]:
    """Told to admission webhooks: where traces go, by the Instrumentation of the same name, and
    in the mesh where the sidecar finds the program's own metrics that it joins with its own."""
    found = {"instrumentation.opentelemetry.io/inject-sdk": service.service}
    if service.kubernetes.mesh == "istio":
        found |= {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(service.traffic.port),
            "prometheus.io/path": service.observability.metrics_path,
        }
    return found | install.sized(service) | sriov.joined(service)


def job_template(service: Service, suffix: str, command: tuple[str, ...]) -> Object:
    """The pod template of a command of the same image that ends."""
    labels = names.beside(service, suffix)
    spec = {
        **_pod(service),
        "priorityClassName": named(service, "jobs"),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": names.seconds(service.run.stop.grace),
        "affinity": {"nodeAffinity": placement.node_affinity(service)},
        "tolerations": placement.tolerations(service),
        "containers": [_container(service, suffix, command)],
        "volumes": _volumes(service),
    }
    return {"metadata": {"labels": labels}, "spec": present(**spec)}


def _labels(service: Service) -> dict[str, str]:
    release = environment.release(service)
    return {
        **names.labels(service, "service"),
        "app.kubernetes.io/version": release,
        names.RELEASE_LABEL: release,
    }


def _pod(service: Service) -> Object:
    return {
        "serviceAccountName": service.service,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_context(service),
    }


def _serving(service: Service, mounts: list[Object]) -> Object:
    container = _container(service, service.service, tuple(names.command(service)))
    port = {"name": names.port_name(service), "containerPort": service.traffic.port}
    return {
        **container,
        "ports": [port | {"protocol": "TCP"}],
        **probes.probes(service),
        "lifecycle": _lifecycle(service),
        "volumeMounts": [*container["volumeMounts"], *mounts],
    }


def _container(service: Service, name: str, command: tuple[str, ...]) -> Object:
    return {
        "name": name,
        "image": names.image(service),
        "imagePullPolicy": pull_policy(service),
        "command": words.command(command),
        "env": environment.environment(service),
        "resources": resources(service),
        "securityContext": container_context(),
        "volumeMounts": _mounts(service),
    }


def pull_policy(service: Service) -> str:
    """A digest is the same image for ever; a tag is asked for again at each start."""
    return "IfNotPresent" if service.image.digest else "Always"


def resources(service: Service) -> Object:
    """Requests and limits; huge pages and GPUs are the same in both, as Kubernetes wants them."""
    given = service.resources
    exact: Object = {}
    if given.hugepages:
        exact["hugepages-2Mi"] = names.memory(given.hugepages)
    if given.gpus:
        exact[placement.GPU] = str(given.gpus)
    return {
        "requests": {**_amount(given.requests.cpu, given.requests.memory), **exact},
        "limits": {**_amount(given.limits.cpu, given.limits.memory), **exact},
    }


def _amount(cpu: float, memory: int) -> Object:
    return {"cpu": names.cpu(cpu), "memory": names.memory(memory)}


def _drain(service: Service) -> int:
    """Never zero: endpoints leave the load balancers only while the pod still answers."""
    return names.seconds(service.rollout.drain)


def _ending(service: Service) -> int:
    return _drain(service) + names.seconds(service.run.stop.grace)


def _lifecycle(service: Service) -> Object:
    """First no new requests arrive and those in flight end; then the image's stop signal."""
    return {"preStop": {"sleep": {"seconds": _drain(service)}}}


def _volumes(service: Service) -> list[Object]:
    found: list[Object] = [
        {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": names.memory(size)}}
        for name, (_, size) in _tmpfs(service).items()
    ]
    if service.resources.hugepages:
        found.append({"name": _HUGE, "emptyDir": {"medium": "HugePages"}})
    return found


def _mounts(service: Service) -> list[Object]:
    found = [{"name": name, "mountPath": path} for name, (path, _) in _tmpfs(service).items()]
    if service.resources.hugepages:
        found.append({"name": _HUGE, "mountPath": "/dev/hugepages"})
    return found


def _tmpfs(service: Service) -> dict[str, tuple[str, int]]:
    """Volume name -> path and size in bytes; a path is no name, so they are counted."""
    listed = sorted(service.image.tmpfs.items())
    return {f"memory-{index}": each for index, each in enumerate(listed)}
