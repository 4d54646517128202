"""Request counters from a Prometheus-compatible API: Prometheus, Mimir, Thanos, VictoriaMetrics.

What comes back is checked before it counts: a silent server, a refusal, half an answer, samples
that are no numbers and samples that are too old are errors of their own, never a zero.
"""
