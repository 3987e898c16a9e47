"""Bundles of tiles: one score and one heat map a picture, the same as brute force gives."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import panda_edge
from bank_choice import settings_for
from panda_edge import kernel
from panda_edge.banks.level_files import joint_descriptors, raster_order, unnest
from panda_edge.builder.steps.leave_one_out import LeaveOneOutRecipe
from panda_edge.bundle.manifest import parse_manifest, read_manifest
from panda_edge.decide.calibration import CALIBRATION_FILE
from panda_edge.detector import Detector
from panda_edge.errors import BundleError, ImageError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.tiling import Tiling
from panda_edge.inspect.info import describe, describe_in_words
from panda_edge.inspect.verify import verify
from panda_edge.search.candidates import PLACES_FILE
from panda_edge.search.steps.leave_one_out import LEAVE_ONE_OUT_FILE
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from tiny import TinyBackbone

SIDE, WIDTH, HEIGHT = 64, 200, 160
Texture = Callable[..., np.ndarray]


def normal_picture(texture: Texture, seed: int) -> np.ndarray:
    """Pictures of one scene: the same structure at the same place, with a little noise."""
    random = np.random.default_rng(seed)
    noisy = texture(HEIGHT, WIDTH, seed=1).astype(int) + random.integers(-6, 7, (HEIGHT, WIDTH, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, texture: Texture) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(8):
        Image.fromarray(normal_picture(texture, seed)).save(folder / f"{seed}.png")
    return sorted(folder.iterdir())


Fit = Callable[..., Path]


@pytest.fixture(scope="session")
def fit_tiles(
    tmp_path_factory: pytest.TempPathFactory,
    pictures: list[Path],
) -> Fit:
    """Export a bundle of tiles of the tiny backbone."""
    folder = tmp_path_factory.mktemp("tiled")

    def call(name: str, bank: str = "exact", tiles: Tiling | None = None, images: Any = None, **options: Any) -> Path:
        out = folder / f"{name}.panda"
        preprocessing = Preprocessing(SIDE, SIDE, tiles=tiles or Tiling(0.25, 1.0))
        held_out = options.pop("held_out", ())
        if bank in ("exact", "hnsw"):
            options = {"average": 1, "level_weights": (1.0, 1.0, 1.0), "steps": (LeaveOneOutRecipe(),), **options}
        steps = options.pop("steps", None)
        settings = settings_for(bank, means=9, vectors=300, **options)
        asked = ExportOptions({"name": "dn2"}, settings, steps, leave_one_out=bank == "exact")
        export_bundle(out, TinyBackbone(), images or pictures, preprocessing, asked, held_out)
        return out

    return call


@pytest.fixture(scope="session")
def tiled(fit_tiles: Fit) -> Path:
    return fit_tiles("whole", compare="anywhere", neighbors=1000, dtype="float32")


def by_brute_force(bundle: Path, detector: Detector, picture: np.ndarray) -> tuple[float, np.ndarray]:
    """Score and heat map of a picture by all stored tiles, with nothing of what stitches them."""
    manifest = detector.bundle.manifest
    view = detector.preprocessing.view((picture.shape[1], picture.shape[0]))
    canvas = detector.preprocessing.apply(picture)
    stored = [np.load(bundle / "bank" / f"stride{level.stride:02d}.npy") for level in manifest.levels]
    gallery = np.concatenate([joint_descriptors([level[n] for level in stored]) for n in range(len(stored[0]))])
    order = raster_order((4, 4), 2).ravel()
    own = np.empty(len(gallery))
    for tile, values in enumerate(np.load(bundle / LEAVE_ONE_OUT_FILE)):
        own[tile * 256 + order] = values.ravel()
    embeddings = np.load(bundle / "bank" / "embeddings.npy").astype(np.float64)
    total, weights, scores = np.zeros(view.canvas), np.zeros(view.canvas), []
    inward = np.minimum(np.arange(16), np.arange(16)[::-1]) + 0.5
    tent = np.repeat(np.repeat(np.multiply.outer(inward, inward), 4, 0), 4, 1)
    for number in range(view.count):
        top, left = view.corner(number)
        features = detector.features(canvas[None, top : top + SIDE, left : left + SIDE])
        squared = ((embeddings - features.embedding[0]) ** 2).sum(1)
        scores.append(np.sort(squared)[: manifest.detection.knn].mean())
        query = joint_descriptors([level[0] for level in features.levels]).astype(np.float64)
        squared = np.array([((gallery - row) ** 2).sum(1) for row in query])
        nearest = np.maximum(np.sqrt(squared.min(1)) - 0.35 * own[squared.argmin(1)].astype(np.float64), 0)
        cells = np.repeat(np.repeat(unnest(nearest, (4, 4)), 4, 0), 4, 1)
        total[top : top + SIDE, left : left + SIDE] += tent * cells
        weights[top : top + SIDE, left : left + SIDE] += tent
    cells = (total / weights)[::4, ::4][: -(-HEIGHT // 4), : -(-WIDTH // 4)]
    rendered = kernel.render_heatmap(cells, 2 * cells.shape[0], 2 * cells.shape[1], manifest.segmentation.sigma / 2)
    return max(scores), rendered[: view.map_shape[0], : view.map_shape[1]]


def with_defect(texture: Texture, left: int, top: int, side: int = 12) -> np.ndarray:
    picture = normal_picture(texture, 99)
    picture[top : top + side, left : left + side] = (255, 0, 255)
    return picture


@pytest.mark.parametrize("threads", [1, 3])
def test_score_and_map_are_those_of_brute_force(tiled: Path, texture: Texture, threads: int) -> None:
    detector = panda_edge.load(tiled, threads=threads)
    picture = with_defect(texture, 90, 70)
    result = detector.segment(picture)
    score, heatmap = by_brute_force(tiled, detector, picture)
    assert result.heatmap is not None
    assert result.heatmap.shape == result.view.map_shape == (HEIGHT // 2, WIDTH // 2)
    assert result.embedding_distance == pytest.approx(score, rel=1e-4)
    np.testing.assert_allclose(result.heatmap, heatmap, rtol=1e-3, atol=1e-3 * heatmap.max())
    assert set(result.stages_ms) == {"decode", "preprocess", "backbone", "search", "heatmap"}


def test_every_way_in_gives_the_same(tiled: Path, texture: Texture, pictures: list[Path]) -> None:
    detector = panda_edge.load(tiled, threads=2)
    images = [pictures[0], with_defect(texture, 30, 30), Image.open(pictures[1])]
    single = [detector.segment(image) for image in images]
    for results in (detector.segment_batch(images, 2), detector.segment_stream(images)):
        for found, expected in zip(results, single, strict=True):
            assert found.score == expected.score
            assert (found.heatmap == expected.heatmap).all()
    assert [r.score for r in detector.detect_batch(images)] == [r.score for r in single]
    assert detector.detect(images[0]).heatmap is None


def test_a_defect_moved_across_a_seam_keeps_its_score(tiled: Path, texture: Texture) -> None:
    detector = panda_edge.load(tiled)
    view = detector.preprocessing.view((WIDTH, HEIGHT))
    seam = view.lefts[1]  # where the second column of tiles begins
    scores = []
    for left in range(seam - 24, seam + 80, 8):  # steps of the finest cells, over the border and both middles
        picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        plain = detector.segment(picture)
        picture[72:84, left : left + 12] = (255, 0, 255)
        found = detector.segment(picture)
        assert found.heatmap is not None
        assert plain.heatmap is not None
        scores.append(float((found.heatmap - plain.heatmap).max()))
    assert min(scores) > 0
    assert max(scores) / min(scores) < 1.35


def test_regions_lie_on_the_whole_picture(tiled: Path, texture: Texture) -> None:
    detector = panda_edge.load(tiled, fpr=0.2)
    result = detector.segment(with_defect(texture, 150, 110))
    assert result.anomalous
    assert result.regions
    left, top, right, bottom = result.regions[0].box
    assert left < 156 < right
    assert top < 116 < bottom
    on_image = result.heatmap_on_image()
    assert on_image.shape == (HEIGHT, WIDTH)
    y, x = np.unravel_index(np.argmax(on_image), on_image.shape)
    assert abs(x - 156) < 12
    assert abs(y - 116) < 12


def test_calibration_leaves_out_all_tiles_of_a_picture(fit_tiles: Fit, pictures: list[Path]) -> None:
    # Without steps: a normal picture has its part in the leave-one-out distances of the others.
    options = {"compare": "anywhere", "neighbors": 1000, "dtype": "float32", "steps": ()}
    tiled = fit_tiles("all", **options)
    held = np.load(tiled / CALIBRATION_FILE)
    assert held.shape == (4, len(pictures))
    assert read_manifest(tiled).calibration == {"images": 8, "kind": "leave-one-out"}
    others = fit_tiles("others", images=pictures[1:], **options)
    result = panda_edge.load(others).segment(pictures[0])
    assert held[0, 0] == pytest.approx(result.embedding_distance, rel=1e-4)
    assert held[1, 0] == pytest.approx(result.heatmap.max(), rel=1e-3)


def test_parts_that_lie_alike_are_compared_with_their_own_place(fit_tiles: Fit, pictures: list[Path]) -> None:
    bundle = fit_tiles("auto")
    manifest = read_manifest(bundle)
    assert manifest.segmentation.compare == "place"
    assert manifest.preprocessing.tiles == Tiling(0.25, None, HEIGHT, WIDTH)
    places = np.load(bundle / PLACES_FILE)
    assert places.shape == (manifest.detection.count, 3)
    assert verify(bundle)["ok"]
    scores = [panda_edge.load(bundle).segment(path).heatmap.max() for path in pictures]
    assert max(scores) < 1.0  # each finds itself, at its own place


def test_pictures_of_nothing_alike_are_compared_anywhere(fit_tiles: Fit, texture: Texture, tmp_path: Path) -> None:
    for seed in range(6):
        moved = np.roll(texture(HEIGHT, WIDTH, seed=1), (37 * seed, 53 * seed), axis=(0, 1))
        Image.fromarray(moved).save(tmp_path / f"{seed}.png")
    bundle = fit_tiles("anywhere", images=sorted(tmp_path.iterdir()))
    assert read_manifest(bundle).segmentation.compare == "anywhere"


def test_near_looks_one_tile_further(fit_tiles: Fit, pictures: list[Path]) -> None:
    detector = {c: panda_edge.load(fit_tiles(c, compare=c, neighbors=1000)) for c in ("anywhere", "near", "place")}
    picture = np.roll(np.asarray(Image.open(pictures[0])), 40, axis=1)
    anywhere, near, place = (detector[c].segment(picture).heatmap.max() for c in ("anywhere", "near", "place"))
    assert anywhere <= near <= place
    assert anywhere < place


@pytest.mark.parametrize("bank", ["kmeans", "kmeans-levels", "coreset", "joint-hnsw", "hnsw", "gaussian"])
def test_every_bank_works_with_tiles(fit_tiles: Fit, pictures: list[Path], texture: Texture, bank: str) -> None:
    bundle = fit_tiles(bank, bank, images=pictures[:6], held_out=pictures[6:] if bank != "hnsw" else ())
    assert verify(bundle)["ok"]
    detector = panda_edge.load(bundle, threads=2)
    normal, odd = detector.segment(pictures[7]), detector.segment(with_defect(texture, 90, 70))
    assert odd.heatmap.max() > 1.2 * normal.heatmap.max()
    assert odd.heatmap is not None
    y, x = np.unravel_index(np.argmax(odd.heatmap), odd.heatmap.shape)
    assert abs(2 * x - 96) < 16
    assert abs(2 * y - 76) < 16


def test_a_budget_keeps_the_tiles_that_cover_the_others(fit_tiles: Fit, pictures: list[Path]) -> None:
    tile = 2 * (16 * 7 + 64 * 5 + 256 * 3) + 2 * 256 + 4 * 12
    manifest = read_manifest(fit_tiles("small", compare="anywhere", max_bank_mb=20.5 * tile / 1e6))
    assert manifest.detection.count == manifest.segmentation.count == 20
    assert manifest.recipe.train_images == 8
    assert "20 of" in manifest.recipe.shrunk_to
    assert "tiles" in manifest.recipe.shrunk_to


def test_the_same_bytes_twice(fit_tiles: Fit, tiled: Path) -> None:
    again = fit_tiles("again", compare="anywhere", neighbors=1000, dtype="float32")
    for path in tiled.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(tiled)).read_bytes(), path.name


def test_the_default_leaves_the_finest_level_out(tmp_path: Path, pictures: list[Path], texture: Texture) -> None:
    out = tmp_path / "x.panda"
    preprocessing = Preprocessing(SIDE, SIDE, tiles=Tiling(0.25, 1.0))
    export_bundle(out, TinyBackbone(), pictures, preprocessing, ExportOptions({"name": "dn2"}, settings_for()))
    manifest = read_manifest(out)
    assert [level.stride for level in manifest.levels] == [16, 8]
    assert (manifest.recipe.bank["average"], manifest.recipe.bank["level_weights"]) == (3, [1.0, 1.0, 0.0])
    assert manifest.segmentation.neighbors == 20
    assert not (out / "bank" / "stride04.npy").exists()
    assert verify(out)["ok"]
    result = panda_edge.load(out).segment(with_defect(texture, 90, 70))
    assert result.heatmap is not None
    assert result.heatmap.shape == (HEIGHT // 2, WIDTH // 2)
    y, x = np.unravel_index(np.argmax(result.heatmap), result.heatmap.shape)
    assert (abs(2 * x - 96) < 16, abs(2 * y - 76) < 16) == (True, True)


class TestPicturesOfOtherSizes:
    def test_more_tiles_of_a_larger_one(self, tiled: Path, texture: Texture) -> None:
        detector = panda_edge.load(tiled)
        result = detector.segment(texture(300, 500))
        assert result.view.count > detector.preprocessing.view((WIDTH, HEIGHT)).count
        assert result.heatmap_on_image().shape == (300, 500)

    def test_the_same_tiles_where_places_matter(self, fit_tiles: Fit, texture: Texture) -> None:
        detector = panda_edge.load(fit_tiles("auto2"))
        counts = {detector.segment(texture(*size)).view.count for size in ((160, 200), (320, 400), (100, 900))}
        assert len(counts) == 1

    @pytest.mark.parametrize("size", [(30, 400), (400, 63)])
    def test_too_small_is_one_line(self, tiled: Path, texture: Texture, tmp_path: Path, size: tuple[int, int]) -> None:
        Image.fromarray(texture(*size)).save(tmp_path / "small.png")
        with pytest.raises(ImageError, match=rf"small.png: {size[1]}×{size[0]} pixels is smaller than a tile of 64×64"):
            panda_edge.load(tiled).segment(tmp_path / "small.png")

    def test_a_small_one_among_the_normal_is_left_out(
        self, fit_tiles: Fit, pictures: list[Path], texture: Texture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Image.fromarray(texture(40, 40)).save(tmp_path / "small.png")
        bundle = fit_tiles("left", images=[tmp_path / "small.png", *pictures])
        assert capsys.readouterr().err.count("small.png") == 1
        assert read_manifest(bundle).recipe.train_images == 8


HOSTILE = [
    ({"overlap": 0.1}, "expected either a scale, or a height and a width"),
    ({"overlap": 0.1, "scale": 1.0, "height": 64, "width": 64}, "expected either a scale, or a height and a width"),
    ({"overlap": 0.1, "height": 64}, "expected either a scale, or a height and a width"),
    ({"overlap": 1.0, "scale": 1.0}, "overlap is 1.0, expected a number from 0 to 0.75"),
    ({"overlap": float("nan"), "scale": 1.0}, "overlap is nan"),
    ({"overlap": 0.1, "scale": 1e9}, "scale is 1000000000.0, expected"),
    ({"overlap": 0.1, "height": 2**63, "width": 64}, "height is 9223372036854775808"),
    ({"overlap": 0.1, "height": 2**20, "width": 2**20}, "is more than 100 megapixels"),
    ({"overlap": 0.75, "height": 9984, "width": 9984}, "tiles, at most 4096 are allowed"),
    ({"overlap": 0.1, "height": 32, "width": 64}, "is smaller than a tile"),
    ([1, 2], "tiles is"),
]


@pytest.mark.parametrize(("tiles", "said"), HOSTILE)
def test_grids_of_a_hostile_manifest(tiled: Path, tiles: Any, said: str) -> None:
    plain = json.loads((tiled / "manifest.json").read_text(encoding="utf-8"))
    plain["preprocessing"]["tiles"] = tiles
    with pytest.raises(BundleError, match=said):
        parse_manifest(plain, "m")


def test_what_the_manifest_may_not_combine(tiled: Path) -> None:
    plain = json.loads((tiled / "manifest.json").read_text(encoding="utf-8"))
    for change, said in (
        ({"segmentation": {**plain["segmentation"], "compare": "place"}}, "by place needs a height and a width"),
        ({"preprocessing": {**plain["preprocessing"], "resize": "crop"}}, "expected squash"),
        ({"preprocessing": {k: v for k, v in plain["preprocessing"].items() if k != "tiles"},
          "segmentation": {**plain["segmentation"], "compare": "near"}}, "of a bundle without tiles"),
    ):  # fmt: skip
        with pytest.raises(BundleError, match=said):
            parse_manifest({**plain, **change}, "m")


def test_damaged_places_are_one_line(tiled: Path, tmp_path: Path, edit_manifest: Callable[..., None]) -> None:
    bundle = Path(shutil.copytree(tiled, tmp_path / "x.panda"))
    rows = np.load(bundle / PLACES_FILE)
    for damaged in (rows - 5, rows[:-1], rows.astype(np.int64)):
        np.save(bundle / PLACES_FILE, damaged)
        edit_manifest(bundle, reseal=True)
        with pytest.raises(BundleError, match=r"places\.npy"):
            panda_edge.load(bundle)


def test_info_tells_of_tiles(tiled: Path, made_bundles: dict[str, Path]) -> None:
    words = describe_in_words(describe(tiled))
    assert "tiles" in words
    assert "defects below 12 pixels are out of sight" in words
    assert "defects below 19 % of a side are out of sight" in describe_in_words(describe(made_bundles["exact"]))


def test_the_command_line_segments_tiles(tiled: Path, texture: Texture, tmp_path: Path) -> None:
    Image.fromarray(with_defect(texture, 90, 70)).save(tmp_path / "odd.png")
    Image.fromarray(texture(20, 300)).save(tmp_path / "thin.png")
    command = [Path(sys.executable).with_name("panda-edge"), "segment", tiled, tmp_path / "odd.png",
               tmp_path / "thin.png", "--out", tmp_path / "maps", "--json"]  # fmt: skip
    done = subprocess.run([*map(str, command), "--map-size", "image"], capture_output=True, text=True)
    assert done.returncode == 2
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert "smaller than a tile" in lines[1]["error"]
    assert len(done.stderr.strip().splitlines()) == 1  # the thin picture
    assert np.load(lines[0]["heatmap"]).shape == (HEIGHT, WIDTH)
    with Image.open(lines[0]["overlay"]) as overlay:
        assert overlay.width == WIDTH


def test_pictures_that_are_fitted_in(tmp_path: Path, pictures: list[Path]) -> None:
    out = tmp_path / "fit.panda"
    asked = ExportOptions({"name": "dn2"}, settings_for(neighbors=8), leave_one_out=True)
    export_bundle(out, TinyBackbone(), pictures, Preprocessing(SIDE, SIDE, "fit"), asked)
    assert verify(out)["ok"]
    detector = panda_edge.load(out)
    picture = np.asarray(Image.open(pictures[0])).copy()
    assert detector.segment(picture).heatmap.max() == pytest.approx(0, abs=0.05)
    picture[60:90, 80:110] = (255, 0, 255)
    result = detector.segment(picture)
    assert result.heatmap is not None
    assert result.heatmap.shape == (51, 64)  # 160 of 200 pixels a side, in 64
    y, x = np.unravel_index(np.argmax(result.heatmap_on_image()), (HEIGHT, WIDTH))
    assert (abs(y - 75) < 20, abs(x - 95) < 20) == (True, True)
