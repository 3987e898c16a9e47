"""A region of interest: how it is read, where it lies, and that nothing outside of it is looked at."""

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
import panda_export.network
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.manifest import read_manifest
from panda_edge.bundle.selftest import read_selftest
from panda_edge.decide.calibration import CALIBRATION_FILE
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import BundleError, ImageError, PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.roi import Roi, parse_roi, read_roi
from panda_edge.images.roi_mask import Rois
from panda_edge.images.tiling import Tiling
from panda_edge.images.view import View
from panda_edge.inspect.info import describe, describe_in_words
from panda_edge.inspect.verify import verify
from panda_edge.search import kernel
from panda_edge.search.query import FrameFeatures
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.drift import open_drift
from panda_export.export import export_bundle
from panda_export.options import BANKS, BankOptions, ExportOptions

PANDA_EDGE = str(Path(sys.executable).with_name("panda-edge"))
SIDE = 64
LEFT = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]
Texture = Callable[..., np.ndarray]


def half(width: int = SIDE, height: int = SIDE) -> np.ndarray:
    """A mask of the left half."""
    mask = np.zeros((height, width), dtype=bool)
    mask[:, : width // 2] = True
    return mask


def of_json(plain: Any) -> Roi:
    return parse_roi(json.dumps(plain).encode(), "roi.json", "roi.json")


class TestReading:
    def test_a_mask_and_polygons_say_the_same(self, tmp_path: Path) -> None:
        Image.fromarray(half()).save(tmp_path / "mask.png")
        (tmp_path / "roi.json").write_text(json.dumps(LEFT))
        xs, ys = np.arange(640) + 0.5, np.arange(480) + 0.5
        for roi in (read_roi(tmp_path / "mask.png"), read_roi(str(tmp_path / "roi.json")), read_roi(half())):
            inside = roi.inside(xs, ys, (640, 480))
            assert inside.shape == (480, 640)
            assert inside[:, :320].all()
            assert not inside[:, 320:].any()

    def test_polygons_in_pixels_are_of_the_pictures_own(self) -> None:
        roi = of_json([[[10, 20], [30, 20], [30, 40], [10, 40]]])
        inside = roi.inside(np.arange(50) + 0.5, np.arange(50) + 0.5, (50, 50))
        expected = np.zeros((50, 50), dtype=bool)
        expected[20:40, 10:30] = True
        np.testing.assert_array_equal(inside, expected)

    def test_polygons_are_joined_and_each_is_even_odd(self) -> None:
        ring = [[0, 0], [40, 0], [40, 40], [0, 40], [0, 0], [10, 10], [10, 30], [30, 30], [30, 10], [10, 10]]
        roi = of_json([ring, [[15, 15], [20, 15], [20, 20], [15, 20]]])
        inside = roi.inside(np.arange(40) + 0.5, np.arange(40) + 0.5, (40, 40))
        assert inside[5, 5]
        assert inside[17, 17]
        assert not inside[25, 25]
        assert inside.sum() == 1600 - 400 + 25

    def test_a_polygon_is_that_of_its_points_by_brute_force(self) -> None:
        random = np.random.default_rng(0)
        points = random.uniform(0, 100, (7, 2))
        xs = ys = np.arange(100) + 0.5
        inside = of_json([points.tolist()]).inside(xs, ys, (100, 100))
        for x, y in random.integers(0, 100, (300, 2)):
            turns = 0
            for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
                if (y0 <= ys[y]) != (y1 <= ys[y]):
                    turns += xs[x] >= x0 + (ys[y] - y0) * (x1 - x0) / (y1 - y0)
            assert inside[y, x] == turns % 2

    def test_a_mask_is_scaled_by_its_nearest_pixel(self) -> None:
        mask = np.zeros((8, 8), dtype=bool)
        mask[2, 3] = True
        inside = Roi(mask).inside(np.arange(80) + 0.5, np.arange(16) + 0.5, (80, 16))
        assert inside.sum() == 20
        assert inside[4:6, 30:40].all()

    def test_what_a_bundle_keeps_is_what_was_given(self) -> None:
        for roi in (Roi(half()), of_json(LEFT), of_json([[[1, 2], [300.5, 4], [5, 600]]])):
            name, data = roi.file()
            again = parse_roi(data, name, name)
            np.testing.assert_array_equal(again.mask, roi.mask)
            np.testing.assert_array_equal(again.polygons, roi.polygons)
            assert again.fractions == roi.fractions

    @pytest.mark.parametrize(
        ("plain", "said"),
        [
            ({}, "expected a list of polygons"),
            ([], "no polygon"),
            ([[0, 0], [1, 0], [1, 1]], "polygon 1: expected a list"),
            ([[[0, 0], [1, 1]]], "2 points"),
            ([[[0, 0], [1, "a"], [1, 1]]], "polygon 1: expected a list"),
            ([[[0, 0], [1, True], [1, 1]]], "polygon 1: expected a list"),
            ([LEFT[0], [[0, 0], [-0.5, 0], [1, 1]]], "polygon 2: a point outside the picture"),
            ([[[0, 0], [float("nan"), 0], [1, 1]]], "outside the picture"),
            ([[[0, 0], [float("inf"), 0], [1, 1]]], "no area"),
            ([[[0, 0], [0.5, 0.5], [1, 1]]], "no area"),
            ([[[0, 0], [1.2, 0], [1, 1]]], "reaches 1.2"),
            ([[[i, i * i] for i in range(10_001)]], "more than 10000 points"),
        ],
    )
    def test_wrong_polygons_are_one_line(self, plain: Any, said: str) -> None:
        with pytest.raises(PandaError, match=said) as caught:
            of_json(plain)
        assert "\n" not in str(caught.value)

    def test_wrong_files_are_one_line(self, tmp_path: Path, texture: Texture) -> None:
        Image.new("L", (64, 64)).save(tmp_path / "empty.png")
        Image.fromarray(texture(64, 64)).save(tmp_path / "photo.png")
        Image.new("RGBA", (64, 64), (255, 255, 255, 0)).save(tmp_path / "clear.png")
        (tmp_path / "text.txt").write_text("left half")
        (tmp_path / "broken.json").write_text("[[[")
        (tmp_path / "deep.json").write_text("[" * 100_000)
        (tmp_path / "binary.json").write_bytes(bytes(range(128, 256)))
        for name, said in {
            "empty.png": "an empty mask",
            "photo.png": "neither black nor white",
            "clear.png": "transparent",
            "text.txt": "not an image",
            "broken.json": "not valid JSON",
            "deep.json": "not valid JSON",
            "binary.json": "not valid JSON",
            "missing.png": "no such file",
            ".": "cannot be read",
        }.items():
            with pytest.raises(PandaError, match=said) as caught:
                read_roi(tmp_path / name)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("array", [np.zeros((64, 64)), np.ones((4, 64), bool), np.zeros((64, 64), bool)])
    def test_wrong_arrays(self, array: np.ndarray) -> None:
        with pytest.raises(PandaError, match="roi"):
            read_roi(array)

    def test_a_picture_that_a_polygon_leaves(self) -> None:
        looking = Preprocessing(SIDE, SIDE, rois=Rois(of_json([[[0, 0], [300, 0], [300, 200]]])))
        assert looking.view((300, 200)).roi_mask is not None
        with pytest.raises(ImageError, match="polygon 1 of the roi reaches 300, 200"):
            looking.view((299, 200))

    def test_a_roi_that_the_crop_leaves_out(self) -> None:
        strip = of_json([[[0, 0], [0.01, 0], [0.01, 1], [0, 1]]])
        with pytest.raises(ImageError, match="leaves nothing"):
            Preprocessing(SIDE, SIDE, "crop", 1.0, rois=Rois(strip)).view((400, 200))


class TestView:
    def test_cells_that_hold_a_pixel_of_it_are_active(self) -> None:
        view = Preprocessing(SIDE, SIDE, rois=Rois(None, of_json([[[17, 0], [33, 0], [33, 31], [17, 31]]]))).view(
            (64, 64)
        )
        cells = view.active_cells(0, 16)
        assert cells is not None
        np.testing.assert_array_equal(cells, [[False, True, True, False]] * 2 + [[False] * 4] * 2)
        finer = view.active_cells(0, 8)
        assert finer is not None
        np.testing.assert_array_equal(finer, cells.repeat(2, 0).repeat(2, 1))
        coarser = view.active_cells(0, 32)
        assert coarser is not None
        np.testing.assert_array_equal(coarser, [[True, True], [False, False]])

    def test_padding_stays_out(self) -> None:
        view = Preprocessing(SIDE, SIDE, "fit", rois=Rois(Roi(half()))).view((64, 32))
        cells = view.active_cells(0, 16)
        assert cells is not None
        np.testing.assert_array_equal(cells, [[True, True, False, False]] * 2 + [[False] * 4] * 2)

    def test_tiles_outside_are_left_out(self) -> None:
        plain = Preprocessing(SIDE, SIDE, tiles=Tiling(0.25, 1.0)).view((256, 64))
        view = Preprocessing(SIDE, SIDE, tiles=Tiling(0.25, 1.0), rois=Rois(Roi(half()))).view((256, 64))
        assert list(plain.active_frames()) == list(range(plain.count))
        looked = view.active_frames()
        assert list(looked) == [n for n in range(view.count) if view.corner(n)[1] < 128]
        assert 0 < len(looked) < view.count

    @pytest.mark.parametrize("preprocessing", [Preprocessing(SIDE, SIDE), Preprocessing(SIDE, SIDE, "crop", 1.0)])
    def test_on_the_picture_the_map_ends_where_the_roi_does(self, preprocessing: Preprocessing) -> None:
        size = (200, 120)
        view = Preprocessing(SIDE, SIDE, preprocessing.resize, rois=Rois(None, of_json(LEFT))).view(size)
        assert view.roi_mask is not None
        heatmap = np.where(view.roi_mask.judged, np.float32(3), np.float32(np.nan))
        shown = view.to_picture(heatmap)
        seen = np.isfinite(shown)
        np.testing.assert_allclose(shown[seen], 3, rtol=1e-6)
        assert not seen[:, 100:].any()
        assert seen[60, 50:99].all()
        assert np.isfinite(view.to_picture(heatmap, (50, 30))[15, 13:24]).all()


Fit = Callable[..., Path]


@pytest.fixture(scope="session")
def fit_roi(
    tmp_path_factory: pytest.TempPathFactory,
    made_bundles: dict[str, Path],
    normal_images: list[Path],
    tiny_backbone: Callable[..., Any],
) -> Fit:
    """Export a calibrated bundle of the tiny backbone, in a roi or of whole pictures."""
    folder = tmp_path_factory.mktemp("roi")
    made: dict[str, Path] = {}

    def call(bank: str, roi: Roi | None = None, tiles: Tiling | None = None, **more: Any) -> Path:
        name = f"{bank}-{roi is not None}-{tiles is not None}-{'-'.join(map(str, more.values()))}"
        if name in made:
            return made[name]
        out = made[name] = folder / f"{name}.panda"
        rule = more.pop("rule", "max")
        preprocessing = Preprocessing(SIDE, SIDE, tiles=tiles, rois=None if roi is None else Rois(roi))
        exact = bank in ("exact", "hnsw")
        asked = {"average": 1, "level_weights": (1.0, 1.0, 1.0)} if exact and tiles is not None else {}
        options = ExportOptions(
            {"name": "dn2"},
            BankOptions(bank, means=5, vectors=200, neighbors=4, **asked),
            leave_one_out=exact,
            rule=rule,
        )
        images, held_out = (normal_images, []) if exact else (normal_images[:8], normal_images[8:])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                panda_export.network, "write_onnx", lambda graph, path, *about: _copied(made_bundles, bank, path)
            )
            export_bundle(out, tiny_backbone(), images, preprocessing, options, held_out)
        return out

    return call


