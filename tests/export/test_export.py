"""What the exporter writes: the same bytes every time, the manifest's own numbers, and nothing where it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import panda_edge
import panda_edge.banks.embeddings
from bank_choice import settings_for
from panda_edge.banks.embeddings import HNSW_FILE, HnswBank, write_hnsw
from panda_edge.banks.settings import BankSettings
from panda_edge.bundle.manifest import read_manifest
from panda_edge.decide.calibration import CALIBRATION_FILE
from panda_edge.errors import DataError, PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.inspect.verify import verify
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from tiny import TinyBackbone

SHARED = Path(__file__).parents[1] / "shared"

# Makes the session's bundles again, in a process whose hashes, addresses and threads are others.
AGAIN = """
import json, sys
from pathlib import Path
import panda_export.network
from exports_once import once
from tiny import TinyBackbone, make_bundles
panda_export.network.write_onnx = once(panda_export.network.write_onnx, Path(sys.argv[1]))
make_bundles(Path(sys.argv[1]), [Path(p) for p in json.loads(sys.argv[2])])
"""


def files_of(bundle: Path) -> dict[str, bytes]:
    return {p.relative_to(bundle).as_posix(): p.read_bytes() for p in sorted(bundle.rglob("*")) if p.is_file()}


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(
    made_bundles: dict[str, Path], normal_images: list[Path], tmp_path: Path
) -> None:
    images = json.dumps([str(path) for path in normal_images])
    command = [sys.executable, "-c", AGAIN, str(tmp_path), images]
    environment = {**os.environ, "PYTHONHASHSEED": "1234", "PYTHONPATH": str(SHARED)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    for bank, bundle in made_bundles.items():
        first, second = files_of(bundle), files_of(tmp_path / f"{bank}.panda")
        assert list(first) == list(second)
        assert [name for name in first if first[name] != second[name]] == [], bank


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Path]:
    """Export a bundle of the tiny backbone."""

    def call(images: list[Path], options: BankSettings | None = None, **more: Any) -> Path:
        out = tmp_path / "x.panda"
        options = options or settings_for(neighbors=4)
        preprocessing = more.pop("preprocessing", Preprocessing(64, 64))
        backbone = more.pop("backbone", None) or TinyBackbone()
        held_out = more.pop("held_out", ())
        export_bundle(out, backbone, images, preprocessing, ExportOptions({"name": "dn2"}, options, **more), held_out)
        return out

    return call


def test_unreadable_images_are_named_and_left_out(
    export: Callable[..., Path], normal_images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    bundle = export([tmp_path / "empty.png", *normal_images[:5], tmp_path / "text.png"])
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if "empty.png" in line]) == 1
    assert len([line for line in said if "text.png" in line]) == 1
    assert read_manifest(bundle).detection.count == 5
    assert verify(bundle)["ok"]


def test_no_readable_image(export: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match="none of the 1 normal images can be read"):
        export([tmp_path / "empty.png"])
    assert [path.name for path in tmp_path.iterdir()] == ["empty.png"]


@pytest.mark.parametrize("bank", ["exact", "hnsw", "kmeans", "kmeans-levels"])
def test_one_normal_image(export: Callable[..., Path], normal_images: list[Path], odd_image: Path, bank: str) -> None:
    bundle = export(normal_images[:1], settings_for(bank))
    assert verify(bundle)["ok"]
    assert panda_edge.load(bundle).segment(odd_image).heatmap.max() > 0


@pytest.mark.parametrize("bank", ["exact", "hnsw"])
def test_more_asked_for_than_there_is(
    export: Callable[..., Path], normal_images: list[Path], odd_image: Path, bank: str
) -> None:
    bundle = export(normal_images[:3], settings_for(bank, neighbors=10**7, knn=1000))
    manifest = read_manifest(bundle)
    assert (manifest.detection.knn, manifest.segmentation.neighbors) == (3, 3)
    assert panda_edge.load(bundle).segment(odd_image).score > 0


@pytest.mark.parametrize(
    ("bank", "embeddings", "limit", "expected"),
    [
        ("exact", "auto", 7, "exact"),
        ("exact", "auto", 6, "hnsw"),
        ("exact", "exact", 6, "exact"),
        ("exact", "hnsw", 7, "hnsw"),
        ("gaussian", "auto", 6, "hnsw"),
        ("coreset", "auto", 6, "hnsw"),
        ("kmeans", "auto", 6, "kmeans"),
        ("hnsw", "auto", 7, "hnsw"),
        ("hnsw", "hnsw", 7, "hnsw"),
    ],
)
def test_the_number_of_images_picks_the_search_of_embeddings(
    export: Callable[..., Path],
    normal_images: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    bank: str,
    embeddings: str,
    limit: int,
    expected: str,
) -> None:
    monkeypatch.setattr(panda_edge.banks.embeddings, "HNSW_FROM", limit)
    bundle = export(normal_images[:6], settings_for(bank, means=3, vectors=50, neighbors=4, embeddings=embeddings))
    manifest = read_manifest(bundle)
    assert (manifest.detection.bank, manifest.recipe.bank["embeddings"]) == (
        expected,
        "hnsw" if bank == "hnsw" else embeddings,
    )
    assert (bundle / HNSW_FILE).exists() == (expected == "hnsw")
    assert verify(bundle)["ok"]


@pytest.mark.parametrize("limit", [6, 5])
def test_a_budget_counts_the_images_that_are_kept(
    export: Callable[..., Path], normal_images: list[Path], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(panda_edge.banks.embeddings, "HNSW_FROM", limit)
    image = 2 * (16 * 7 + 64 * 5 + 256 * 3) + 4 * 12 + 32
    bundle = export(normal_images, settings_for(neighbors=4, max_bank_mb=5.5 * image / 1e6), steps=())
    detection = read_manifest(bundle).detection
    assert (detection.bank, detection.count) == ("hnsw" if limit == 5 else "exact", 5)


def test_leave_one_out_through_a_graph(
    export: Callable[..., Path], normal_images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A dozen vectors are within its reach: the scores must be those of the exact search.
    expected = np.load(export(normal_images, leave_one_out=True) / CALIBRATION_FILE)
    monkeypatch.setattr(panda_edge.banks.embeddings, "HNSW_FROM", 12)
    bundle = export(normal_images, leave_one_out=True)
    manifest = read_manifest(bundle)
    assert manifest.detection.bank == "hnsw"
    assert manifest.calibration == {"images": 12, "kind": "leave-one-out"}
    np.testing.assert_allclose(np.load(bundle / CALIBRATION_FILE), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("bank", "embeddings", "message"),
    [
        ("exact", "flat", "unknown --embeddings 'flat'; expected one of auto, exact, hnsw"),
        ("kmeans", "hnsw", "--embeddings hnsw: a kmeans bank keeps kmeans"),
        ("kmeans-levels", "exact", "--embeddings exact: a kmeans-levels bank keeps kmeans"),
        ("hnsw", "exact", "--embeddings exact: a hnsw bank keeps hnsw"),
    ],
)
def test_a_search_of_embeddings_that_the_bank_does_not_have(bank: str, embeddings: str, message: str) -> None:
    with pytest.raises(PandaError, match=message):
        settings_for(bank, embeddings=embeddings)


@pytest.mark.parametrize("k", [1, 50, 600])
def test_equal_vectors_in_an_hnsw_bank(tmp_path: Path, k: int) -> None:
    # Its graph links near vectors: among many equal ones it may lose the way to the others.
    vectors = np.ones((600, 8), np.float32)
    vectors[-5:] = np.arange(5)[:, None]
    write_hnsw(tmp_path / "x.hnsw", vectors, seed=0)
    bank = HnswBank(tmp_path / "x.hnsw", 600, 8, ef=16, threads=1)
    squared, numbers = bank.nearest(vectors[:1], k)
    assert squared.shape == numbers.shape == (1, k)
    assert squared[0, 0] == 0


def test_a_failure_leaves_the_old_bundle(
    export: Callable[..., Path], normal_images: list[Path], tmp_path: Path
) -> None:
    bundle = export(normal_images[:4])
    before = files_of(bundle)
    broken = TinyBackbone()
    broken.embed.weight[0, 0] = float("nan")
    with pytest.raises(PandaError):
        export(normal_images[:4], backbone=broken)
    assert files_of(bundle) == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.panda"]


@pytest.mark.parametrize(("height", "width"), [(65, 64), (64, 100), (48, 48)])
def test_an_input_that_the_levels_do_not_divide(
    export: Callable[..., Path], normal_images: list[Path], height: int, width: int
) -> None:
    with pytest.raises(PandaError, match="multiples of 32"):
        export(normal_images, preprocessing=Preprocessing(height, width))


def test_an_input_that_is_not_square(export: Callable[..., Path], normal_images: list[Path], odd_image: Path) -> None:
    bundle = export(normal_images[:4], preprocessing=Preprocessing(64, 128))
    heatmap = panda_edge.load(bundle).segment(odd_image).heatmap
    assert heatmap is not None
    assert heatmap.shape == (64, 128)
    assert verify(bundle)["ok"]


def test_an_unknown_bank() -> None:
    with pytest.raises(PandaError, match="'flat'; expected one of exact, kmeans, kmeans-levels"):
        settings_for("flat")
