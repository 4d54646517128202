"""Programs of this family by exact version and, where it was found in public files, digest.

Each digest was read beside its tag in public repositories (``alpine/k8s:1.36.2@sha256:44ef...``
and so on); where none was found the image is in ``UNPINNED`` and ``holdfast check`` says so.
"""

from __future__ import annotations

from typing import Final

from holdfast.artifacts.versions import Image

#: PostgreSQL for CloudNativePG v1.30, with the contrib extensions.
POSTGRES: Final = Image(
    "ghcr.io/cloudnative-pg/postgresql", "18.6-standard-trixie",
    "sha256:71eef62330076deb985c8ffb1abeb957d86779c3911a8057c0b97f3c5a30b50b",
)  # fmt: skip
PGBOUNCER: Final = Image(
    "ghcr.io/cloudnative-pg/pgbouncer", "1.25.2",
    "sha256:15c9765980546b8660ff105c06ad6ef9d2001fb9c5b31400021a1952cbe49930",
)  # fmt: skip
#: kubectl, jq and a shell.
KUBECTL: Final = Image(
    "docker.io/alpine/k8s", "1.36.2",
    "sha256:44ef4942e171939b9c665a4a84beb80e2dcdb9a24330d4651cfdfd2e9deecc47",
)  # fmt: skip
MINIO: Final = Image(
    "quay.io/minio/minio", "RELEASE.2025-09-07T16-13-09Z",
    "sha256:14cea493d9a34af32f524e538b8346cf79f3321eff8e708c1e2960462bd8936e",
)  # fmt: skip
COCKROACH: Final = Image("docker.io/cockroachdb/cockroach", "v26.2.5")
REDIS: Final = Image("quay.io/opstree/redis", "v8.6.2")
SENTINEL: Final = Image("quay.io/opstree/redis-sentinel", "v8.6.2")
#: The OWASP Core Rule Set inside Envoy (corazawaf/coraza-proxy-wasm).
CORAZA: Final = Image("ghcr.io/corazawaf/coraza-proxy-wasm", "0.6.0")
#: Strimzi 1.2.0 brings the image of each Kafka it supports.
KAFKA: Final = "4.3.1"
#: The chart whose schema is known (cockroachdb/helm-charts cockroachdb-v26.2.1).
COCKROACH_CHART: Final = "26.2.1"

UNPINNED: Final = (COCKROACH, REDIS, SENTINEL, CORAZA)
