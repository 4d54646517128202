"""Each rule over several keys: one spec that breaks it, and the neighbour that does not."""

from __future__ import annotations

import pytest

from holdfast.spec.load import Invalid, load_text, read_text

BASE = "service: shop\nrun: python shop.py\n"


def broken(text: str) -> list[str]:
    """The paths of problems; empty when the spec can be used."""
    try:
        load_text(text)
    except Invalid as error:
        return [problem.path for problem in error.problems]
    return []


def warned(text: str) -> list[str]:
    return [warning.path for warning in read_text(text, "holdfast.yaml").warnings]


@pytest.mark.parametrize(
    ("path", "wrong", "right"),
    [
        (
            "rollout.max_surge",
            "rollout: {max_surge: 0}",
            "rollout: {max_surge: 0, max_unavailable: 1}",
        ),
        (
            "rollout.max_surge",
            "rollout: {max_surge: 0}",
            "rollout: {strategy: canary, max_surge: 0}",
        ),
        ("rollout.steps", "rollout: {steps: []}", "rollout: {strategy: canary, steps: [100]}"),
        ("rollout.steps[1].weight", "rollout: {steps: [5, 50]}", "rollout: {steps: [5, 100]}"),
        (
            "rollout.steps[1].weight",
            "rollout: {steps: [5, 5, 100]}",
            "rollout: {steps: [5, 6, 100]}",
        ),
        ("rollout.steps[0].weight", "rollout: {steps: [0, 100]}", "rollout: {steps: [1, 100]}"),
        (
            "rollout.steps[0].hold",
            "rollout: {steps: [{weight: 100, hold: 6m}]}",
            "rollout: {steps: [{weight: 100, hold: 6m, max: 7m}]}",
        ),
        (
            "rollout.steps",
            "rollout: {strategy: canary, deadline: 4m, steps: [{weight: 100, hold: 4m}]}",
            "rollout: {strategy: canary, deadline: 4m, steps: [{weight: 100, hold: 3m}]}",
        ),
        ("rollout.drain", "rollout: {drain: 10m}", "rollout: {drain: 9m}"),
        ("rollout.bake", "rollout: {bake: 10m}", "rollout: {bake: 9m}"),
        ("rollout.deadline", "rollout: {deadline: 0s}", "rollout: {deadline: 31s}"),
        ("rollout.no_progress", "rollout: {no_progress: 0s}", "rollout: {no_progress: 1s}"),
        (
            "rollout.analysis.metrics",
            "rollout: {analysis: {metrics: []}}",
            "rollout: {analysis: {metrics: [slow]}}",
        ),
        (
            "rollout.analysis.metrics",
            "rollout: {analysis: {metrics: [slow, slow]}}",
            "rollout: {analysis: {metrics: [errors, slow]}}",
        ),
        (
            "rollout.windows[0].days",
            "rollout: {windows: [{days: []}]}",
            "rollout: {windows: [{days: [sun]}]}",
        ),
        (
            "rollout.windows[0].start",
            "rollout: {windows: [{start: '17:00', end: '09:00'}]}",
            "rollout: {windows: [{start: '09:00', end: '17:00'}]}",
        ),
        (
            "rollout.freezes[0].start",
            "rollout: {freezes: [{start: 2026-01-01, end: 2026-01-02T00:00Z}]}",
            "rollout: {freezes: [{start: 2026-01-01T00:00:00Z, end: 2026-01-02T00:00:00+01:00}]}",
        ),
        (
            "rollout.freezes[0].start",
            "rollout: {freezes: [{start: 2026-01-01T00:00:00Z, end: 2026-01-01T00:30:00+01:00}]}",
            "rollout: {freezes: [{start: 2026-01-01T00:00:00Z, end: 2026-01-01T00:30:00-01:00}]}",
        ),
        (
            "traffic.balance",
            "traffic: {protocol: tcp, balance: ring-hash}",
            "traffic: {protocol: http2, balance: ring-hash}",
        ),
        ("traffic.address", "traffic: {address: localhost}", "traffic: {address: '::1'}"),
        ("traffic.hash_header", "traffic: {hash_header: 'a b'}", "traffic: {hash_header: a-b}"),
        ("traffic.timeout", "traffic: {timeout: 0s}", "traffic: {timeout: 1ms}"),
        (
            "traffic.try_timeout",
            "traffic: {timeout: 5s, try_timeout: 6s, idempotent: true}",
            "traffic: {timeout: 5s, try_timeout: 5s, idempotent: true}",
        ),
        (
            "probes.ready.path",
            "traffic: {protocol: tcp}\nprobes: {ready: /r}",
            "traffic: {protocol: tcp}\nprobes: {ready: {every: 1s}}",
        ),
        ("probes.smoke", "traffic: {protocol: tcp}\nprobes: {smoke: [/]}", "probes: {smoke: [/]}"),
        (
            "probes.smoke",
            "traffic: {protocol: grpc}\nprobes: {ready: /, smoke: [/]}",
            "traffic: {protocol: grpc}\nprobes: {ready: /shop.Shop}",
        ),
        (
            "probes.version_header",
            "traffic: {protocol: http2}\nprobes: {ready: /r, version_header: x-v}",
            "traffic: {protocol: http2}\nprobes: {ready: /r, live: /l}",
        ),
        (
            "probes.version_header",
            "probes: {version_header: x-v}",
            "probes: {ready: /r, version_header: x-v}",
        ),
        (
            "rollout.analysis.metrics",
            "traffic: {protocol: tcp}\nrollout: {analysis: {metrics: [slow]}}",
            "traffic: {protocol: tcp}\nrollout: {analysis: {metrics: [errors]}}",
        ),
        ("probes.ready.path", "probes: {ready: ready}", "probes: {ready: /ready?deep=1}"),
        ("probes.ready.every", "probes: {ready: {every: 0s}}", "probes: {ready: {every: 1ms}}"),
        ("probes.ready.delay", "probes: {ready: {delay: 10s}}", "probes: {ready: {delay: 9s}}"),
        (
            "probes.smoke[0].headers.a b",
            "probes: {smoke: [{headers: {a b: c}}]}",
            "probes: {smoke: [{headers: {a-b: c}}]}",
        ),
        (
            "probes.smoke[0].headers.a",
            'probes: {smoke: [{headers: {a: "b\\r\\nc: d"}}]}',
            "probes: {smoke: [{headers: {a: b}}]}",
        ),
        (
            "probes.smoke[0].contains",
            "probes: {smoke: [{method: HEAD, contains: x}]}",
            "probes: {smoke: [{method: GET, contains: x}]}",
        ),
        ("promises.p99", "promises: {p99: 0s}", "promises: {p99: 1us}"),
        ("version", "version: a/b", "version: v1.2.3-rc.1+build_5"),
    ],
)
def test_keys_that_make_no_sense_together_are_a_problem(path: str, wrong: str, right: str):
    assert broken(BASE + wrong) == [path]
    assert broken(BASE + right) == []


