"""Rules of the local target judge what its Envoy counts, whatever counts on Kubernetes."""

from __future__ import annotations

from holdfast.artifacts.observability.rules import groups
from holdfast.spec.load import load_text

SHOP = "service: shop\nrun: a\npromises: {p99: 1ms}\nkubernetes: {ingress: nginx, mesh: none}\n"


def test_the_bound_of_slow_is_one_of_the_histogram_that_is_read():
    """NGINX has no bucket below 5 ms, Envoy has one at 1 ms."""
    shop = load_text(SHOP)
    assert "within 0.005 s" in str(groups(shop, "kubernetes"))
    assert "within 0.001 s" in str(groups(shop, "local"))
