"""Turned copies in the bank: what they are, that a picture is left out with them, and when `auto` takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import panda_edge
from bank_choice import settings_for
from panda_edge.builder.extend import extend_bundle
from panda_edge.builder.pictures import Pictures
from panda_edge.builder.steps.leave_one_out import similar_frames
from panda_edge.builder.turned import AUGMENTS, turned
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.manifest import read_manifest
from panda_edge.bundle.model import Model
from panda_edge.decide.calibration import CALIBRATION_FILE
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.tiling import Tiling
from panda_edge.search.candidates import frames_of_pictures
from panda_export.augment import turned_share
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from tiny import TinyBackbone

SIDE = 64
Fit = Callable[..., Path]


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    folder = tmp_path_factory.mktemp("augment")
    made: dict[str, Path] = {}

    def call(images: list[Path], augment: str, bank: str = "exact", **more: Any) -> Path:
        name = f"{len(images)}-{augment}-{bank}-{sorted(more.items(), key=str)}"
        if name in made:
            return made[name]
        tiles, steps = more.pop("tiles", None), more.pop("steps", None)
        if tiles is not None:
            more = {"average": 1, "level_weights": (1.0, 1.0, 1.0), **more}
        options = ExportOptions(
            {"name": "dn2"},
            settings_for(bank, **{"vectors": 300, "neighbors": 20, **more}),
            steps,
            leave_one_out=bank == "exact",
            augment=augment,
        )
        out = made[name] = folder / f"{len(made)}.panda"
        export_bundle(out, TinyBackbone(), images, Preprocessing(SIDE, SIDE, tiles=tiles), options)
        return out

    return call


@pytest.mark.parametrize("shape", [(40, 60, 3), (60, 40)])
def test_copies_are_of_the_pictures_size_and_the_first_is_itself(
    shape: tuple[int, ...], texture: Callable[..., np.ndarray]
) -> None:
    pixels = texture(60, 60, seed=3).astype(np.uint8)[: shape[0], : shape[1]]
    image = Image.fromarray(pixels if len(shape) == 3 else pixels[:, :, 0])
    for how, copies in AUGMENTS.items():
        assert turned(image, how, 0) is image
        for number in range(1, copies):
            assert turned(image, how, number).size == image.size
            assert turned(image, how, number).mode == image.mode
    upside_down = np.asarray(image)[::-1, ::-1]
    np.testing.assert_array_equal(turned(image, "flip", 3), upside_down)
    np.testing.assert_array_equal(np.asarray(turned(image, "rotate", 6)), upside_down)


def test_a_quarter_turn_of_a_square_is_one() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    np.testing.assert_array_equal(turned(Image.fromarray(pixels), "rotate", 3), np.rot90(pixels))


def test_pictures_are_numbered_with_their_copies(normal_images: list[Path]) -> None:
    pictures = Pictures(normal_images[:3], Preprocessing(SIDE, SIDE), "flip")
    assert len(pictures) == 12
    assert pictures.spread(9) == [0, 4, 8]
    read = list(pictures.read([4, 5]))
    np.testing.assert_array_equal(read[1].canvas, read[0].canvas[:, ::-1])


@pytest.mark.parametrize("augment", ["rotate", "flip"])
def test_a_picture_is_left_out_with_its_copies(fit: Fit, normal_images: list[Path], augment: str) -> None:
    out, copies = fit(normal_images[:5], augment), AUGMENTS[augment]
    bundle = open_bundle(out)
    assert bundle.manifest.detection.count == 5 * copies
    assert bundle.manifest.recipe.train_images == 5
    pictures = frames_of_pictures(bundle)
    assert [len(frames) for frames in pictures] == [copies] * 5
    for frames, similar in zip(pictures, similar_frames(bundle, pictures), strict=True):
        for numbers in similar:
            assert len(numbers)
            assert not set(numbers.tolist()) & set(frames)


@pytest.mark.parametrize("more", [{}, {"max_bank_mb": 0.02}], ids=["all", "some"])
def test_calibration_scores_each_picture_without_its_copies(
    fit: Fit, normal_images: list[Path], tmp_path: Path, more: dict[str, float]
) -> None:
    """As a bundle of the others, with their copies, scores it."""
    images = normal_images[:4]
    out = fit(images, "flip", steps=(), **more)
    manifest = read_manifest(out)
    assert manifest.calibration == {"images": 4, "kind": "leave-one-out"}
    assert (manifest.detection.count == 16) == (not more)
    found = np.load(out / CALIBRATION_FILE)
    if more:
        assert found.min() > 0
        return
    for number, image in enumerate(images):
        others = [path for path in images if path != image]
        result = panda_edge.load(fit(others, "flip", steps=(), tiles=None, window=number + 900)).segment(image)
        assert found[1, number] == pytest.approx(result.heatmap.max(), rel=2e-3)


def test_a_coreset_of_copies_is_no_larger(fit: Fit, normal_images: list[Path]) -> None:
    manifest = read_manifest(fit(normal_images[:5], "rotate", "coreset"))
    assert manifest.segmentation.count == 300
    assert manifest.detection.count == 60


def test_extend_turns_the_new_pictures_too(fit: Fit, normal_images: list[Path], tmp_path: Path) -> None:
    fresh, out = fit(normal_images[:6], "flip"), tmp_path / "more.panda"
    found = extend_bundle(fit(normal_images[:4], "flip"), normal_images[4:6], out).manifest
    expected = read_manifest(fresh)
    assert found.calibration == expected.calibration
    for name, entry in expected.files.items():
        if name.startswith(("bank/", "extend/")) or name == CALIBRATION_FILE:
            assert found.files[name] == entry, name


def parts(folder: Path, texture: Callable[..., np.ndarray], anyhow: bool) -> list[Path]:
    """Pictures of one part, which lies at any angle, or always alike."""
    part = Image.fromarray(texture(96, 96, seed=1).astype(np.uint8))
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(0, 6, (96, 96, 3))
        lying = np.asarray(turned(part, "rotate", 5 * seed % 12 if anyhow else 0))
        Image.fromarray(np.clip(lying + noise, 0, 255).astype(np.uint8)).save(folder / f"{seed}.png")
    return sorted(folder.iterdir())


class TestAuto:
    @pytest.mark.parametrize(("anyhow", "augment"), [(True, "rotate"), (False, "none")])
    def test_it_takes_copies_where_parts_lie_turned(
        self,
        fit: Fit,
        tmp_path: Path,
        texture: Callable[..., np.ndarray],
        anyhow: bool,
        augment: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        out = fit(parts(tmp_path, texture, anyhow), "auto", window=0 if anyhow else 1)
        assert read_manifest(out).recipe.augment == augment
        assert f"--augment auto: {augment}; turned copies change a left-out picture's distance by" in (
            capsys.readouterr().err
        )

    def test_of_one_picture_nothing_can_be_told(self, made_bundles: dict[str, Path], normal_images: list[Path]) -> None:
        run = Model(made_bundles["exact"] / MODEL_FILE, 1).run
        assert turned_share(normal_images[:1], Preprocessing(SIDE, SIDE), (4, 4), run) == 1.0

    def test_not_of_tiles(self, fit: Fit, normal_images: list[Path]) -> None:
        assert read_manifest(fit(normal_images[:3], "auto", tiles=Tiling(0.25, 2.0))).recipe.augment == "none"


@pytest.mark.parametrize(
    ("augment", "tiles", "said"),
    [("turn", None, "expected one of auto, none, rotate, flip"), ("flip", Tiling(0.25, 2.0), "got tiles or a roi")],
)
def test_what_is_refused(fit: Fit, normal_images: list[Path], augment: str, tiles: Tiling | None, said: str) -> None:
    with pytest.raises(PandaError, match=said):
        fit(normal_images[:3], augment, tiles=tiles)
