"""Metrics, objectives, alerts, logs, traces and dashboards."""
