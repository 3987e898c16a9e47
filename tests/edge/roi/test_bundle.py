"""A bundle's own region of interest: stored, hashed, shown; and what the commands make of one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import panda_edge
from command_line import Run, refused
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.selftest import read_selftest
from panda_edge.errors import BundleError
from panda_edge.images.roi import Roi
from panda_edge.inspect.info import describe, describe_in_words
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.drift import open_drift
from rois import LEFT, half

Fit = Callable[..., Path]


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
    def test_each_command_takes_it(self, run: Run, fit_roi: Fit, odd_image: Path, tmp_path: Path) -> None:
        (tmp_path / "roi.json").write_text(json.dumps(LEFT))
        bundle, roi = fit_roi("gaussian"), ("--roi", tmp_path / "roi.json")
        detected = run("detect", bundle, odd_image, *roi, "--json")
        segmented = run("segment", bundle, odd_image, *roi, "--out", tmp_path / "maps", "--json")
        watched = run("watch", bundle, odd_image.parent, *roi, "--once", "--jsonl", tmp_path / "watched.jsonl")
        benched = run("bench", bundle, odd_image, *roi, "--frames", "3", "--json")
        for done in (detected, segmented, watched, benched):
            assert done.code == 0, done.err
        for done in (detected, segmented, watched):
            assert "p-values are upper bounds" in done.err
        lines = (detected.out, segmented.out, (tmp_path / "watched.jsonl").read_text())
        one, two, three = (json.loads(line.splitlines()[0]) for line in lines)
        assert one["score"] == two["score"] == pytest.approx(three["score"], rel=1e-6)
        assert one["p_value"] == two["p_value"] == three["p_value"]
        assert np.isnan(np.load(two["heatmap"])).any()

    @pytest.mark.parametrize("command", ["detect", "segment", "watch", "bench"])
    def test_wrong_ones_are_one_line(
        self, run: Run, exact_bundle: Path, odd_image: Path, tmp_path: Path, command: str
    ) -> None:
        more = {"segment": ("--out", tmp_path / "maps"), "watch": ("--once",)}.get(command, ())
        source = odd_image.parent if command == "watch" else odd_image
        for content in (b"[]", b"[[[0, 0], [2, 0], [1, 1]]]", None):
            given = tmp_path / "roi.json"
            given.unlink(missing_ok=True)
            if content is not None:
                given.write_bytes(content)
            done = run(command, exact_bundle, source, "--roi", given, *more)
            refused(done, "roi")


def test_the_self_tests_frames_are_whole_ones(fit_roi: Fit) -> None:
    plain, limited = (read_selftest(open_bundle(fit_roi("gaussian", roi))) for roi in (None, Roi(half())))
    np.testing.assert_array_equal(limited.heatmaps, plain.heatmaps)


def test_drift_is_not_looked_for_in_a_roi_of_the_devices_own(fit_roi: Fit) -> None:
    bundle = fit_roi("gaussian")
    whole, part = Loop(lambda: panda_edge.load(bundle), []), Loop(lambda: panda_edge.load(bundle, roi=half()), [])
    assert open_drift(whole, 0.01) is not None
    assert open_drift(part, 0.01) is None