@pytest.mark.parametrize(
    ("path", "wrong", "right"),
    [
        ("run.command", "''", "x"),
        ("run.command", "[]", "[x]"),
        ("run.command", "['']", "['x', '']"),
        ("run.command", '''"python 'app.py"''', '''"python 'app.py'"'''),
        ("run.env.PORT", "{command: x, env: {PORT: 1}}", "{command: x, env: {PORTS: 1}}"),
        (
            "run.env.HOLDFAST_X",
            "{command: x, env: {HOLDFAST_X: 1}}",
            "{command: x, env: {HOLD: 1}}",
        ),
        ("run.env.1A", "{command: x, env: {1A: b}}", "{command: x, env: {A1: b}}"),
        ("run.secrets.A", "{command: x, secrets: {A: plain}}", "{command: x, secrets: {A: env:B}}"),
        (
            "run.secrets.A",
            "{command: x, secrets: {A: 'vault:k'}}",
            "{command: x, secrets: {A: file:k}}",
        ),
        (
            "run.secrets.A",
            "{command: x, secrets: {A: 'file:'}}",
            "{command: x, secrets: {A: file:a b}}",
        ),
        (
            "run.secrets.A",
            "{command: x, env: {A: b}, secrets: {A: env:C}}",
            "{command: x, env: {B: b}, secrets: {A: env:C}}",
        ),
        ("run.config[0]", "{command: x, config: ['']}", "{command: x, config: [a]}"),
        ("run.affinity", "{command: x, affinity: []}", "{command: x, affinity: [0]}"),
        ("run.affinity[1]", "{command: x, affinity: [0, 0]}", "{command: x, affinity: [0, 1]}"),
        (
            "run.affinity[0]",
            "{command: x, affinity: [4096]}",
            "{command: x, affinity: [4095]}",
        ),
        ("run.affinity[0]", "{command: x, affinity: [-1]}", "{command: x, affinity: spread}"),
    ],
)
def test_what_cannot_run_is_a_problem(path: str, wrong: str, right: str):
    assert broken(f"service: shop\nrun: {wrong}\n") == [path]
    assert broken(f"service: shop\nrun: {right}\n") == []


