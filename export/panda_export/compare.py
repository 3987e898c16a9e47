"""Which normal tiles a tile is compared with, decided by normal pictures alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from panda_edge import kernel
from panda_edge.banks.bank import Bank
from panda_edge.banks.embeddings import EMBEDDINGS_FILE, ExactEmbeddings
from panda_edge.banks.exact import Exact
from panda_edge.builder.pictures import Pictures
from panda_edge.builder.spread import evenly_spread
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.model import default_threads
from panda_edge.search.candidates import PLACES_FILE

_TILES = 1000  # that are asked, at most
_ALIKE = 0.5  # the share of the most similar tiles that lie at the same place, from which on parts lie alike


def with_compare(staging: Path, manifest: Manifest, pictures: Pictures, kind: Bank) -> Manifest:
    """The manifest with `segmentation.compare`, and the tiles fixed where places matter.

    The rule of `auto`: where parts lie alike, the tile most similar to a normal one is that of the same place in
    another picture. So it is `place` where of the most similar tiles of other pictures, as many as there are such
    pictures (at most K), more than half lie at the same place; and `anywhere` else, where pictures differ in size,
    where many tiles are searched through a graph, and for banks other than `exact`.
    """
    if pictures.preprocessing.tiles is None or not isinstance(kind, Exact):
        return manifest
    compare = kind.compare
    if compare == "auto":
        asked = manifest.detection.bank == ExactEmbeddings.name and pictures.of_one_size()
        alike = asked and share_of_same_place(staging, manifest.segmentation.neighbors) > _ALIKE
        compare = "place" if alike else "anywhere"
    if compare == "anywhere":
        return manifest
    segmentation = dataclasses.replace(manifest.segmentation, compare=compare)
    same_tiles = dataclasses.replace(pictures.with_same_tiles(), rois=None)
    recipe = dataclasses.replace(manifest.recipe, bank={**manifest.recipe.bank, "compare": compare})
    return dataclasses.replace(manifest, segmentation=segmentation, preprocessing=same_tiles, recipe=recipe)


def share_of_same_place(staging: Path, neighbors: int) -> float:
    """Of the tiles of other pictures that are most similar to a stored one, the share that lies where it does: 0 to 1,
    0 of a single picture. About one over the number of tiles a picture where nothing lies alike."""
    places = np.load(staging / PLACES_FILE, allow_pickle=False)
    vectors = np.load(staging / EMBEDDINGS_FILE, allow_pickle=False)
    pictures = places[:, 0]
    others = len(np.unique(pictures)) - 1
    wanted = min(neighbors, others)
    if wanted < 1:
        return 0.0
    own = int(np.bincount(pictures).max())
    asked = evenly_spread(len(vectors), _TILES)
    _, numbers = kernel.topk(vectors[asked], vectors, wanted + own, threads=default_threads())
    shares = []
    for tile, found in zip(asked, numbers, strict=True):
        similar = found[pictures[found] != pictures[tile]][:wanted]
        shares.append(float((places[similar, 1:] == places[tile, 1:]).all(axis=1).mean()))
    return float(np.mean(shares))
