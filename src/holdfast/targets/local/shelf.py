"""What the target must remember to be continued by a successor: releases and standing orders."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from holdfast.rollout.model import ReleaseId
from holdfast.targets.base import Bundle, Refused
from holdfast.targets.local import records
from holdfast.targets.local.envoy_config import Weights, file_name
from holdfast.targets.local.kept import Kept
from holdfast.targets.local.records import Standing


class Shelf:
    """Files under the service's directory, and the same in memory."""

    def __init__(self, root: Path) -> None:
        self._releases, self._path = root / "releases", root / "standing.json"
        self._kept = Kept(root)
        self._bundles: dict[ReleaseId, Bundle] = {}
        read = records.load(self._path, Standing)
        self.standing = read or Standing()
        self.lost = read is None and self._path.exists()

    def stand(self, standing: Standing) -> None:
        if standing != self.standing:
            records.save(self._path, standing)
            self.standing = standing

    def recover(self, sizes: dict[ReleaseId, int], weights: Weights) -> None:
        """The orders were lost: what runs and what is routed is what was ordered."""
        if self.lost:
            sizes = {release: size for release, size in sizes.items() if size}
            self.stand(Standing(0, sizes, tuple(weights)))

    def put(self, bundle: Bundle, cwd: Path) -> None:
        in_use = [known.release.digest for known in self.known(self.standing.sizes)]
        self._kept.keep(bundle, cwd, in_use)
        records.save_bundle(self._file(bundle.release.id), bundle)
        self._bundles[bundle.release.id] = bundle

    def bundle(self, release: ReleaseId) -> Bundle:
        bundle = self._bundles.get(release) or records.load_bundle(self._file(release))
        if bundle is None:
            raise Refused("unprepared", f"{release} was never prepared here")
        self._bundles[release] = bundle
        return bundle

    def known(self, releases: Iterable[ReleaseId]) -> list[Bundle]:
        """Those whose files can be read. A lost one must not keep the others from being served."""
        found = []
        for release in releases:
            with contextlib.suppress(Refused):
                found.append(self.bundle(release))
        return found

    def _file(self, release: ReleaseId) -> Path:
        return self._releases / f"{file_name(release)}.json"
