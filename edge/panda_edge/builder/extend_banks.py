"""Adding normal pictures to the banks of a bundle, for `panda-edge extend`."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from panda_edge.builder.copies import LOOKS_FILE
from panda_edge.builder.coreset import CoresetWriter, bank_bytes
from panda_edge.builder.embeddings import ef_of, write_flat, write_hnsw
from panda_edge.builder.features import batched_features, single_frames
from panda_edge.builder.gaussian import SUMS_FILES, GaussianWriter, largest_rank
from panda_edge.builder.held_out import HELD_OUT_FILE
from panda_edge.builder.pictures import Pictures, every_frame
from panda_edge.builder.pyramids import PyramidWriter, keep_images, representative_images
from panda_edge.builder.stored import PICTURES_FILE, are_whole, read_sizes, stored_embeddings, write_sizes
from panda_edge.builder.turned import AUGMENTS
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Detection, Manifest
from panda_edge.bundle.model import Features
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.view import View
from panda_edge.search.candidates import PLACES_FILE
from panda_edge.search.coreset import BASIS_FILE, CORESET_FILE
from panda_edge.search.coreset import MEAN_FILE as CORESET_MEAN_FILE
from panda_edge.search.embedding import EMBEDDINGS_FILE, HNSW_FILE
from panda_edge.search.gaussian import FACTOR_FILE, MEAN_FILE, DescriptorGrid
from panda_edge.search.level_files import level_file, scales_file
from panda_edge.search.picture import FeatureFunction
from panda_edge.search.steps import STEPS

_NEIGHBORS, _TILE_NEIGHBORS = 50, 20  # of bundles that do not say what was asked for
_FLOAT32 = 4


class Writer(Protocol):
    def add(self, features: Features, numbers: Sequence[int]) -> None: ...
    def close(self) -> int: ...


def held_out_kind(bundle: Bundle) -> bool:
    """Whether the bundle is calibrated by pictures that are not in its bank."""
    return bundle.manifest.calibration is not None and bundle.manifest.calibration.get("kind") == "held-out"


def check_extendable(bundle: Bundle, preprocessing: Preprocessing) -> None:
    """Raise PandaError, saying what to do, where pictures cannot be added to the bundle's banks."""
    manifest, files = bundle.manifest, bundle.manifest.files
    bank, again = manifest.segmentation.bank, "fit again with all pictures"
    if manifest.detection.scoring == "graph":
        raise PandaError(f"{bundle.path}: the model itself holds what is normal (scoring graph); {again}")
    if bank in ("kmeans", "kmeans-levels", "hnsw") or manifest.detection.bank == "kmeans":
        raise PandaError(
            f"{bundle.path}: a {bank} bank cannot take pictures in; {again}, or use exact, coreset or gaussian"
        )
    unknown = {name for name in files if name.startswith("bank/")} - _known(manifest)
    if unknown:
        raise PandaError(f"{bundle.path}: {sorted(unknown)[0]} cannot be brought up to date here; {again}")
    needed = {"exact": [PICTURES_FILE], "gaussian": [*SUMS_FILES], "coreset": [CORESET_FILE]}[bank]
    needed += [LOOKS_FILE, HELD_OUT_FILE] if held_out_kind(bundle) else [LOOKS_FILE]
    if any(name not in files for name in needed) or not _sound(manifest):
        raise PandaError(f"{bundle.path}: fitted without what extend needs; {again} and --extendable")
    if bank == "exact" and not are_whole(bundle, preprocessing):
        raise PandaError(f"{bundle.path}: --max-bank-mb has dropped tiles or copies of its pictures; {again}")


def _sound(manifest: Manifest) -> bool:
    """Whether what `fit` noted can be gone on with."""
    facts = manifest.export
    needed = all(type(facts.get(name)) is int and facts[name] >= 0 for name in ("seed", "train_images"))
    noted = ("neighbors", "knn", "vectors", "shrinkage", "max_bank_mb", "extended_by")
    return (
        needed
        and facts.get("augment", "none") in tuple(AUGMENTS)
        and all(facts.get(name) is None or (type(facts[name]) in (int, float) and facts[name] >= 0) for name in noted)
    )


