"""fit's --dtype and --window: what the bundle holds, and that the device searches just that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import panda_edge
from panda_edge import kernel
from panda_edge.banks.level_files import level_file, scales_file
from panda_edge.banks.settings import bank_settings
from panda_edge.bundle.manifest import read_manifest
from panda_edge.errors import BundleError, PandaError
from panda_edge.inspect.info import describe, describe_in_words
from panda_edge.inspect.verify import verify


@pytest.mark.parametrize("bank", ["exact", "hnsw", "kmeans", "kmeans-levels"])
def test_a_bank_of_bytes_from_fit_to_segment(
    export_bank: Callable[..., Path], made_bundles: dict[str, Path], odd_image: Path, bank: str
) -> None:
    small, usual = export_bank(bank=bank, dtype="uint8"), made_bundles[bank]
    manifest = read_manifest(small)
    assert manifest.segmentation.dtype == "uint8"
    assert verify(small)["ok"]
    for level in manifest.levels:
        rows, scales = np.load(small / level_file(level)), np.load(small / scales_file(level))
        assert (rows.dtype, scales.dtype, scales.shape) == (np.uint8, np.float32, (*rows.shape[:-1], 2))
        stored = np.load(usual / level_file(level)).astype(np.float32)
        assert rows.shape == stored.shape
        if bank in ("exact", "hnsw"):
            values = scales[..., :1] + scales[..., 1:] * rows
            assert (abs(values - stored) <= scales[..., 1:] * 0.51 + abs(stored) * 1e-3 + 1e-6).all()
    maps = [panda_edge.load(bundle).segment(odd_image).heatmap for bundle in (small, usual)]
    assert np.abs(maps[0] - maps[1]).max() < 0.05 * maps[1].max()
    assert (maps[0] != maps[1]).any()


def test_fewer_images_of_bytes_are_kept_with_their_scales(export_bank: Callable[..., Path]) -> None:
    bundle = export_bank(dtype="uint8", max_bank_mb=0.03)
    manifest = read_manifest(bundle)
    assert manifest.segmentation.count < 12
    assert sum(path.stat().st_size for path in (bundle / "bank").iterdir()) <= 30_000 + 7 * 128
    assert verify(bundle)["ok"]


def test_a_window_from_fit_to_segment(export_bank: Callable[..., Path], odd_image: Path) -> None:
    bundle, everywhere = export_bank(window=1, steps=()), export_bank("everywhere", steps=())
    manifest = read_manifest(bundle)
    assert manifest.segmentation.window == 1
    assert "window" not in read_manifest(everywhere).plain()["segmentation"]
    assert "4 neighbors within 1 cells" in describe_in_words(describe(bundle))
    assert verify(bundle)["ok"]

    detector = panda_edge.load(bundle)
    features = detector.features(detector.preprocessing.apply(odd_image)[None])
    embeddings = np.load(bundle / "bank/embeddings.npy")
    _, similar = kernel.topk(features.embedding, embeddings, 4)
    coarsest = manifest.levels[0]
    levels = [np.load(bundle / level_file(level)) for level in manifest.levels]
    search = kernel.PyramidSearch(levels, (coarsest.height, coarsest.width))
    squared, _ = search.nearest([level[0] for level in features.levels], similar[0], window=1)
    wanted = kernel.render_heatmap(np.sqrt(squared), 64, 64, manifest.segmentation.sigma)
    np.testing.assert_array_equal(detector.segment(odd_image).heatmap, wanted)
    assert (wanted >= panda_edge.load(everywhere).segment(odd_image).heatmap - 1e-4).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "int4"}, "unknown --dtype 'int4'; expected one of float16, float32, uint8"),
        ({"dtype": "uint8", "bank": "gaussian"}, "--dtype uint8: a gaussian bank"),
        ({"dtype": "uint8", "bank": "joint-hnsw"}, "--dtype uint8: a joint-hnsw bank"),
        ({"dtype": "uint8", "bank": "coreset"}, "--dtype uint8: a coreset bank"),
        ({"window": -1}, "--window -1: expected 0 to 65535 cells"),
        ({"window": 2, "bank": "coreset"}, "window is not an option of a coreset bank"),
    ],
)
def test_options_refused_in_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(PandaError, match=words):
        bank_settings(**{"bank": "exact", **options})


@pytest.mark.parametrize(
    ("bank", "changes", "words"),
    [
        ("exact", {"window": -1}, "segmentation: window is -1"),
        ("exact", {"window": 1.5}, "segmentation: window is 1.5"),
        ("coreset", {"window": 1}, "window is 1 of a coreset bank"),
        ("gaussian", {"dtype": "uint8"}, "dtype is 'uint8' of a gaussian bank"),
        ("exact", {"dtype": "int8"}, "dtype is 'int8'"),
    ],
)
def test_manifests_refused(
    bundle_copy: Callable[[str], Path],
    edit_manifest: Callable[..., None],
    bank: str,
    changes: dict[str, Any],
    words: str,
) -> None:
    bundle = bundle_copy(bank)
    edit_manifest(bundle, lambda plain: plain["segmentation"].update(changes))
    with pytest.raises(BundleError, match=words):
        panda_edge.load(bundle)


@pytest.mark.parametrize("damage", ["missing", "shape", "dtype"])
def test_scales_that_are_not_the_manifests(
    export_bank: Callable[..., Path], edit_manifest: Callable[..., None], damage: str
) -> None:
    bundle = export_bank(dtype="uint8")
    path = bundle / scales_file(read_manifest(bundle).levels[0])
    scales = np.load(path)
    if damage == "missing":
        path.unlink()
    else:
        np.save(path, scales[:, :1] if damage == "shape" else scales.astype(np.float16))
    edit_manifest(bundle, reseal=True)
    with pytest.raises(BundleError, match=path.name):
        panda_edge.load(bundle)