def _copied(made_bundles: dict[str, Path], bank: str, path: Path) -> dict[str, float]:
    shutil.copy(made_bundles["coreset" if bank == "coreset" else "exact"] / MODEL_FILE, path)
    return {}


def outside_changed(picture: np.ndarray) -> np.ndarray:
    """The same picture with another right quarter: far enough from the left half for the tiny network."""
    changed = picture.copy()
    changed[:, 3 * picture.shape[1] // 4 :] = (255, 0, 255)
    return changed


@pytest.fixture
def odd(odd_image: Path) -> np.ndarray:
    return np.asarray(Image.open(odd_image).convert("RGB"))


@pytest.mark.parametrize("bank", list(BANKS))
class TestEveryBank:
    def test_cells_inside_are_those_of_the_whole_picture(self, fit_roi: Fit, odd: np.ndarray, bank: str) -> None:
        """The device's roi: no value is higher than without it, and those far inside are the same."""
        bundle = fit_roi(bank)
        whole, part = panda_edge.load(bundle), panda_edge.load(bundle, roi=half())
        expected, found = whole.segment(odd), part.segment(odd)
        assert expected.heatmap is not None
        assert found.heatmap is not None
        assert np.isnan(found.heatmap[:, 32:]).all()
        assert (found.heatmap[:, :32] <= expected.heatmap[:, :32] * (1 + 1e-5)).all()
        np.testing.assert_allclose(found.heatmap[:, :8], expected.heatmap[:, :8], rtol=1e-4)
        assert found.score <= np.nanmax(found.heatmap)
        assert found.p_value is not None
        assert expected.p_value is not None
        assert found.p_value >= expected.p_value
        assert part.detect(odd).p_value == found.p_value
        assert part.detect(odd).heatmap is None

    def test_nothing_outside_changes_anything(self, fit_roi: Fit, odd: np.ndarray, bank: str) -> None:
        for detector in (panda_edge.load(fit_roi(bank, Roi(half()))), panda_edge.load(fit_roi(bank), roi=half())):
            one, other = detector.segment(odd), detector.segment(outside_changed(odd))
            assert one.heatmap is not None
            assert other.heatmap is not None
            # Similar pictures are chosen by the whole one, and a coreset's descriptors, averaged and interpolated, see
            # half of so small a picture; of other banks nothing changes at all.
            if bank not in ("exact", "hnsw", "coreset"):
                np.testing.assert_array_equal(one.heatmap[:, :24], other.heatmap[:, :24])
            assert all(region.box[2] <= 32 for region in other.regions or ())

    def test_a_bundles_roi_is_calibrated_inside(
        self, fit_roi: Fit, normal_images: list[Path], odd: np.ndarray, bank: str
    ) -> None:
        bundle = fit_roi(bank, Roi(half()))
        manifest = read_manifest(bundle)
        assert manifest.roi is not None
        assert (manifest.roi.file, manifest.roi.inside) == ("roi.png", 0.5)
        assert manifest.preprocessing.rois is None
        assert verify(bundle)["ok"]
        detector = panda_edge.load(bundle)
        assert not any("roi" in remark for remark in detector.remarks)
        held = np.load(bundle / CALIBRATION_FILE)
        if manifest.calibration is not None and manifest.calibration["kind"] == "held-out":
            again = [np.nanmax(detector.segment(path).heatmap) for path in normal_images[8:]]
            np.testing.assert_allclose(held[1], again, rtol=1e-5)
        # Blurred into nothing that was not searched: the border of the roi is not darker for it.
        cut = panda_edge.load(fit_roi(bank), roi=half()).segment(odd).heatmap
        own = detector.segment(odd).heatmap
        assert own is not None
        assert cut is not None
        assert np.nanmean(own[:, 28:32] / cut[:, 28:32]) > 1.2


def test_the_share_of_the_blur_is_that_of_the_cells_by_brute_force(fit_roi: Fit, odd: np.ndarray) -> None:
    bundle = fit_roi("exact", Roi(half()))
    whole = panda_edge.load(fit_roi("exact"))
    found = panda_edge.load(bundle).segment(odd).heatmap
    features = whole.features(whole.preprocessing.apply(odd)[None])
    scored = whole._scorer.score(FrameFeatures.of(features, 0))
    cells, mask = scored.distances, np.zeros((16, 16), np.float32)
    assert cells is not None
    mask[:, :8] = 1
    expected, shares = (kernel.render_heatmap(part, 64, 64, 4.0)[:, :32] for part in (cells * mask, mask))
    assert found is not None
    np.testing.assert_allclose(found[:, :32], expected / shares, rtol=1e-4)


TILED = Tiling(0.25, 2.0)


@pytest.mark.parametrize("bank", ["exact", "gaussian", "coreset"])
class TestTiles:
    def test_frames_outside_never_reach_the_model(
        self, fit_roi: Fit, odd: np.ndarray, bank: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        detector = panda_edge.load(fit_roi(bank, tiles=TILED), threads=2, roi=half())
        run = detector._tiles._run  # type: ignore[union-attr]
        seen: list[int] = []

        def counted(frames: np.ndarray) -> Any:
            seen.append(len(frames))
            return run(frames)

        monkeypatch.setattr(detector._tiles, "_run", counted)
        result = detector.segment(odd)
        assert sum(seen) == len(result.view.active_frames()) < result.view.count
        seen.clear()
        detector.model_floor(odd)
        assert sum(seen) == len(result.view.active_frames())

    def test_the_map_inside_is_that_of_the_whole_picture(self, fit_roi: Fit, odd: np.ndarray, bank: str) -> None:
        bundle = fit_roi(bank, tiles=TILED)
        whole = panda_edge.load(bundle).segment(odd)
        part = panda_edge.load(bundle, roi=half()).segment(odd)
        assert whole.heatmap is not None
        assert part.heatmap is not None
        across = whole.heatmap.shape[1]
        assert np.isnan(part.heatmap[:, across // 2 :]).all()
        assert (part.heatmap[:, : across // 2] <= whole.heatmap[:, : across // 2] * (1 + 1e-5)).all()
        inner = slice(0, across // 2 - 12)
        np.testing.assert_allclose(part.heatmap[:, inner], whole.heatmap[:, inner], rtol=1e-4)

    def test_the_bank_leaves_out_what_nobody_looks_at(self, fit_roi: Fit, bank: str, odd: np.ndarray) -> None:
        bundle = fit_roi(bank, Roi(half()), TILED)
        found, whole = read_manifest(bundle).detection.count, read_manifest(fit_roi(bank, tiles=TILED)).detection.count
        assert found == whole if bank == "gaussian" else found < whole
        assert verify(bundle)["ok"]
        result = panda_edge.load(bundle).segment(odd)
        assert result.p_value is not None
        assert result.heatmap is not None
        assert np.isfinite(result.heatmap).mean() == pytest.approx(0.5, abs=0.05)


def test_both_rois_are_one_within_the_other(fit_roi: Fit, odd: np.ndarray) -> None:
    top = np.zeros((64, 64), dtype=bool)
    top[:32] = True
    bundle = fit_roi("gaussian", Roi(half()))
    both, own = panda_edge.load(bundle, roi=top), panda_edge.load(bundle)
    found, wider = both.segment(odd).heatmap, own.segment(odd).heatmap
    assert found is not None
    assert wider is not None
    assert np.isfinite(found[:32, :32]).all()
    assert np.isnan(found[32:]).all()
    assert np.isnan(found[:, 32:]).all()
    assert (found[:32, :32] <= wider[:32, :32] * (1 + 1e-5)).all()
    assert any("its own roi" in remark for remark in both.remarks)


def test_a_bundle_that_decides_by_embedding_decides_by_the_map(fit_roi: Fit, odd: np.ndarray) -> None:
    for rule in ("embedding", "combined"):
        detector = panda_edge.load(fit_roi("gaussian", rule=rule), roi=half())
        assert any(f"decides by {rule}" in remark for remark in detector.remarks)
        decision = detector.detect(odd).decision
        assert decision is not None
        assert decision.rule == "local"
        detector.decide_at(0.2)
        assert detector.decider is not None
        assert detector.decider.rule == "local"


def test_the_mean_of_the_top_is_no_higher_than_of_the_whole(fit_roi: Fit, odd: np.ndarray) -> None:
    bundle = fit_roi("gaussian", rule="top1")
    small = np.zeros((64, 64), dtype=bool)
    small[:9, :9] = True
    for mask in (small, half()):
        whole, part = panda_edge.load(bundle).segment(odd), panda_edge.load(bundle, roi=mask).segment(odd)
        assert whole.decision is not None
        assert part.decision is not None
        assert part.decision.score <= whole.decision.score
        assert part.decision.p_value >= whole.decision.p_value


def test_pictures_of_another_size(fit_roi: Fit, texture: Texture) -> None:
    detector = panda_edge.load(fit_roi("exact", Roi(half())))
    shown = detector.segment(texture(90, 300)).heatmap_on_image()
    assert np.isfinite(shown[:, :149]).all()
    assert np.isnan(shown[:, 150:]).all()


def test_info_shows_it(fit_roi: Fit) -> None:
    facts = describe(fit_roi("exact", Roi(half())))
    assert facts["roi"] == {"file": "roi.png", "inside": 0.5}
    assert "roi         50 % of a picture (roi.png)" in describe_in_words(facts)
    assert describe(fit_roi("exact"))["roi"] is None


def test_a_bundles_roi_is_hashed_and_checked(fit_roi: Fit, tmp_path: Path, edit_manifest: Callable[..., None]) -> None:
    bundle = Path(shutil.copytree(fit_roi("exact", Roi(half())), tmp_path / "x.panda"))
    content = (bundle / "roi.png").read_bytes()
    (bundle / "roi.png").write_bytes(content[:-1] + b"x")
    with pytest.raises(BundleError, match="sha256"):
        panda_edge.load(bundle)
    Image.new("L", (64, 64)).save(bundle / "roi.png")
    edit_manifest(bundle, reseal=True)
    with pytest.raises(BundleError, match=r"empty mask.*export the bundle again"):
        panda_edge.load(bundle)
    (bundle / "roi.png").unlink()
    with pytest.raises(BundleError, match="missing"):
        panda_edge.load(bundle)
    edit_manifest(bundle, lambda plain: plain["roi"].update(file="../roi.png"))
    with pytest.raises(BundleError, match="roi: file"):
        panda_edge.load(bundle)


class TestCommands:
    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([PANDA_EDGE, *map(str, arguments)], capture_output=True, text=True, timeout=60)

    def test_each_command_takes_it(self, fit_roi: Fit, odd_image: Path, tmp_path: Path) -> None:
        (tmp_path / "roi.json").write_text(json.dumps(LEFT))
        bundle, roi = fit_roi("gaussian"), ("--roi", tmp_path / "roi.json")
        detected = self.run("detect", bundle, odd_image, *roi, "--json")
        segmented = self.run("segment", bundle, odd_image, *roi, "--out", tmp_path / "maps", "--json")
        watched = self.run("watch", bundle, odd_image.parent, *roi, "--once")
        benched = self.run("bench", bundle, odd_image, *roi, "--frames", "3", "--json")
        for done in (detected, segmented, watched, benched):
            assert done.returncode == 0, done.stderr
        for done in (detected, segmented, watched):
            assert "p-values are upper bounds" in done.stderr
        one, two, three = (json.loads(done.stdout.splitlines()[0]) for done in (detected, segmented, watched))
        assert one["score"] == two["score"] == pytest.approx(three["score"], rel=1e-6)
        assert one["p_value"] == two["p_value"] == three["p_value"]
        assert np.isnan(np.load(two["heatmap"])).any()

    @pytest.mark.parametrize("command", ["detect", "segment", "watch", "bench"])
    def test_wrong_ones_are_one_line(self, exact_bundle: Path, odd_image: Path, tmp_path: Path, command: str) -> None:
        more = {"segment": ("--out", tmp_path / "maps"), "watch": ("--once",)}.get(command, ())
        source = odd_image.parent if command == "watch" else odd_image
        for content in (b"[]", b"[[[0, 0], [2, 0], [1, 1]]]", None):
            given = tmp_path / "roi.json"
            given.unlink(missing_ok=True)
            if content is not None:
                given.write_bytes(content)
            done = self.run(command, exact_bundle, source, "--roi", given, *more)
            assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
            assert done.stderr.startswith("error: ")


def test_the_self_tests_frames_are_whole_ones(fit_roi: Fit) -> None:
    plain, limited = (read_selftest(open_bundle(fit_roi("gaussian", roi))) for roi in (None, Roi(half())))
    np.testing.assert_array_equal(limited.heatmaps, plain.heatmaps)


def test_a_view_without_a_roi_is_as_before() -> None:
    view = Preprocessing(SIDE, SIDE).view((64, 64))
    assert view == View((64, 64), (0.0, 0.0, 64.0, 64.0), (64, 64), (64, 64))
    heatmap = np.ones((64, 64), np.float32)
    assert view.compared(heatmap) is heatmap


def test_drift_is_not_looked_for_in_a_roi_of_the_devices_own(fit_roi: Fit) -> None:
    bundle = fit_roi("gaussian")
    whole, part = Loop(lambda: panda_edge.load(bundle), []), Loop(lambda: panda_edge.load(bundle, roi=half()), [])
    assert open_drift(whole, 0.01) is not None
    assert open_drift(part, 0.01) is None
