"""Small bundles of random numbers, one a kind of bank, that open and score without a model: where the fuzzer starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from panda_edge.banks import coreset, gaussian
from panda_edge.banks.embeddings import EMBEDDINGS_FILE, HNSW_FILE
from panda_edge.banks.joint_hnsw import JOINT_HNSW_FILE
from panda_edge.banks.level_files import level_file, scales_file
from panda_edge.builder.bundle_writer import write_manifest
from panda_edge.bundle.manifest import DecisionRule, Detection, Level, Manifest, Segmentation
from panda_edge.bundle.recipe import Recipe
from panda_edge.bundle.selftest import SELFTEST_FILE
from panda_edge.decide.calibration import CALIBRATION_FILE, SCORES
from panda_edge.decide.local import GRID, NORMAL_MAP_FILE
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.quality import QualityRange
from panda_edge.images.tiling import Tiling
from panda_edge.kernel import quantise_rows
from panda_edge.search.candidates import PLACES_FILE
from panda_edge.search.steps import STEPS, written
from panda_edge.search.steps.border_gain import BorderGain
from panda_edge.search.steps.context import Context
from panda_edge.search.steps.leave_one_out import LeaveOneOut

SIDE, SIZE, IMAGES, VECTORS = 64, 12, 6, 20  # input pixels; numbers of an embedding; images and descriptors stored
LEVELS = (Level(16, 4, 4, 7), Level(8, 8, 8, 5), Level(4, 16, 16, 3))
JOINT = sum(level.channels for level in LEVELS)

Writer = Callable[[Path, np.random.Generator], None]


def _levels(shape: Callable[[Level], tuple[int, ...]], dtype: str = "float16") -> Writer:
    def write(bundle: Path, random: np.random.Generator) -> None:
        for level in LEVELS:
            values = random.standard_normal((*shape(level), level.channels)).astype(np.float32)
            if dtype == "uint8":
                values, scales = quantise_rows(values)
                np.save(bundle / scales_file(level), scales)
            np.save(bundle / level_file(level), values.astype(dtype))

    return write


def _gaussian(bundle: Path, random: np.random.Generator) -> None:
    cells = LEVELS[-2].height * LEVELS[-2].width
    np.save(bundle / gaussian.MEAN_FILE, random.standard_normal((cells, JOINT)).astype(np.float32))
    factors = random.standard_normal((cells, gaussian.packed_size(JOINT))).astype(np.float16)
    np.save(bundle / gaussian.FACTOR_FILE, factors)


def _coreset(bundle: Path, random: np.random.Generator) -> None:
    size = JOINT - LEVELS[-1].channels
    np.save(bundle / coreset.CORESET_FILE, random.standard_normal((VECTORS, size)).astype(np.float16))
    np.save(bundle / coreset.MEAN_FILE, random.standard_normal(size).astype(np.float32))
    np.save(bundle / coreset.BASIS_FILE, np.linalg.qr(random.standard_normal((size, size)))[0].astype(np.float32))


def _joint_hnsw(bundle: Path, random: np.random.Generator) -> None:
    write_graph(bundle / JOINT_HNSW_FILE, random.standard_normal((VECTORS, JOINT)).astype(np.float32))


def write_graph(path: Path, vectors: np.ndarray) -> None:
    """hnswlib's index over float32 (N, D), of several levels."""
    import hnswlib

    index = hnswlib.Index(space="l2", dim=vectors.shape[1])
    index.init_index(len(vectors), M=4, ef_construction=20, random_seed=3)
    index.add_items(vectors, num_threads=1)
    index.save_index(str(path))


_GALLERIES: dict[str, tuple[str, int, str, Writer]] = {  # name: bank, count, dtype
    "exact": ("exact", IMAGES, "float16", _levels(lambda level: (IMAGES, level.height * level.width))),
    "bytes": ("exact", IMAGES, "uint8", _levels(lambda level: (IMAGES, level.height * level.width), "uint8")),
    "kmeans": ("kmeans", VECTORS, "float16", _levels(lambda level: (VECTORS,))),
    "kmeans-levels": ("kmeans-levels", VECTORS, "float32", _levels(lambda level: (VECTORS,), "float32")),
    "coreset": ("coreset", VECTORS, "float16", _coreset),
    "hnsw": ("hnsw", VECTORS, "float32", _joint_hnsw),
    "gaussian": ("gaussian", IMAGES, "float16", _gaussian),
}
KINDS = (*_GALLERIES, "tiles")
_STEPS = LeaveOneOut(0.5), BorderGain((1.5, 1.25)), Context(1.0, 0.5, 0.5, 0.5)


def write_small_bundle(bundle: Path, kind: str) -> Manifest:
    """A bundle of one of KINDS with every file but the model and the self-test's agreement with it."""
    random = np.random.default_rng(0)
    (bundle / "bank").mkdir(parents=True)
    bank, count, dtype, write = _GALLERIES["exact" if kind == "tiles" else kind]
    write(bundle, random)
    vectors = random.standard_normal((IMAGES, SIZE)).astype(np.float32)
    if kind == "hnsw":
        write_graph(bundle / HNSW_FILE, vectors)
    else:
        np.save(bundle / EMBEDDINGS_FILE, vectors)
    if kind in ("exact", "bytes"):
        for step in STEPS.values():
            for file, (shape, of) in step.files(LEVELS).items():
                np.save(bundle / file, random.random((IMAGES, *shape)).astype(of))
    tiles = None
    if kind == "tiles":
        tiles = Tiling(0.25, height=96, width=96)
        np.save(bundle / PLACES_FILE, np.array([[i // 4, i // 2 % 2, i % 2] for i in range(IMAGES)], np.int32))
    np.save(bundle / CALIBRATION_FILE, random.random((len(SCORES), 20)))
    np.save(bundle / NORMAL_MAP_FILE, random.random((GRID, GRID), np.float32))
    write_selftest(bundle / SELFTEST_FILE, random)
    return write_manifest(
        bundle,
        Manifest(
            method={"name": "dn2"},
            backbone={"name": "tiny"},
            preprocessing=Preprocessing(SIDE, SIDE, tiles=tiles),
            embedding_size=SIZE,
            levels=LEVELS,
            detection=Detection("hnsw" if kind == "hnsw" else "exact", IMAGES, 2, ef=20 if kind == "hnsw" else None),
            segmentation=Segmentation(
                bank, count, 4, dtype, 4.0, 0.5, 2.0, ef=20 if kind == "hnsw" else None,
                compare="near" if kind == "tiles" else "anywhere", window=1 if kind == "bytes" else None,
                steps=tuple(map(written, _STEPS)) if kind in ("exact", "bytes") else (),
            ),
            recipe=Recipe(18, "float32", 0, IMAGES, {}, (), {}),
            decision=DecisionRule("local"),
            calibration={"images": 20, "kind": "held-out"},
            evaluation=None,
            files={},
            created_with="panda-edge 0",
            normal_pictures=QualityRange(6, 90.0, 20.0, 0.01, 0.5),
        ),
    )  # fmt: skip


def write_selftest(path: Path, random: np.random.Generator) -> None:
    frames = random.integers(0, 255, (1, SIDE, SIDE, 3), dtype=np.uint8)
    embeddings = random.standard_normal((1, SIZE)).astype(np.float32)
    heatmaps = random.random((1, SIDE, SIDE)).astype(np.float32)
    np.savez(path, frames=frames, embeddings=embeddings, scores=np.ones(1), heatmaps=heatmaps)