def _known(manifest: Manifest) -> set[str]:
    levels = {name(level) for level in manifest.levels for name in (level_file, scales_file)}
    steps = {name for step in STEPS.values() for name in step.files(manifest.levels)}
    return levels | steps | {
        EMBEDDINGS_FILE, HNSW_FILE, PLACES_FILE, PICTURES_FILE, MEAN_FILE, FACTOR_FILE,
        CORESET_FILE, CORESET_MEAN_FILE, BASIS_FILE,
    }  # fmt: skip


def extend_banks(
    staging: Path,
    bundle: Bundle,
    run: FeatureFunction,
    pictures: Pictures,
    numbers: Sequence[int],
    max_bank_mb: float | None,
) -> tuple[Manifest, str]:
    """Write the banks of the stored pictures and these new ones; returns the manifest that tells of them, and what the
    limit of megabytes chose. Raises PandaError, BundleError."""
    manifest = bundle.manifest
    limit = max_bank_mb if max_bank_mb is not None else manifest.export.get("max_bank_mb")
    gaussian, exact = manifest.segmentation.bank == "gaussian", manifest.segmentation.bank == "exact"
    vectors = [stored_embeddings(bundle)]
    tiled, copies = manifest.preprocessing.tiles is not None, pictures.copies
    placed = PLACES_FILE in manifest.files
    places = [np.array(bundle.array(PLACES_FILE, (len(vectors[0]), 3), "int32"))] if placed else []
    sizes = read_sizes(bundle) if exact else []
    before = manifest.export["train_images"]
    first = int(places[0][:, 0].max()) + 1 if placed else 0
    stored_frames = every_frame if gaussian else View.active_frames
    count = len(vectors[0]) + copies * sum(len(stored_frames(picture.view)) for picture in pictures.read(numbers))
    writer, said = _writer(staging, bundle, count, limit, len(numbers) * copies)
    own = {number: first + i for i, number in enumerate(numbers)}
    each = (number + copy for number in numbers for copy in range(copies))
    frames = single_frames(pictures.read(each), stored_frames)
    for sources, features in batched_features(frames, run):
        writer.add(features, [frame for _, frame in sources])
        vectors.append(features.embedding)
        for picture, frame in sources:
            itself = picture.number - picture.number % copies
            if placed:
                places.append(np.array([[own[itself], *picture.view.place(frame)]], dtype=np.int32))
            if picture.number == itself and frame == stored_frames(picture.view)[0]:
                sizes.append(picture.view.picture)
    stored = writer.close()
    if isinstance(writer, GaussianWriter):
        writer.write_sums()
    embeddings, rows = np.concatenate(vectors), np.concatenate(places) if placed else np.zeros((0, 3), np.int32)
    if exact:
        kept = representative_images(embeddings, _images_within(bundle, count, limit))
        if placed and len(kept) < count:
            what = "tiles" if tiled else "turned copies"
            raise PandaError(f"--max-bank-mb {limit:g}: would drop {what} of pictures that must be whole; give more")
        keep_images(staging, manifest.levels, kept)
        embeddings, rows, stored = embeddings[kept], rows[kept] if placed else rows, len(kept)
        write_sizes(staging, sizes if placed else [sizes[number] for number in kept])
        said = said if limit is None else f"{len(kept)} of {count} normal {'tiles' if tiled else 'images'}"
    if placed:
        np.save(staging / PLACES_FILE, rows, allow_pickle=False)
    detection = _detection(staging, manifest, embeddings)
    neighbors = _asked_neighbors(manifest) or len(embeddings)
    segmentation = dataclasses.replace(
        manifest.segmentation,
        count=stored,
        neighbors=min(neighbors, len(embeddings)),
        rank=writer.rank if isinstance(writer, GaussianWriter) else None,
    )
    export = {
        **manifest.export,
        "train_images": before + len(numbers),
        "extended_by": (manifest.export.get("extended_by") or 0) + len(numbers),
        "max_bank_mb": limit,
        "max_bank_mb_chose": said,
    }
    return dataclasses.replace(manifest, detection=detection, segmentation=segmentation, export=export), said


