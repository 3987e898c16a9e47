"""A bundle at work: images in, scores and heat maps out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from panda_edge.bundle import Bundle, open_bundle
from panda_edge.errors import BundleError, PandaError
from panda_edge.images import ImageLike, Preprocessing, open_image
from panda_edge.model import Features, Model, checked_threads
from panda_edge.scoring import Scorer

MODEL_FILE = "model.onnx"
STAGES = ("decode", "preprocess", "backbone", "search", "heatmap")


@dataclass(frozen=True)
class Result:
    """What the detector says of one image.

    score: mean squared L2 distance of the embedding to its knn nearest normal ones (DN2, PANDA §2.2); higher = more
    anomalous, no fixed range. heatmap: float32 (height, width) at the model's input, L2 distances after blurring;
    None after `detect`. image_size: (width, height) of the upright image in pixels. stages_ms: milliseconds by stage.
    """

    score: float
    heatmap: np.ndarray | None
    image_size: tuple[int, int]
    preprocessing: Preprocessing = field(repr=False)
    stages_ms: dict[str, float] = field(default_factory=dict, repr=False)

    @property
    def ms(self) -> float:
        """Milliseconds from the image to the result; in a batch, this image's share."""
        return sum(self.stages_ms.values())

    @property
    def map_score(self) -> float:
        """The heat map's maximum: another image score, better for small defects."""
        return float(self._map().max())

    def heatmap_on_image(self) -> np.ndarray:
        """The heat map on the image's own pixels: float32 (H, W), NaN where the crop left the image out."""
        return self.preprocessing.to_image(self._map(), self.image_size)

    def _map(self) -> np.ndarray:
        if self.heatmap is None:
            raise ValueError("this result has no heat map; use segment() instead of detect()")
        return self.heatmap


@dataclass(frozen=True)
class _Read:
    frame: np.ndarray
    image_size: tuple[int, int]
    stages_ms: dict[str, float]


class Detector:
    """Scores images against the normal ones of a bundle. Made by `load`; one thread at a time may use it."""

    def __init__(self, bundle: Bundle, threads: int, provider: str = "cpu", epsilon: float = 0.0) -> None:
        self.bundle = bundle
        self.threads = threads
        self.preprocessing = bundle.manifest.preprocessing
        self._model = Model(bundle.checked_file(MODEL_FILE), threads, provider)
        self._scorer = Scorer(bundle, threads, epsilon)

    def detect(self, image: ImageLike) -> Result:
        """Score of one image, without a heat map. Raises ImageError."""
        return next(self._results([image], 1, with_map=False))

    def segment(self, image: ImageLike) -> Result:
        """Score and heat map of one image. Raises ImageError."""
        return next(self._results([image], 1, with_map=True))

    def detect_batch(self, images: Iterable[ImageLike], batch_size: int = 8) -> Iterator[Result]:
        """`detect` for many images, in their order, `batch_size` at a time through the model."""
        return self._results(images, batch_size, with_map=False)

    def segment_batch(self, images: Iterable[ImageLike], batch_size: int = 8) -> Iterator[Result]:
        """`segment` for many images, in their order, `batch_size` at a time through the model."""
        return self._results(images, batch_size, with_map=True)

    def features(self, frames: np.ndarray) -> Features:
        """Features of frames, uint8 (B, height, width, 3). Raises BundleError where the model is not the manifest's."""
        manifest = self.bundle.manifest
        try:
            features = self._model.run(frames)
        except PandaError:
            raise
        except Exception as error:  # whatever onnxruntime finds wrong at run time
            raise BundleError(f"{self.bundle.path}: the model failed ({' '.join(str(error).split())[:200]})") from error
        expected = [(lv.height * lv.width, lv.channels) for lv in manifest.levels]
        found = [level.shape[1:] for level in features.levels]
        if features.embedding.shape != (len(frames), manifest.embedding_size) or found != expected:
            raise BundleError(
                f"{self.bundle.path}: the model's outputs {found} are not the manifest's levels {expected}"
            )
        return features

    def _results(self, images: Iterable[ImageLike], batch_size: int, with_map: bool) -> Iterator[Result]:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give 1 or more")
        remaining = iter(images)
        while batch := list(islice(remaining, batch_size)):
            yield from self._batch([self._read(image) for image in batch], with_map)

    def _read(self, image: ImageLike) -> _Read:
        started = time.perf_counter()
        opened = open_image(image, self.preprocessing.draft_size)
        decoded = time.perf_counter()
        frame = self.preprocessing.frame(opened.image)
        resized = time.perf_counter()
        stages = {"decode": (decoded - started) * 1e3, "preprocess": (resized - decoded) * 1e3}
        return _Read(frame, opened.full_size, stages)

    def _batch(self, reads: Sequence[_Read], with_map: bool) -> Iterator[Result]:
        started = time.perf_counter()
        features = self.features(np.stack([read.frame for read in reads]))
        backbone_ms = (time.perf_counter() - started) * 1e3 / len(reads)
        for i, read in enumerate(reads):
            scored = self._scorer.score(features.embedding[i], [level[i] for level in features.levels], with_map)
            stages = {**read.stages_ms, "backbone": backbone_ms, **scored.stages_ms}
            yield Result(scored.score, scored.heatmap, read.image_size, self.preprocessing, stages)


def load(
    path: str | os.PathLike[str], threads: int | None = None, provider: str = "cpu", epsilon: float = 0.0
) -> Detector:
    """Open a bundle for scoring.

    threads: of the model and the search; None uses every processor that the process may. provider: onnxruntime's
    execution provider by its short name. epsilon: heat map distances may be up to (1 + epsilon) times the true ones,
    which is faster; 0 is exact. Raises BundleError, PandaError.
    """
    threads = checked_threads(threads)
    if not 0 <= epsilon <= 1:
        raise PandaError(f"epsilon is {epsilon}; give 0 (exact) to 1 (distances up to twice the true ones)")
    return Detector(open_bundle(Path(path)), threads, provider, epsilon)
