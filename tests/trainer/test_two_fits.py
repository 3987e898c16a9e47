"""A bundle that another command has replaced since it was written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from panda_edge.bundle.manifest import read_manifest
from panda_edge.errors import BundleError, PandaError
from panda_train.fitting import unless_replaced


def test_a_bundle_replaced_while_it_is_read_is_not_called_incomplete(
    calibrated_bundles: dict[str, Path], tmp_path: Path
) -> None:
    written, out = read_manifest(calibrated_bundles["gaussian"]), tmp_path / "x.panda"
    shutil.copytree(calibrated_bundles["exact"], out)
    missing = BundleError("bank/gaussian_mean.npy: missing; the bundle is incomplete, copy it again")
    with pytest.raises(PandaError, match=r"x.panda: written, and replaced by another"), unless_replaced(out, written):
        raise missing


def test_a_defect_of_its_own_is_said_as_it_is(calibrated_bundles: dict[str, Path]) -> None:
    bundle = calibrated_bundles["exact"]
    with pytest.raises(BundleError, match="is incomplete"), unless_replaced(bundle, read_manifest(bundle)):
        raise BundleError("bank/gaussian_mean.npy: missing; the bundle is incomplete, copy it again")