def _writer(staging: Path, bundle: Bundle, count: int, limit: float | None, new: int) -> tuple[Writer, str]:
    """What takes in further frames, after those stored. count: of all frames; new: pictures to come."""
    manifest, maps = bundle.manifest, bundle.manifest.segmentation
    if maps.bank == "exact":
        for name in {name(level) for level in manifest.levels for name in (level_file, scales_file)}:
            if name in manifest.files:
                shutil.copyfile(bundle.checked_file(name), staging / name)
        return PyramidWriter(staging, manifest.levels, maps.dtype, maps.count), ""
    most = None if limit is None else limit * 1e6 - count * _embedding_bytes(bundle)
    if maps.bank == "gaussian":
        frames = manifest.preprocessing.frames
        grid, rank = DescriptorGrid(manifest.levels, maps.average), maps.rank
        if most is not None:
            rank = largest_rank(grid, np.dtype(maps.dtype).itemsize, most / frames, rank)
            _check_room(rank is None or rank > 0, limit)
        shrinkage = manifest.export.get("shrinkage") or 1e-3
        gaussian = GaussianWriter(staging, manifest.levels, maps.dtype, maps.average, shrinkage, rank, frames)
        gaussian.go_on(bundle, maps.count)
        return gaussian, "" if limit is None else f"rank {rank or grid.channels} of {grid.channels}"
    vectors = manifest.export.get("vectors") or maps.count
    each, once = bank_bytes(manifest.levels, np.dtype(maps.dtype).itemsize)
    if most is not None:
        vectors = min(vectors, int((most - once) / each))
        _check_room(vectors > 0, limit)
    coming = new * manifest.preprocessing.frames
    writer = CoresetWriter(staging, manifest.levels, vectors, maps.dtype, coming, manifest.export["seed"])
    writer.go_on(bundle, maps.count)
    return writer, "" if limit is None else f"{vectors} descriptors"


def _images_within(bundle: Bundle, count: int, limit: float | None) -> int:
    """How many frames of an exact bank fit into so many megabytes, by what those stored take."""
    if limit is None:
        return count
    names = [name for name in bundle.manifest.files if name.startswith("bank/") and name != PLACES_FILE]
    each = sum(bundle.manifest.files[name].bytes for name in names) / bundle.manifest.detection.count
    kept = min(count, int(limit * 1e6 / each))
    _check_room(kept > 0, limit)
    return kept


def _check_room(enough: bool, limit: float | None) -> None:
    if not enough:
        raise PandaError(f"--max-bank-mb {limit:g}: too small for any such bank; give more")


def _embedding_bytes(bundle: Bundle) -> float:
    name = HNSW_FILE if bundle.manifest.detection.bank == "hnsw" else EMBEDDINGS_FILE
    return bundle.manifest.files[name].bytes / bundle.manifest.detection.count


def _detection(staging: Path, manifest: Manifest, embeddings: np.ndarray) -> Detection:
    count = len(embeddings)
    knn = min(manifest.export.get("knn") or max(2, manifest.detection.knn), count)
    if manifest.detection.bank == "hnsw":
        write_hnsw(staging / HNSW_FILE, embeddings, manifest.export["seed"])
        ef = ef_of(count, _asked_neighbors(manifest), knn)
        return dataclasses.replace(manifest.detection, count=count, knn=knn, ef=ef)
    write_flat(staging, embeddings)
    return dataclasses.replace(manifest.detection, count=count, knn=knn)


def _asked_neighbors(manifest: Manifest) -> int:
    """As `fit` was asked; 0 for all."""
    usual = _NEIGHBORS if manifest.preprocessing.tiles is None else _TILE_NEIGHBORS
    return int(manifest.export.get("neighbors", max(usual, manifest.segmentation.neighbors)))
