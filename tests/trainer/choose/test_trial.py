"""A trial scores pictures as the bundle that `fit` would write does on a device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import panda_edge
from bank_choice import settings_for
from panda_edge.banks.coreset import Coreset
from panda_edge.builder.pictures import Pictures
from panda_edge.decide.calibration import image_scores
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.tiling import Tiling
from panda_export.export import export_bundle
from panda_export.network import descriptors_of, write_network
from panda_export.options import ExportOptions
from panda_train.choosing import candidates as choosing_candidates
from panda_train.choosing.candidates import Candidate, Look
from panda_train.choosing.feature_cache import FeatureCache, with_descriptors
from panda_train.choosing.trial import OpenLook, Shown
from panda_train.resolution import Resolution
from tiny import TinyBackbone

WHOLE, TILES = Look("64²", Resolution("64")), Look("tiles", Resolution("32", tiles="auto", scale=1.0))
BANKS = {
    "exact": settings_for("exact", neighbors=4),
    "averaged": settings_for("exact", average=3, level_weights=(1.0, 1.0, 0.0)),
    "standardised": settings_for("exact", standardise=True),
    "gaussian": settings_for("gaussian", average=5),
    "coreset": settings_for("coreset", vectors=100),
    "kmeans": settings_for("kmeans", means=5),
}


@pytest.fixture(scope="module")
def opened(normal_images: list[Path]) -> Any:
    with OpenLook(WHOLE, TinyBackbone(), normal_images) as look:
        yield look


@pytest.mark.parametrize("name", BANKS)
def test_a_trial_is_what_the_bundle_says(
    name: str,
    opened: OpenLook,
    normal_images: list[Path],
    odd_image: Path,
    tmp_path: Path,
) -> None:
    tried = opened.try_out(Candidate(name, WHOLE, BANKS[name]), 12, [Shown(odd_image, "hole")])
    export_bundle(
        tmp_path / "x.panda",
        TinyBackbone(),
        normal_images,
        Preprocessing(64, 64),
        ExportOptions({"name": "dn2"}, BANKS[name]),
    )
    result = panda_edge.load(tmp_path / "x.panda").segment(odd_image)
    assert result.heatmap is not None
    for score, value in image_scores(result.embedding_distance, result.heatmap).items():
        assert tried.seen[0].raw[score] == pytest.approx(value, rel=2e-3), score
    assert tried.megabytes == pytest.approx(
        sum(file.stat().st_size for file in (tmp_path / "x.panda" / "bank").iterdir()) / 1e6
    )
    assert tried.ms > 0


def test_tiles_are_tried_as_they_run(normal_images: list[Path], odd_image: Path, tmp_path: Path) -> None:
    with OpenLook(TILES, TinyBackbone(), normal_images) as look:
        tried = look.try_out(Candidate("tiles", TILES, settings_for("exact")), 12, [Shown(odd_image, "hole")])
    preprocessing = Preprocessing(32, 32, tiles=Tiling(scale=1.0))
    options = ExportOptions({"name": "dn2"}, settings_for("exact"))
    export_bundle(tmp_path / "x.panda", TinyBackbone(), normal_images, preprocessing, options)
    result = panda_edge.load(tmp_path / "x.panda").segment(odd_image)
    assert tried.seen[0].raw["max"] == pytest.approx(result.heatmap.max(), rel=2e-3)


def test_a_share_of_the_cells_is_so_many_vectors(opened: OpenLook, odd_image: Path) -> None:
    tried = opened.try_out(Candidate("x", WHOLE, settings_for("coreset"), share=0.1), 5, [Shown(odd_image, "hole")])
    assert tried.bank.kind == Coreset(32)  # of 5 pictures of 8 × 8 cells


def test_a_coreset_is_tried_on_no_more_pictures_than_it_needs(
    opened: OpenLook, odd_image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing_candidates, "MOST_DESCRIPTORS", 2 * 64)
    shown = [Shown(odd_image, "hole")]
    coreset = Candidate("x", WHOLE, settings_for("coreset"), share=0.5)
    assert opened.try_out(coreset, 5, shown).bank.kind == Coreset(64)  # of 2 pictures of 8 × 8 cells
    assert Candidate("x", WHOLE, settings_for("exact")).tried_on(5, 5 * 64) == 5


def test_the_model_sees_a_frame_once(normal_images: list[Path], tmp_path: Path) -> None:
    pictures = Pictures(normal_images[:3], Preprocessing(64, 64))
    network = write_network(tmp_path, TinyBackbone(), pictures, ExportOptions({"name": "dn2"}))
    runs: list[int] = []

    def counted(frames: np.ndarray) -> Any:
        runs.append(len(frames))
        return network.run(frames)

    remembered = FeatureCache(counted, network.levels, network.embedding_size)
    frames = np.stack([picture.canvas for picture in pictures.read()])
    first = remembered(frames[[0, 1, 0]])
    again = remembered(frames)
    assert sum(runs) <= 4  # a frame that is there twice in one batch may be run twice
    expected = network.run(frames)
    assert np.array_equal(first.embedding[0], again.embedding[0])
    np.testing.assert_allclose(again.embedding, expected.embedding, rtol=1e-5, atol=1e-6)
    for got, wanted in zip(again.levels, expected.levels, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_descriptors_after_the_model_are_those_in_the_graph(normal_images: list[Path], tmp_path: Path) -> None:
    pictures, backbone = Pictures(normal_images[:2], Preprocessing(64, 64)), TinyBackbone()
    frames = np.stack([picture.canvas for picture in pictures.read()])
    plain = write_network(tmp_path, backbone, pictures, ExportOptions({"name": "dn2"}))
    bank = settings_for("exact", average=3, level_weights=(1.0, 0.5, 0.0))
    (tmp_path / "graph").mkdir()
    inside = write_network(tmp_path / "graph", backbone, pictures, ExportOptions({"name": "dn2"}, bank))
    after = with_descriptors(plain, descriptors_of(backbone.levels, bank), bank.kept_levels(3))
    assert after.levels == inside.levels
    for got, wanted in zip(after.run(frames).levels, inside.run(frames).levels, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
