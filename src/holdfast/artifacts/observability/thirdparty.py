"""Programs of this family by exact version and, where it was found in public lock files, digest.

Each digest was seen in several public repositories beside its tag (``prom/prometheus:v3.14.0@...``
and so on); those without one are listed as unpinned in ``artifacts/versions.py``.
"""

from __future__ import annotations

from typing import Final

from holdfast.artifacts.versions import ELASTICSEARCH, FLUENT_BIT, KUBE_STATE_METRICS, Image

__all__ = [
    "ALERTMANAGER", "BLACKBOX", "COLLECTOR", "ELASTIC", "ELASTICSEARCH", "FLUENT_BIT",
    "GRAFANA", "JAEGER", "KUBE_STATE_METRICS", "NODE_EXPORTER", "PROMETHEUS",
    "REDIS_EXPORTER",
]  # fmt: skip

PROMETHEUS: Final = Image(
    "docker.io/prom/prometheus", "v3.14.0",
    "sha256:5ce7540c3c00ef4ab0c9d2c995c6a5b9c421f44b4a115d97a2c7af3b1c21cbb0",
)  # fmt: skip
ALERTMANAGER: Final = Image(
    "docker.io/prom/alertmanager", "v0.28.1",
    "sha256:27c475db5fb156cab31d5c18a4251ac7ed567746a2483ff264516437a39b15ba",
)  # fmt: skip
NODE_EXPORTER: Final = Image(
    "docker.io/prom/node-exporter", "v1.9.1",
    "sha256:d00a542e409ee618a4edc67da14dd48c5da66726bbd5537ab2af9c1dfc442c8a",
)  # fmt: skip
BLACKBOX: Final = Image(
    "docker.io/prom/blackbox-exporter", "v0.27.0",
    "sha256:a50c4c0eda297baa1678cd4dc4712a67fdea713b832d43ce7fcc5f9bea05094d",
)  # fmt: skip
REDIS_EXPORTER: Final = Image(
    "docker.io/oliver006/redis_exporter", "v1.90.0",
    "sha256:a129504e65b87c54f79bc92f1afc403475e8ff646a3d7512de469904ceddf986",
)  # fmt: skip
COLLECTOR: Final = Image(
    "docker.io/otel/opentelemetry-collector-contrib", "0.159.0",
    "sha256:1f2c54a30e713fac6b3ae77a1ec84010c2007e29ced8ec666214fc2f6739c1cc",
)  # fmt: skip
JAEGER: Final = Image(
    "docker.io/jaegertracing/jaeger", "2.19.0",
    "sha256:ede4864215be4cd85bd8c3129a2fea6c5713c5653c7282c429dba123014bc68b",
)  # fmt: skip
GRAFANA: Final = Image(
    "docker.io/grafana/grafana", "12.1.1",
    "sha256:a1701c2180249361737a99a01bc770db39381640e4d631825d38ff4535efa47d",
)  # fmt: skip
#: Elastic's operator chooses its images by this version (elastic/cloud-on-k8s v3.5.0).
ELASTIC: Final = ELASTICSEARCH.tag
