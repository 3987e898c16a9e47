"""From a picture's frames to its one score and one heat map."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from panda_edge.banks.query import FrameFeatures
from panda_edge.bundle.manifest import Segmentation
from panda_edge.bundle.model import Features
from panda_edge.images.view import View
from panda_edge.search.per_process import PerProcess
from panda_edge.search.scoring import FrameScore, Scorer, check_finite
from panda_edge.search.stitch import Stitcher

if TYPE_CHECKING:
    from concurrent.futures import Executor

T = TypeVar("T")
FeatureFunction = Callable[[np.ndarray], Features]
"""Frames, uint8 (B, height, width, 3) → Features."""

_MOST_FRAMES = 4  # that go through the model at once: more spill its activations out of the cache


@dataclass(frozen=True)
class Scored:
    """score: the largest of the frames' scores. heatmap: float32 `View.map_shape`; None where only the score was
    wanted. sharp: the same, less blurred; None where it was not wanted. stages_ms: milliseconds by stage."""

    score: float
    heatmap: np.ndarray | None
    sharp: np.ndarray | None = None
    stages_ms: dict[str, float] = field(default_factory=dict)


def joined(view: View, frames: Sequence[FrameScore | None], maps: Segmentation, sharp: float | None = None) -> Scored:
    """One score and one heat map, NaN outside a region of interest, from those of all frames of a picture, in their
    order, None where one is not looked at. maps: how the heat map is made of distances. sharp: blur, in input pixels,
    of a second map. Raises PandaError."""
    started = time.perf_counter()
    score = max(frame.score for frame in frames if frame is not None)
    stitcher = Stitcher(view)
    for number, frame in enumerate(frames):
        if frame is None:
            continue
        if frame.distances is None:
            return Scored(score, None)
        stitcher.add(number, frame.distances)
    heatmap = stitcher.heatmap(maps.sigma)
    check_finite(heatmap)
    sharper = None if sharp is None else _judged(view, stitcher.heatmap(sharp))
    return Scored(score, _judged(view, heatmap), sharper, {"heatmap": (time.perf_counter() - started) * 1e3})


def _judged(view: View, heatmap: np.ndarray) -> np.ndarray:
    """With NaN outside a region of interest."""
    return heatmap if view.roi_mask is None else np.where(view.roi_mask.judged, heatmap, np.float32(np.nan))


class PictureScorer:
    """Scores pictures of many frames. Each worker takes the next frames through the model and searches them, so that
    one is in the model while another searches, and no core waits for the end of a part of a frame."""

    def __init__(self, run: FeatureFunction, scorer: Scorer, workers: int = 1, sharp: float | None = None) -> None:
        """run: may be called by several threads. workers: threads that share a picture. sharp: see `joined`."""
        self._run = run
        self._sharp = sharp
        self._scorer = scorer
        self._workers = workers
        self._pool: PerProcess[Executor] | None = None
        if workers > 1:
            from concurrent.futures import ThreadPoolExecutor  # which a single frame need not wait for

            self._pool = PerProcess(lambda: ThreadPoolExecutor(workers))

    def score(self, view: View, canvas: np.ndarray, with_map: bool = True, exclude: int | None = None) -> Scored:
        """Score one picture. canvas: uint8 (H, W, 3) of `Preprocessing.canvas`; exclude: see `Scorer.score`."""
        started = time.perf_counter()
        frames: list[FrameScore | None] = [None] * view.count
        work = _Work(view.active_frames(), self._workers)

        def help_with(worker: int) -> tuple[float, float]:
            busy = [0.0, 0.0]
            while (numbers := work.next()) is not None:
                for number, frame, seconds in self._scored(view, canvas, numbers, with_map, exclude):
                    frames[number] = frame
                    busy = [busy[0] + seconds[0], busy[1] + seconds[1]]
            return busy[0], busy[1]

        spent = self._by_workers(help_with)
        taken = (time.perf_counter() - started) * 1e3
        done = joined(view, frames, self._scorer.maps, self._sharp)
        model, search = (sum(seconds) for seconds in zip(*spent, strict=True))
        share = model / ((model + search) or 1.0)
        stages = {"backbone": taken * share, "search": taken * (1 - share), **done.stages_ms}
        return replace(done, stages_ms=stages)

    def model_alone(self, view: View, canvas: np.ndarray) -> float:
        """Milliseconds that the same workers need to take the same frames through the model, and do nothing with them:
        the floor of `score`."""
        started = time.perf_counter()
        work = _Work(view.active_frames(), self._workers)

        def run(worker: int) -> None:
            while (numbers := work.next()) is not None:
                self._run(view.frames(canvas, numbers))

        self._by_workers(run)
        return (time.perf_counter() - started) * 1e3

    def _by_workers(self, part: Callable[[int], T]) -> list[T]:
        """What each worker's part gives; it is called with the worker's number."""
        return list((self._pool.get().map if self._pool else map)(part, range(self._workers)))

    def _scored(
        self,
        view: View,
        canvas: np.ndarray,
        numbers: Sequence[int],
        with_map: bool,
        exclude: int | None,
    ) -> Iterator[tuple[int, FrameScore, tuple[float, float]]]:
        """Each of some frames with its score, and the seconds spent on it in the model and in the search."""
        started = time.perf_counter()
        features = self._run(view.frames(canvas, numbers))
        seen = time.perf_counter()
        each = [FrameFeatures.of(features, i, view, number) for i, number in enumerate(numbers)]
        similar = self._scorer.similar(each, with_map, exclude)
        in_model, choosing = (seen - started) / len(numbers), (time.perf_counter() - seen) / len(numbers)
        for frame, found in zip(each, similar, strict=True):
            before = time.perf_counter()
            scored = self._scorer.score(frame, with_map, exclude, found)
            yield frame.number, scored, (in_model, choosing + time.perf_counter() - before)


class _Work:
    """Hands out frames of a picture, some at a time, to whoever asks next."""

    def __init__(self, numbers: Sequence[int], workers: int) -> None:
        self._lock = Lock()
        self._numbers, self._next = numbers, 0
        # The fewer there are, the smaller the parts, so that all workers end together.
        self._part = max(1, min(_MOST_FRAMES, len(numbers) // (4 * workers))) if workers > 1 else _MOST_FRAMES

    def next(self) -> Sequence[int] | None:
        with self._lock:
            numbers = self._numbers[self._next : self._next + self._part]
            self._next += len(numbers)
        return numbers or None
