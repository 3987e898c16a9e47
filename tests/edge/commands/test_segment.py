"""The contract of `panda-edge segment`: its files, their names and sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import panda_edge
from command_line import Run, refused


class TestSegment:
    def test_heat_map_and_overlay(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        done = run("segment", exact_bundle, images, "--out", tmp_path / "new" / "maps", "--json")
        assert (done.code, len(done.err.splitlines())) == (0, 2)
        assert ": 1 of 4 files is not a picture: .txt 1\n" in done.err
        assert ": passed over: 1 picture, whose name begins with a dot\n" in done.err
        assert len(done.lines) == 3
        detector = panda_edge.load(exact_bundle)
        for line in done.lines:
            assert {"input", "score", "threshold", "severity", "ms", "heatmap", "overlay"} <= set(line)
            heatmap = np.load(line["heatmap"])
            expected = detector.segment(line["input"]).heatmap
            assert heatmap.dtype == np.float32
            np.testing.assert_allclose(heatmap, expected, rtol=1e-5)
            assert line["score"] == pytest.approx(detector.segment(line["input"]).score)
            with Image.open(line["overlay"]) as overlay:
                assert (overlay.format, overlay.mode, overlay.size) == ("PNG", "RGB", (100, 80))

    def test_subfolders_are_kept(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        run("segment", exact_bundle, images, "--out", tmp_path / "maps")
        assert sorted(p.relative_to(tmp_path / "maps").as_posix() for p in (tmp_path / "maps").rglob("[!.]*.*")) == [
            "10_heatmap.npy", "10_overlay.png", "2_heatmap.npy", "2_overlay.png", "sub/2_heatmap.npy",
            "sub/2_overlay.png",
        ]  # fmt: skip

    def test_sixteen_bit_png(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        image = images / "2.png"
        line = run("segment", exact_bundle, image, "--out", tmp_path / "maps", "--heatmap", "png16", "--json").report
        stored = Image.open(line["heatmap"])
        assert stored.mode.startswith("I;16")
        heatmap = panda_edge.load(exact_bundle).segment(image).heatmap
        assert heatmap is not None
        expected = np.clip(heatmap, 0, line["heatmap_top"])
        np.testing.assert_allclose(
            np.asarray(stored) / 65535 * line["heatmap_top"], expected, atol=1e-3 * expected.max()
        )

    def test_on_the_images_pixels(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        line = run("segment", exact_bundle, images / "2.png", "--out", tmp_path, "--map-size", "image", "--json").report
        assert np.load(line["heatmap"]).shape == (80, 100)

    def test_equal_names_do_not_overwrite_each_other(
        self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path, texture: Callable[..., np.ndarray]
    ) -> None:
        Image.fromarray(texture(80, 100, seed=7)).save(images / "2-2.png")
        given = (images / "2.png", images / "sub" / "2.jpg", images / "2-2.png", images / "2.png")
        done = run("segment", exact_bundle, *given, "--out", tmp_path / "maps", "--json")
        written = [line[kind] for line in done.lines for kind in ("heatmap", "overlay")]
        assert len(set(written)) == 8
        for line in done.lines:
            expected = panda_edge.load(exact_bundle).segment(line["input"]).heatmap
            np.testing.assert_allclose(np.load(line["heatmap"]), expected, rtol=1e-5)

    def test_a_second_run_replaces(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        for _ in range(2):
            run("segment", exact_bundle, images, "--out", tmp_path / "maps")
        assert len(list((tmp_path / "maps").rglob("[!.]*.*"))) == 6

    @pytest.mark.parametrize("name", ["..png", "...png"])
    def test_no_name_leads_out_of_the_folder(
        self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path, name: str
    ) -> None:
        (images / "2.png").rename(images / name)
        line = run("segment", exact_bundle, images / name, "--out", tmp_path / "a" / "maps", "--json").report
        assert Path(line["heatmap"]).resolve().is_relative_to(tmp_path / "a" / "maps")

    def test_a_bad_image_among_good_ones(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        (images / "3.png").write_text("no image")
        done = run("segment", exact_bundle, images, "--out", tmp_path / "maps", "--json")
        assert done.code == 2
        assert ["overlay" in line for line in done.lines] == [True, False, True, True]

    @pytest.mark.parametrize("below", ["", "maps"])
    def test_out_that_cannot_be_made(
        self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path, below: str
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        done = run("segment", exact_bundle, images, "--out", tmp_path / "file" / below)
        refused(done, "choose another folder")
        assert (tmp_path / "file").read_text() == "in the way"

    @pytest.mark.parametrize("size", [(8, 8), (8, 3000), (3000, 8), (47, 60), (48, 60)])
    def test_slivers_and_specks(
        self, run: Run, bundle: Path, exact_bundle: Path, tmp_path: Path, size: tuple[int, int]
    ) -> None:
        Image.effect_noise(size, 50).save(tmp_path / "x.png")
        for some in (bundle, exact_bundle):  # with calibration, and so a caption, and without
            done = run("segment", some, tmp_path / "x.png", "--out", tmp_path / "maps", "--fpr", "0.2", "--json")
            assert (done.code, done.err) == (0, "")
            with Image.open(done.report["overlay"]) as overlay:
                assert abs(overlay.width - size[0] * min(1, 2048 / max(size))) <= 1

    def test_a_crop_darkens_what_it_does_not_see(
        self, run: Run, bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None], tmp_path: Path
    ) -> None:
        bundle = bundle_copy()
        edit_manifest(bundle, lambda plain: plain["preprocessing"].update(resize="crop", cover=256 / 224))
        Image.new("RGB", (200, 100), (200, 200, 200)).save(tmp_path / "x.png")
        line = run(
            "segment", bundle, tmp_path / "x.png", "--out", tmp_path / "m", "--map-size", "image", "--json"
        ).report
        heatmap, overlay = np.load(line["heatmap"]), np.asarray(Image.open(line["overlay"]))
        assert np.isnan(heatmap[:, :50]).all()
        assert np.isfinite(heatmap[50, 100])
        assert overlay[50, 10].max() < 120
        assert overlay[50, 100].max() > 150
