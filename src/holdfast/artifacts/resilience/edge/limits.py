"""How much one client and all together may ask: said once, for every way in.

A client may use a tenth of what is promised for all, and never less than a page full of requests;
all together may use twice what is promised. What is above gets 429 at the edge and costs no
instance anything.
"""

from __future__ import annotations

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.spec.model import Service

_LEAST_CLIENT = 100  # requests a second
_LEAST_ALL = 2000
_CLIENTS = 100_000  # addresses that are remembered
_API = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"


def client(service: Service) -> int:
    """Requests a second of one address."""
    return max(_LEAST_CLIENT, round(service.promises.throughput / 10))


def together(service: Service) -> int:
    """Requests a second of all, in one region."""
    return max(_LEAST_ALL, 20 * client(service), round(2 * service.promises.throughput))


def connections(service: Service) -> int:
    """Open at once in one region: what the breaker lets through, and those that are idle."""
    most = max(names.replicas(service, region) for region in service.regions)
    return 4 * service.traffic.breaker.max_connections * max(1, most)


def envoy(service: Service) -> Object:
    """The filter of Envoy; every address has a bucket of its own, made when it first asks."""
    return {
        "@type": _API,
        "stat_prefix": "edge",
        "token_bucket": _bucket(together(service)),
        "filter_enabled": _always(),
        "filter_enforced": _always(),
        "descriptors": [
            {"entries": [{"key": "remote_address"}], "token_bucket": _bucket(client(service))}
        ],
        "max_dynamic_descriptors": _CLIENTS,
        "rate_limits": [{"actions": [{"remote_address": {}}]}],
        "status": {"code": "TooManyRequests"},
    }


def _bucket(rate: int) -> Object:
    """A burst of two seconds is no flood."""
    return {"max_tokens": 2 * rate, "tokens_per_fill": rate, "fill_interval": "1s"}


def _always() -> Object:
    return {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
