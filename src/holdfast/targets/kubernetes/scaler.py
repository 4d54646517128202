"""The autoscaler of a service follows its stable release, and only that one.

While another release has instances, the stable's floor is frozen at the size it has: traffic that
moves away for a while is no reason to shrink what a rollback needs. Other releases are sized by
what the autoscaler made of the stable one. Who scales by an own HPA or KEDA object is respected
the same way, but that object is theirs and never written.
"""

from __future__ import annotations

import copy
import math

from holdfast.artifacts.artifact import Object as Rendered
from holdfast.artifacts.kubernetes import hpa, keda, scaling
from holdfast.artifacts.names import MANAGER
from holdfast.rollout.model import ReleaseId
from holdfast.spec.model import Service
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.drift import scale_target
from holdfast.targets.kubernetes.kinds import AUTOSCALER, SCALED_OBJECT, Kind, Object, name_of
from holdfast.targets.kubernetes.marks import object_name, size_of
from holdfast.targets.kubernetes.ownership import applied
from holdfast.targets.kubernetes.sight import Seen

_FLOOR = {AUTOSCALER: "minReplicas", SCALED_OBJECT: "minReplicaCount"}


def kind_for(spec: Service) -> Kind | None:
    """None where the spec asks for no autoscaling."""
    if "autoscaling" not in spec.model_fields_set:
        return None
    return SCALED_OBJECT if scaling.by_keda(spec) else AUTOSCALER


def following(spec: Service, release: ReleaseId) -> Object:
    """The autoscaler that ``artifacts`` renders, with the Deployment of one release to follow."""
    render = keda.render if scaling.by_keda(spec) else hpa.render
    listed = [each for artifact in render(spec) for each in artifact.objects()]
    wanted = ("HorizontalPodAutoscaler", "ScaledObject")
    made: Rendered = copy.deepcopy(next(each for each in listed if each["kind"] in wanted))
    made["spec"]["scaleTargetRef"]["name"] = object_name(spec.service, release)
    return made


def grown(found: Object, there: Seen) -> int:
    """Instances of a Deployment that an autoscaler follows: never taken back by us; else 0."""
    followed = {scale_target(each) for each in there.autoscalers.values()}
    return _replicas(found) if name_of(found) in followed else 0


def in_proportion(size: int, name: str, there: Seen) -> int:
    """The size of a release beside one that an autoscaler has grown or shrunk since its order."""
    for autoscaler in there.autoscalers.values():
        followed = there.deployments.get(scale_target(autoscaler))
        if followed is not None and name_of(followed) != name:
            ordered = size_of(followed)
            if ordered:
                return max(1, math.ceil(size * _replicas(followed) / ordered))
    return size


async def freeze(client: Client, spec: Service, namespace: str, name: str, there: Seen) -> None:
    """The release ``name`` gets instances: what another one has now must not shrink meanwhile."""
    kind = kind_for(spec)
    seen = there.autoscalers.get(spec.service)
    if kind is None or seen is None or scale_target(seen) == name:
        return
    followed = there.deployments.get(scale_target(seen))
    if followed is None or int(seen["spec"].get("minReplicas") or 1) >= _replicas(followed):
        return
    found = await client.get(kind, namespace, spec.service)
    if found is not None:
        body = applied(found, MANAGER)
        body.setdefault("spec", {})[_FLOOR[kind]] = _replicas(followed)
        await client.apply(body)


def _replicas(found: Object) -> int:
    return int(found.get("spec", {}).get("replicas") or 0)
