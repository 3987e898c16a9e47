"""The steps that every bundle takes, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from panda_edge.builder.banks import Banks, write_banks
from panda_edge.builder.build import Build
from panda_edge.builder.bundle_writer import write_manifest
from panda_edge.builder.calibrate import NormalScores, calibrate, set_color_scale
from panda_edge.builder.selftest import write_selftest
from panda_edge.builder.steps import with_steps
from panda_edge.bundle.manifest import Manifest


def searchable(build: Build, manifest_of: Callable[[Banks], Manifest]) -> tuple[Manifest, Banks]:
    """Write the banks and the heat map's steps: what scores pictures, without decisions or colours yet.

    manifest_of: the manifest of these banks, once they stand. Raises PandaError, DataError, BundleError.
    """
    banks = write_banks(build)
    manifest = build.group.on_rank_zero(lambda: write_manifest(build.staging, manifest_of(banks)))
    return with_steps(build.staging, manifest, build.steps, build.progress, build.group), banks


def calibrated(build: Build, manifest: Manifest, scored: Iterator[NormalScores], kind: str) -> Manifest:
    """The manifest that tells of these scores, in every process."""
    taken = list(scored)
    return build.group.on_rank_zero(lambda: calibrate(build.staging, manifest, taken, kind))


def coloured(build: Build, manifest: Manifest, scored: Iterator[NormalScores]) -> Manifest:
    """The manifest with the colours that these scores set, in every process."""
    taken = list(scored)
    return build.group.on_rank_zero(lambda: set_color_scale(manifest, taken))


def sealed(build: Build, manifest: Manifest, selftest: Callable[[], np.ndarray]) -> Manifest:
    """Write the self-test and the last manifest; returns it, in every process.

    selftest: its frames, uint8 (n, height, width, 3).
    """

    def finish() -> Manifest:
        written = write_manifest(build.staging, manifest)
        write_selftest(build.staging, written, selftest(), build.network.run)
        return write_manifest(build.staging, written)

    return build.group.on_rank_zero(finish)
