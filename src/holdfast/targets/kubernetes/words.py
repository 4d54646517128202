"""The last lines of containers that failed, read once for each failure."""

from __future__ import annotations

import asyncio

from holdfast.targets.base import Refused, TargetError
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kinds import POD, Object
from holdfast.targets.kubernetes.seen import Speaker, speakers
from holdfast.targets.kubernetes.sight import Seen

LINES = 20
BYTES = 16_384
AT_ONCE = 3  # of one look; a fleet that fails says the same many times
WITHIN_S = 1.5


class LastWords:
    """A reader of logs that never keeps a look waiting for long."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client, self._namespace = client, namespace
        self._read: dict[tuple[str, str, int], tuple[str, ...]] = {}

    async def of(self, there: Seen) -> dict[tuple[str, str], tuple[str, ...]]:
        """By (pod, container), as far as they are known."""
        speaking = [(each, _life(there.pods[each.pod])) for each in speakers(there.pods.values())]
        unread = [each for each in speaking if _key(*each) not in self._read]
        await asyncio.gather(*(self._listen(*each) for each in unread[:AT_ONCE]))
        keys = {_key(*each) for each in speaking}
        self._read = {key: lines for key, lines in self._read.items() if key in keys}
        return {(pod, container): lines for (pod, container, _), lines in self._read.items()}

    async def _listen(self, speaker: Speaker, life: int) -> None:
        query: dict[str, str | int] = {
            "container": speaker.container,
            "tailLines": LINES,
            "limitBytes": BYTES,
            "previous": str(speaker.restarted and life > 0).lower(),
        }
        try:
            async with asyncio.timeout(WITHIN_S):
                text = await self._client.text(POD, self._namespace, speaker.pod, "log", query)
        except Refused:
            text = ""  # the container is gone, or logs may not be read: that is final
        except (TargetError, TimeoutError):
            return
        self._read[_key(speaker, life)] = tuple(text.splitlines()[-LINES:])


def _key(speaker: Speaker, life: int) -> tuple[str, str, int]:
    return speaker.pod, speaker.container, life


def _life(pod: Object) -> int:
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    return sum(int(each.get("restartCount") or 0) for each in statuses)
