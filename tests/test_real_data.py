"""Fit and evaluate on real photographs: a share of the tile data, one kind of defect. Needs PANDA_DATA.

Bounds lie below what was measured on three disjoint draws of 24 + 24 test images (80 training images, 224 squash,
K=20): pixel AUROC .9957 to .9977, PRO .976 to .989, image AUROC by the map's maximum .80 to .91, by DN2 .69 to .80.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bank_choice import settings_for
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.inspect.verify import verify
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from panda_train import backbones
from panda_train.data.folders import Dataset, Sample, open_dataset
from panda_train.evaluation.evaluation import evaluate

pytestmark = pytest.mark.slow

TRAIN, TEST = 80, 24


def test_blowholes_in_tiles(real_data: Path, tmp_path: Path) -> None:
    tile = open_dataset(real_data / "tile")

    def some(kind: str) -> list[Sample]:
        samples = [sample for sample in tile.test if sample.kind == kind]
        return samples[:: len(samples) // TEST][:TEST]

    bundle = tmp_path / "tile.panda"
    images = tile.train[:: len(tile.train) // TRAIN][:TRAIN]
    export_bundle(
        bundle,
        backbones.load(),
        images,
        Preprocessing(224, 224),
        ExportOptions({"name": "dn2"}, settings_for(neighbors=20)),
    )
    assert verify(bundle)["ok"]
    report = evaluate(bundle, Dataset(tile.root, tile.layout, tile.train, tuple(some("good") + some("blowhole"))))
    assert report["images"] == 2 * TEST
    assert report["pixel_auroc"] > 0.985
    assert report["pro"] > 0.94
    assert report["image_auroc_map"] > 0.72
    assert report["image_auroc"] > 0.60
