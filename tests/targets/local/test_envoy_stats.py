"""What Envoy says, read: the samples are its own words."""

from __future__ import annotations

import json

from holdfast.targets.base import RawCounts
from holdfast.targets.local import envoy_stats as stats

CLUSTERS = """\
v1::observability_name::v1
v1::default_priority::max_connections::1024
v1::127.0.0.1:19001::cx_active::3
v1::127.0.0.1:19001::rq_active::2
v1::127.0.0.1:19001::health_flags::healthy
v1::127.0.0.1:19002::cx_active::0
v1::127.0.0.1:19002::rq_active::0
v1::127.0.0.1:19002::health_flags::/failed_active_hc/active_timeout
1.2.0-ab::127.0.0.1:19003::health_flags::/failed_outlier_check
1.2.0-ab::127.0.0.1:19004::health_flags::/failed_eds_health
"""


def test_hosts_are_read_with_work_in_flight_and_health():
    hosts = {host.port: host for host in stats.hosts(CLUSTERS)}
    assert (hosts[19001].release, hosts[19001].requests, hosts[19001].connections) == ("v1", 2, 3)
    assert {port for port, host in hosts.items() if host.passes} == {19001, 19003}
    assert hosts[19003].release == "1.2.0-ab"


def test_an_ejected_host_is_not_called_dead_but_one_taken_out_is():
    hosts = {host.port: host.passes for host in stats.hosts(CLUSTERS)}
    assert hosts[19003] is True
    assert hosts[19004] is False


def test_a_file_is_taken_when_its_version_is_named_and_refused_when_a_counter_rises():
    text = (
        'cluster_manager.cds.version_text: "abc"\ncluster_manager.cds.update_rejected: 1\n'
        "cluster_manager.cds.update_failure: 2\n"
    )
    seen = stats.subscriptions(text, ["cluster_manager.cds", "listener_manager.lds"])
    assert seen["cluster_manager.cds"] == stats.Subscription("abc", 3)
    assert seen["listener_manager.lds"] == stats.Subscription("", 0)


def body(**counters: int) -> bytes:
    values = [{"name": f"cluster.{name}", "value": value} for name, value in counters.items()]
    values += [{"name": "cluster.1.2.0.upstream_rq_5xx", "value": 3}]
    values += [{"name": "cluster.1.2.0.retry.upstream_rq_5xx", "value": 99}]
    values += [{"name": "cluster.1.2.0.upstream_rq_retry", "value": 4}]
    values += [{"name": "cluster.1.2.0.upstream_rq_completed", "value": 100}]
    totals = [
        {"lower_bound": 0, "width": 0, "count": 60},
        {"lower_bound": 9, "width": 0.1, "count": 20},
        {"lower_bound": 10, "width": 1, "count": 7},
        {"lower_bound": 250, "width": 10, "count": 5},
    ]
    details = [
        {"name": "cluster.1.2.0.upstream_rq_time", "totals": totals},
        {"name": "cluster.1.2.0.external.upstream_rq_time", "totals": totals},
        {"name": "cluster.other.upstream_rq_time", "totals": totals},
    ]
    values.append({"histograms": {"details": details}})  # type: ignore[dict-item]
    return json.dumps({"stats": values}).encode()


def test_every_attempt_counts_and_slow_is_what_took_longer_than_promised():
    counts = stats.counts(body(), {"1.2.0": 0.010}, tcp=False)
    assert counts == {"1.2.0": RawCounts(104, 7, 12)}


def test_a_promise_below_envoys_resolution_counts_from_one_millisecond():
    assert stats.counts(body(), {"1.2.0": 0.0001}, tcp=False)["1.2.0"].slow == 32


def test_a_release_envoy_never_heard_of_has_no_counts():
    assert stats.counts(body(), {"v9": 0.01}, tcp=False) == {}


def test_what_a_release_could_not_answer_is_its_failure_although_another_one_answered():
    counters = {"v2.upstream_rq_completed": 5, "v1.upstream_rq_completed": 50}
    counters |= {"v2>refuge>v1.upstream_rq_completed": 20, "v2>refuge>v1.upstream_rq_retry": 3}
    counters |= {"v2>refuge>v1.retry.upstream_rq_completed": 3, "v1.upstream_rq_retry": 0}
    values = [{"name": f"cluster.{name}", "value": value} for name, value in counters.items()]
    told = json.dumps({"stats": values}).encode()
    counts = stats.counts(told, {"v1": 0.01, "v2": 0.01}, tcp=False)
    assert counts == {"v1": RawCounts(50, 0, 0), "v2": RawCounts(28, 3, 0)}


def test_a_lost_grpc_call_is_counted_once():
    counters = {"v1.upstream_rq_completed": 9, "v1.upstream_rq_5xx": 2, "v1.grpc.14": 3}
    values = [{"name": f"cluster.{name}", "value": value} for name, value in counters.items()]
    counts = stats.counts(json.dumps({"stats": values}).encode(), {"v1": 0.01}, tcp=False)
    assert counts == {"v1": RawCounts(9, 3, 0)}


def test_a_grpc_call_ended_at_its_deadline_is_a_call_that_was_made():
    counters = {"v1.upstream_rq_completed": 3, "v1.grpc.total": 7, "v1.grpc.4": 4}
    values = [{"name": f"cluster.{name}", "value": value} for name, value in counters.items()]
    counts = stats.counts(json.dumps({"stats": values}).encode(), {"v1": 0.01}, tcp=False)
    assert counts == {"v1": RawCounts(7, 4, 0)}


def test_of_tcp_the_connections_are_counted():
    text = {
        "stats": [
            {"name": "cluster.v1.upstream_cx_total", "value": 8},
            {"name": "cluster.v1.upstream_cx_connect_fail", "value": 2},
        ]
    }
    counts = stats.counts(json.dumps(text).encode(), {"v1": 0.01}, tcp=True)
    assert counts == {"v1": RawCounts(8, 2, 0)}


REFUSED = """\
[2026-11-23 13:03:14.001][7][warning][config] [a.cc:81] Filesystem config update rejected: old
[2026-11-23 13:03:14.053][7][warning][config] [a.cc:81] Filesystem config update rejected: debug
name: "v2"
connect_timeout {
  seconds: 1
}
: Proto constraint validation failed
(BaseEjectionTime: value must be greater than 0s)
[2026-11-23 13:03:15.000][7][warning][main] [b.cc:1] something else
"""


def test_the_reason_for_a_refused_file_is_envoys_last_word_without_the_resource():
    reason = "Proto constraint validation failed (BaseEjectionTime: value must be greater than 0s)"
    assert stats.rejection(REFUSED) == reason
    assert stats.rejection(REFUSED.splitlines()[0]) == "old"
    assert stats.rejection("nothing of the kind") == ""


def test_the_reason_for_a_refused_listener_is_found_in_the_dump():
    dump = {"configs": [{"name": "a"}, {"error_state": {"details": "cannot bind"}}]}
    assert stats.listener_error(json.dumps(dump).encode()) == "cannot bind"
    assert stats.listener_error(b"{}") == ""
