"""By which names this machine may be called over TCP."""

from __future__ import annotations

from starlette.requests import Request

from holdfast.conductor.answers import Problem
from holdfast.conductor.auth import is_peer

#: The name under which a browser finds the console. Any name below ``localhost`` is loopback
#: (RFC 6761), and cookies of a name of its own are not sent to services on other ports.
CONSOLE = "holdfast.localhost"
#: What a caller over TCP may call this machine; ``conductor`` is what our own client says.
HOSTS = ("localhost", "127.0.0.1", "[::1]", "conductor", CONSOLE)


def check_host(request: Request) -> None:
    """A page in a browser reaches loopback under a name of its own making (DNS rebinding)."""
    if request.client is not None and is_peer((request.client.host, request.client.port)):
        return
    host = request.headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() not in HOSTS:
        hint = f"wanted one of {', '.join(HOSTS)}"
        raise Problem(421, "wrong-host", f"found Host {host[:80]!r}", hint)
