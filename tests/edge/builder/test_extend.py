"""`panda-edge extend`: as a fresh fit on all pictures, without torch, whole or not at all."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import panda_edge
from panda_edge.builder.added import ADDED_FILE
from panda_edge.builder.extend import extend_bundle
from panda_edge.builder.held_out import HELD_OUT_FILE
from panda_edge.bundle.manifest import Manifest, read_manifest
from panda_edge.bundle.sealed_json import sealed
from panda_edge.bundle.signature import SIGNATURE_NAME
from panda_edge.decide.calibration import CALIBRATION_FILE
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import BundleError, DataError, PandaError
from panda_edge.images.roi import Roi
from panda_edge.images.tiling import Tiling
from panda_edge.inspect.verify import verify
from tiny import SIDE

PANDA_EDGE = str(Path(sys.executable).with_name("panda-edge"))
OLD = 8
TILED = Tiling(0.25, 2.0)
Fit = Callable[..., Path]


def extended(bundle: Path, new: list[Path], out: Path, **more: Any) -> Manifest:
    done = extend_bundle(bundle, new, out, **more)
    assert verify(out)["ok"]
    assert read_manifest(out) == done.manifest
    return done.manifest


def half() -> Roi:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[:, : SIDE // 2] = True
    return Roi(mask)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"bank": "hnsw"},
        {"dtype": "float32"},
        {"dtype": "uint8"},
        {"roi": half()},
        {"tiles": TILED, "neighbors": 20},
        {"tiles": TILED, "steps": ()},
        {"tiles": TILED, "compare": "place"},
        {"tiles": TILED, "roi": half()},
        {"neighbors": 50},
        {"neighbors": 0},
        {"calibrated": False},
    ],
    ids=lambda more: "-".join(more) or "plain",
)
def test_an_exact_bank_is_that_of_a_fresh_fit(fit: Fit, many: list[Path], tmp_path: Path, more: dict[str, Any]) -> None:
    fresh, out = fit(many[:16], **more), tmp_path / "more.panda"
    found, expected = extended(fit(many[:OLD], **more), many[OLD:16], out), read_manifest(fresh)
    for name, entry in expected.files.items():
        if name.startswith("bank/") or name in (MODEL_FILE, CALIBRATION_FILE, "roi.png"):
            assert found.files[name] == entry, name
    assert set(found.files) - {ADDED_FILE} == set(expected.files)
    assert found.detection == expected.detection
    assert found.normal_pictures == expected.normal_pictures
    assert found.calibration == expected.calibration
    for field in ("count", "neighbors", "compare", "dtype"):
        assert getattr(found.segmentation, field) == getattr(expected.segmentation, field)
    assert found.segmentation.normal_high == expected.segmentation.normal_high
    one, other = (panda_edge.load(bundle).segment(many[20]) for bundle in (out, fresh))
    assert one.score == other.score
    np.testing.assert_array_equal(one.heatmap, other.heatmap)
    if expected.calibration is not None:
        assert one.p_value == other.p_value


def test_a_bundle_can_be_extended_again_and_in_its_own_place(fit: Fit, many: list[Path], tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(fit(many[:OLD]), tmp_path / "x.panda"))
    extended(bundle, many[OLD:12], bundle)
    found = extended(bundle, many[12:16], bundle)
    expected = read_manifest(fit(many[:16]))
    assert found.recipe.extended_by == 8
    assert found.recipe.train_images == 16
    for name in expected.files:
        if name.startswith("bank/"):
            assert found.files[name] == expected.files[name]


@pytest.mark.parametrize("more", [{}, {"tiles": Tiling.grid(2, 2, SIDE, SIDE, 0.25)}, {"rank": 16}], ids=str)
def test_a_gaussian_bank_is_that_of_a_fresh_fit(
    fit: Fit, many: list[Path], tmp_path: Path, more: dict[str, Any]
) -> None:
    rank = {"rank": 8} if "rank" in more else {}
    more = {**more, **rank}
    held = tuple(many[20:])
    out, fresh = tmp_path / "more.panda", fit(many[:16], "gaussian", held, **more)
    found = extended(fit(many[:OLD], "gaussian", held, **more), many[OLD:16], out, hold_out=0)
    assert found.segmentation.count == 16
    assert found.segmentation.rank == read_manifest(fresh).segmentation.rank
    means = (np.load(bundle / "bank" / "gaussian_mean.npy") for bundle in (out, fresh))
    np.testing.assert_allclose(*means, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.load(out / CALIBRATION_FILE), np.load(fresh / CALIBRATION_FILE), rtol=1e-3)
    one, other = (panda_edge.load(bundle).segment(many[18]).heatmap for bundle in (out, fresh))
    np.testing.assert_allclose(one, other, rtol=1e-3)


@pytest.mark.parametrize("bank", ["gaussian", "coreset"])
def test_a_share_of_the_new_pictures_calibrates(fit: Fit, many: list[Path], tmp_path: Path, bank: str) -> None:
    bundle, out = fit(many[:OLD], bank, tuple(many[20:])), tmp_path / "more.panda"
    done = extend_bundle(bundle, many[OLD:17], out)
    assert (done.added, done.held_out) == (6, 3)  # 4 of 12 at `fit`
    assert done.manifest.calibration == {"images": 7, "kind": "held-out"}
    scores = np.load(out / CALIBRATION_FILE)
    detector = panda_edge.load(out)
    np.testing.assert_allclose(scores[1, :4], [detector.segment(path).heatmap.max() for path in many[20:]], rtol=1e-5)
    again = extend_bundle(out, many[17:19], tmp_path / "again.panda")
    assert (again.added, again.held_out) == (1, 1)
    assert again.manifest.calibration is not None
    assert again.manifest.calibration["images"] == 8
    one = extend_bundle(bundle, many[19:20], tmp_path / "one.panda")
    assert (one.added, one.held_out) == (1, 0)
    with pytest.raises(PandaError, match="leave at least one for the bank"):
        extend_bundle(bundle, many[OLD:10], out, hold_out=2)


@pytest.mark.parametrize("bank", ["exact", "gaussian", "coreset"])
def test_a_false_alarm_becomes_normal(fit: Fit, many: list[Path], tmp_path: Path, bank: str) -> None:
    picture = np.array(Image.open(many[23]))
    picture[20:40, 20:40] = (255, 0, 255)
    odd = tmp_path / "odd.png"
    Image.fromarray(picture).save(odd)
    bundle = fit(many[:OLD], bank, () if bank == "exact" else tuple(many[20:23]))
    out = tmp_path / "more.panda"
    extended(bundle, [odd], out)
    before, after = (panda_edge.load(path).segment(odd).heatmap.max() for path in (bundle, out))
    assert after < 0.6 * before
    other = [panda_edge.load(path).segment(many[18]).heatmap.max() for path in (bundle, out)]
    assert other[1] < 1.5 * other[0]


def test_a_coreset_goes_on_choosing(fit: Fit, many: list[Path], tmp_path: Path) -> None:
    bundle, out = fit(many[:OLD], "coreset", tuple(many[20:])), tmp_path / "more.panda"
    found = extended(bundle, many[OLD:16], out)
    assert found.segmentation.count == 300
    np.testing.assert_array_equal(np.load(out / "bank/coreset_basis.npy"), np.load(bundle / "bank/coreset_basis.npy"))
    fresh = fit(many[:16], "coreset", tuple(many[20:]))
    one, other = (panda_edge.load(path).segment(many[18]).heatmap.max() for path in (out, fresh))
    assert one == pytest.approx(other, rel=0.2)


def test_pictures_that_the_bank_has_are_left_out(fit: Fit, many: list[Path], tmp_path: Path) -> None:
    bundle, out = fit(many[:OLD]), tmp_path / "more.panda"
    twin = tmp_path / "twin.png"
    shutil.copy(many[9], twin)
    done = extend_bundle(bundle, [many[0], many[9], twin], out)
    assert (done.added, done.copies) == (1, 2)
    assert done.said[0].endswith("2 of 3 normal pictures (00.png of one in the bundle, twin.png of 09.png)")
    with pytest.raises(PandaError, match="nothing to add"):
        extend_bundle(bundle, many[:3], out)


@pytest.mark.parametrize(("bank", "share"), [("exact", 0.6), ("gaussian", 1.2), ("coreset", 0.5)])
def test_a_limit_of_megabytes_holds(fit: Fit, many: list[Path], tmp_path: Path, bank: str, share: float) -> None:
    bundle = fit(many[:OLD], bank, () if bank == "exact" else tuple(many[20:]))
    size = sum(entry.bytes for name, entry in read_manifest(bundle).files.items() if name.startswith("bank/"))
    limit = share * size / 1e6
    done = extend_bundle(bundle, many[OLD:16], tmp_path / "small.panda", max_bank_mb=limit)
    found = sum(entry.bytes for name, entry in done.manifest.files.items() if name.startswith("bank/"))
    assert found <= limit * 1e6 + 1200  # the files' headers
    assert done.said[1]
    assert verify(tmp_path / "small.panda")["ok"]
    again = extend_bundle(tmp_path / "small.panda", many[16:20], tmp_path / "again.panda")
    assert again.manifest.recipe.bank["max_bank_mb"] == limit
    assert sum(e.bytes for n, e in again.manifest.files.items() if n.startswith("bank/")) <= limit * 1e6 + 1200
    with pytest.raises(PandaError, match="too small"):
        extend_bundle(bundle, many[OLD:16], tmp_path / "none.panda", max_bank_mb=1e-4)
    assert not (tmp_path / "none.panda").exists()


class TestRefused:
    @pytest.mark.parametrize("bank", ["kmeans", "kmeans-levels", "joint-hnsw"])
    def test_banks_that_cannot_take_pictures_in(
        self, made_bundles: dict[str, Path], many: list[Path], tmp_path: Path, bank: str
    ) -> None:
        with pytest.raises(PandaError, match="bank cannot take pictures in; fit again with all pictures"):
            extend_bundle(made_bundles[bank], many[:1], tmp_path / "x.panda")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("bank", ["gaussian", "coreset", "exact"])
    def test_without_what_it_needs(self, fit: Fit, many: list[Path], tmp_path: Path, bank: str) -> None:
        bundle = fit(many[:OLD], bank, tuple(many[20:]), extendable=False)
        with pytest.raises(PandaError, match=r"fitted without what extend needs; .* --extendable"):
            extend_bundle(bundle, many[OLD:10], tmp_path / "x.panda")

    def test_a_model_that_holds_what_is_normal(
        self, fit: Fit, many: list[Path], tmp_path: Path, edit_manifest: Callable[..., None]
    ) -> None:
        bundle = Path(shutil.copytree(fit(many[:OLD]), tmp_path / "x.panda"))
        edit_manifest(bundle, lambda plain: plain["detection"].update(scoring="graph"))
        plain = json.loads((bundle / "manifest.json").read_text())
        (bundle / "manifest.json").write_text(sealed(plain))
        with pytest.raises(PandaError, match="the model itself holds what is normal"):
            extend_bundle(bundle, many[OLD:10], tmp_path / "y.panda")

    def test_tiles_that_a_limit_dropped(self, fit: Fit, many: list[Path], tmp_path: Path) -> None:
        bundle = fit(many[:OLD], tiles=TILED, max_bank_mb=0.03)
        with pytest.raises(PandaError, match="has dropped tiles or copies of its pictures"):
            extend_bundle(bundle, many[OLD:10], tmp_path / "y.panda")

    def test_a_limit_that_would_drop_tiles(self, fit: Fit, many: list[Path], tmp_path: Path) -> None:
        with pytest.raises(PandaError, match="would drop tiles"):
            extend_bundle(fit(many[:OLD], tiles=TILED), many[OLD:10], tmp_path / "y.panda", max_bank_mb=0.2)
        assert not list(tmp_path.iterdir())

    def test_a_signed_bundle_is_not_replaced(self, fit: Fit, many: list[Path], tmp_path: Path) -> None:
        bundle = Path(shutil.copytree(fit(many[:OLD]), tmp_path / "x.panda"))
        (bundle / SIGNATURE_NAME).write_text("a signature")
        with pytest.raises(PandaError, match=r"x\.panda: signed, which the new bundle cannot be"):
            extend_bundle(bundle, many[OLD:10], bundle)
        assert (bundle / SIGNATURE_NAME).exists()

    def test_a_damaged_bundle(self, fit: Fit, many: list[Path], tmp_path: Path) -> None:
        for name in ("bank/stride08.npy", "bank/pictures.npy", "selftest.npz"):
            bundle = Path(shutil.copytree(fit(many[:OLD]), tmp_path / "x.panda"))
            content = bytearray((bundle / name).read_bytes())
            content[-1] ^= 1
            (bundle / name).write_bytes(content)
            with pytest.raises(BundleError, match="sha256"):
                extend_bundle(bundle, many[OLD:10], tmp_path / "y.panda")
            shutil.rmtree(bundle)
        assert not list(tmp_path.iterdir())

    def test_held_out_pictures_that_are_none(
        self, fit: Fit, many: list[Path], tmp_path: Path, edit_manifest: Callable[..., None]
    ) -> None:
        bundle = Path(shutil.copytree(fit(many[:OLD], "gaussian", tuple(many[20:])), tmp_path / "x.panda"))
        assert (bundle / HELD_OUT_FILE).exists()
        Image.new("RGB", (SIDE, SIDE // 2)).save(bundle / "extend" / "held_00001.png")
        edit_manifest(bundle, reseal=True)
        (bundle / "manifest.json").write_text(sealed(json.loads((bundle / "manifest.json").read_text())))
        with pytest.raises(BundleError, match="held_00001"):
            extend_bundle(bundle, many[OLD:10], tmp_path / "y.panda")
        assert not (tmp_path / "y.panda").exists()

    def test_no_picture_that_can_be_read(self, fit: Fit, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_text("none")
        with pytest.raises(DataError, match="none of the 1 normal images can be read"):
            extend_bundle(fit([*_first(tmp_path)]), [tmp_path / "x.png"], tmp_path / "y.panda")


def _first(folder: Path) -> list[Path]:
    random = np.random.default_rng(5)
    for i in range(3):
        Image.fromarray(random.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / f"n{i}.png")
    return sorted(folder.glob("n*.png"))


class TestCommand:
    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([PANDA_EDGE, "extend", *map(str, arguments)], capture_output=True, text=True, timeout=120)

    def test_it_says_what_it_did(self, fit: Fit, many: list[Path], tmp_path: Path) -> None:
        out = tmp_path / "more.panda"
        done = self.run(fit(many[:OLD]), *many[OLD:10], many[0], "--out", out, "--json")
        assert done.returncode == 0, done.stderr
        facts = json.loads(done.stdout)
        assert (facts["added"], facts["train_images"], facts["calibration_images"]) == (2, 10, 10)
        assert "left out as copies: 1 of 3 normal pictures (00.png of one in the bundle)" in done.stderr
        signed = Path(shutil.copytree(fit(many[:OLD]), tmp_path / "signed.panda"))
        (signed / SIGNATURE_NAME).write_text("a signature")
        done = self.run(signed, *many[OLD:10], "--out", out)
        assert f"{out}: not signed, as {signed} is" in done.stderr
        assert done.stdout.startswith(f"{out}: 2 normal images added\n")
        rows = {line[:26].strip(): line[26:].split() for line in done.stdout.splitlines()[1:]}
        assert rows["pictures in the bank"] == ["8", "10"], done.stdout

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["no.panda", "IMAGE", "--out", "y.panda"], "no such bundle"),
            (["BUNDLE", "IMAGE", "--out", "y"], "ends in .panda"),
            (["BUNDLE", "no.png", "--out", "y.panda"], "no.png: no such file"),
            (["BUNDLE", "*.none", "--out", "y.panda"], "no image matches"),
            (["BUNDLE", "IMAGE", "--out", "y.panda", "--hold-out", "1"], "not calibrated by pictures held out"),
            (["BUNDLE", "IMAGE", "--out", "y.panda", "--max-bank-mb", "0.00001"], "too small"),
            (["BUNDLE", "IMAGE"], "give --out Y.panda, or --dry-run"),
        ],
    )
    def test_wrong_ones_are_one_line(
        self, fit: Fit, many: list[Path], tmp_path: Path, arguments: list[str], said: str
    ) -> None:
        named = {"BUNDLE": str(fit(many[:OLD])), "IMAGE": str(many[9]), "y.panda": str(tmp_path / "y.panda")}
        done = self.run(*(named.get(word, word) for word in arguments))
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert said in done.stderr, done.stderr
        assert last.startswith("error: ")
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "y.panda").exists()

    def test_killed_at_any_moment_the_old_bundle_is_whole(self, fit: Fit, many: list[Path], tmp_path: Path) -> None:
        bundle = Path(shutil.copytree(fit(many[:OLD]), tmp_path / "x.panda"))
        before = read_manifest(bundle)
        command = [PANDA_EDGE, "extend", str(bundle), *map(str, many[OLD:20]), "--out", str(bundle)]
        for delay in (0.3, 0.6, 0.9, 1.2):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert verify(bundle)["ok"]
            assert read_manifest(bundle).recipe.train_images in (OLD, 20)
            if read_manifest(bundle) != before:
                break  # it was done
        subprocess.run(command, capture_output=True)
        assert read_manifest(bundle).recipe.train_images == 20
