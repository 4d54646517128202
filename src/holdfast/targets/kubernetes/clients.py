"""One client for each cluster, shared by all services that run there: one pool, one pace.

A bound on requests for each service would be none for a thousand of them.
"""

from __future__ import annotations

from collections.abc import Callable

from holdfast.runtime.clock import Clock
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kubeconfig import Cluster, locate
from holdfast.targets.kubernetes.pace import Limits

Key = tuple[str, str]  # server, context


class Clients:
    """Lends clients, and closes each when the last borrower gave it back."""

    def __init__(
        self,
        clock: Clock,
        locate: Callable[[str | None], Cluster] = locate,
        limits: Limits | None = None,
    ) -> None:
        self._clock, self._locate, self._limits = clock, locate, limits
        self._lent: dict[Key, tuple[Client, int]] = {}

    def borrow(self, context: str | None) -> Client:
        """Raises ``Refused`` with the code ``no-access``."""
        cluster = self._locate(context)
        key = _key(cluster)
        client, borrowers = self._lent.get(key, (None, 0))
        client = client or Client(cluster, self._clock, self._limits)
        self._lent[key] = (client, borrowers + 1)
        return client

    async def give_back(self, client: Client) -> None:
        key = _key(client.cluster)
        kept, borrowers = self._lent.get(key, (client, 1))
        if borrowers > 1:
            self._lent[key] = (kept, borrowers - 1)
            return
        self._lent.pop(key, None)
        await client.aclose()


def _key(cluster: Cluster) -> Key:
    return cluster.server, cluster.context
