"""DN2 and SPADE in float64 numpy, worked out from a bundle's own files: what the detector is held to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image
from scipy import ndimage

from panda_edge.bundle.manifest import Manifest
from panda_edge.detector import MODEL_FILE
from reference_steps import STEPS, Compared, squared_distances

RELATIVE = 2e-4  # float32 sums of ~50 terms, seen by two different orders of summation


def grid_of(nested: np.ndarray, depth: int, coarse: int) -> np.ndarray:
    """(cells, C) in nested order → (h, w, C), by walking the quadtree cell by cell."""
    side = coarse << depth
    grid = np.full((side, side, nested.shape[1]), np.nan)
    for cell in range(len(nested)):
        row, column = divmod(cell // 4**depth, coarse)
        for halving in range(depth):
            child = cell // 4 ** (depth - 1 - halving) % 4
            row, column = 2 * row + child // 2, 2 * column + child % 2
        grid[row, column] = nested[cell]
    return grid


def joint(levels: list[np.ndarray], coarse: int) -> np.ndarray:
    """Levels of one image, each (cells, C) → (h, w, all channels) at the finest grid, coarse ones repeated."""
    grids = [grid_of(level.astype(np.float64), depth, coarse) for depth, level in enumerate(levels)]
    finest = grids[-1].shape[0]
    return np.concatenate([g.repeat(finest // len(g), 0).repeat(finest // len(g), 1) for g in grids], axis=-1)


class Reference:
    """What the paper says, slowly."""

    def __init__(self, bundle: Path, manifest: Manifest) -> None:
        self.bundle, self.manifest = bundle, manifest
        self.session = ort.InferenceSession(bundle / MODEL_FILE, providers=["CPUExecutionProvider"])
        self.coarse = manifest.levels[0].height
        self.levels = [np.load(bundle / f"bank/stride{lv.stride:02d}.npy") for lv in manifest.levels]

    def features(self, path: Path) -> tuple[np.ndarray, list[np.ndarray]]:
        frame = np.asarray(Image.open(path).convert("RGB"))
        assert frame.shape == (self.manifest.preprocessing.height, self.manifest.preprocessing.width, 3)
        embedding, *levels = self.session.run(None, {"frames": frame[None]})
        return embedding[0], [level[0] for level in levels]

    def score(self, embedding: np.ndarray, bank: np.ndarray) -> float:
        distances = np.sort(squared_distances(embedding[None], bank)[0])
        return float(distances[: self.manifest.detection.knn].mean())

    def nearest(self, query: np.ndarray, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """L2 distance of each cell to the nearest descriptor, and its number: (h, w)."""
        squared = np.array([squared_distances(row, descriptors) for row in query])
        return np.sqrt(squared.min(2)), squared.argmin(2)

    def after_steps(self, levels: list[np.ndarray], similar: np.ndarray) -> np.ndarray:
        """Distances of the finest cells to these stored frames, after the manifest's steps in their order."""
        stored = [[level[n] for level in self.levels] for n in similar]
        gallery = [joint(frame, self.coarse) for frame in stored]
        descriptors = np.concatenate([image.reshape(-1, image.shape[-1]) for image in gallery])
        distances, matches = self.nearest(joint(levels, self.coarse), descriptors)
        frame = Compared(self.bundle, self.grids(levels), [self.grids(one) for one in stored], similar, matches)
        for step in self.manifest.segmentation.steps:
            distances = STEPS[step["step"]](distances, frame, step)
        return distances

    def grids(self, levels: list[np.ndarray]) -> list[np.ndarray]:
        return [grid_of(level.astype(np.float64), depth, self.coarse) for depth, level in enumerate(levels)]

    def heatmap(self, distances: np.ndarray) -> np.ndarray:
        """Bilinear, half-pixel centres, then Gaussian."""
        side = len(distances)
        height, width = self.manifest.preprocessing.height, self.manifest.preprocessing.width
        rows = (np.arange(height) + 0.5) * side / height - 0.5
        columns = (np.arange(width) + 0.5) * side / width - 0.5
        where = np.stack(np.meshgrid(rows, columns, indexing="ij"))
        upsampled = ndimage.map_coordinates(distances, where, order=1, mode="nearest")
        return np.asarray(ndimage.gaussian_filter(upsampled, self.manifest.segmentation.sigma))

    def without_steps(self, levels: list[np.ndarray], descriptors: np.ndarray) -> np.ndarray:
        """The heat map of a bank of descriptors that has no steps."""
        assert not self.manifest.segmentation.steps
        return self.heatmap(self.nearest(joint(levels, self.coarse), descriptors)[0])
