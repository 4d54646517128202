"""Dashboards of Grafana: what is shown is plain data, drawn by Grafana's foundation SDK."""