@pytest.mark.parametrize(
    ("path", "doubtful", "fine"),
    [
        ("replicas", "replicas: 0", "replicas: 1"),
        (
            "rollout.max_unavailable",
            "rollout: {max_unavailable: 2}",
            "rollout: {max_unavailable: 1}",
        ),
        ("rollout.steps", "rollout: {steps: [100]}", "rollout: {strategy: canary, steps: [100]}"),
        ("rollout.step_deadline", "rollout: {step_deadline: 11m}", "rollout: {step_deadline: 9m}"),
        ("traffic.port", "traffic: 1023", "traffic: 1024"),
        ("traffic.address", "traffic: {address: 0.0.0.0}", "traffic: {address: 127.0.0.2}"),
        (
            "traffic.hash_header",
            "traffic: {hash_header: x-a}",
            "traffic: {balance: ring-hash, hash_header: x-a}",
        ),
        (
            "traffic.try_timeout",
            "traffic: {try_timeout: 1s}",
            "traffic: {try_timeout: 1s, idempotent: true}",
        ),
        (
            "traffic.idempotent",
            "traffic: {protocol: tcp, idempotent: true}",
            "traffic: {protocol: tcp}",
        ),
        ("promises.deploy", "rollout: {bake: 5m}", "rollout: {bake: 4m}"),
        ("promises.p99", "promises: {p99: 16s}", "promises: {p99: 14s}"),
        (
            "promises.availability",
            "promises: {availability: 100}",
            "promises: {availability: 99.99}",
        ),
    ],
)
def test_what_is_allowed_but_probably_not_meant_is_a_warning(path: str, doubtful: str, fine: str):
    assert warned(BASE + doubtful) == [path]
    assert warned(BASE + fine) == []


@pytest.mark.parametrize(
    ("path", "doubtful", "fine"),
    [
        ("run.command", "python app.py && echo done", "sh -c 'python app.py && echo done'"),
        ("run.command", "python app.py $HOME", "python app.py ${PORT} --tag=$HOLDFAST_VERSION"),
        ("run.command", "python app.py --x=${PORTS}", "sh -c 'exec python app.py $PORTS'"),
        ("run.command", "DEBUG=1 python app.py", "env DEBUG=1 python app.py"),
        ("run.start", "{command: node a.js, start: warm}", "{command: python a.py, start: warm}"),
        ("run.start", "{command: python -c 1, start: warm}", "{command: python -c 1}"),
        ("run.cwd", "{command: x, cwd: /srv}", "{command: x, cwd: srv}"),
        (
            "run.env.DB_PASSWORD",
            "{command: x, env: {DB_PASSWORD: p}}",
            "{command: x, env: {DB_USER: p}}",
        ),
        ("run.env.apiKey", "{command: x, env: {apiKey: p}}", "{command: x, env: {apiKey: ''}}"),
    ],
)
def test_a_doubtful_command_is_a_warning(path: str, doubtful: str, fine: str):
    assert warned(f"service: shop\nrun: {doubtful}\n") == [path]
    assert warned(f"service: shop\nrun: {fine}\n") == []
