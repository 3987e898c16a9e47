"""A bundle at work: images in, scores and heat maps out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from panda_edge.banks.query import FrameFeatures
from panda_edge.bundle.folder import Bundle, open_bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.model import Features, Model, checked_threads
from panda_edge.bundle.roi_file import open_roi
from panda_edge.decide.calibration import DEFAULT_RULE, MAP_RULES, UNCALIBRATED_RULE, image_scores, open_calibration
from panda_edge.decide.decision import Decider
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.decide.local import cell_maxima, local_score, open_normal_map
from panda_edge.errors import BundleError, ImageError, PandaError
from panda_edge.images.given import check_order, refuse_single, settled
from panda_edge.images.reading import ImageLike, OpenedImage
from panda_edge.images.roi import Roi, RoiLike, read_roi
from panda_edge.images.roi_mask import Rois
from panda_edge.images.view import View
from panda_edge.result import Picture, Result
from panda_edge.search.per_process import PerProcess
from panda_edge.search.picture import PictureScorer, Scored, joined
from panda_edge.search.scoring import Scorer
from panda_edge.visualise.overlay import color_scale

MODEL_FILE = "model.onnx"
STAGES = ("decode", "preprocess", "backbone", "search", "heatmap")


@dataclass(frozen=True)
class _Read:
    image: ImageLike
    canvas: np.ndarray
    view: View
    stages_ms: dict[str, float]


class Detector:
    """Scores images against the normal ones of a bundle. Made by `load`."""

    def __init__(
        self,
        bundle: Bundle,
        threads: int,
        provider: str = "cpu",
        epsilon: float = 0.0,
        fpr: float = DEFAULT_FPR,
        roi: Roi | None = None,
    ) -> None:
        self.bundle = bundle
        self.threads = threads
        self._rois = Rois(open_roi(bundle), roi)
        self.preprocessing = replace(bundle.manifest.preprocessing, rois=self._rois or None)
        tiled = self.preprocessing.tiles is not None
        # Tiles are shared out to workers of one thread each; a single frame is shared out within.
        workers = threads if tiled and provider == "cpu" else 1
        self._model = PerProcess(lambda: Model(bundle.checked_file(MODEL_FILE), threads // workers, provider))
        self._scorer = Scorer(bundle, threads // workers, epsilon)
        self._normal_map = open_normal_map(bundle) if self.rule == "local" else None
        self._sharp = None if self._normal_map is None else bundle.manifest.decision.sigma
        run = partial(_features, bundle, self._model)
        self._tiles = PictureScorer(run, self._scorer, workers, self._sharp) if tiled else None
        self.decider: Decider | None = None
        self._calibration = open_calibration(bundle)  # now: the folder may be another one later
        self._asked: dict[str, Any] | None = None
        self.decide_at(fpr)

    def decide_at(self, fpr: float) -> None:
        """Decide at this false-alarm rate from now on, where the bundle is calibrated. Raises PandaError."""
        if self._calibration is not None:
            self.decider = Decider(replace(self._calibration, rule=self.rule), fpr)

    @property
    def rule(self) -> str:
        """The image score that decides: the bundle's; with a roi one of the heat map, as an embedding sees the whole
        image; without calibration one that needs none."""
        rule = self.bundle.manifest.decision.score
        if self.bundle.manifest.calibration is None and rule in ("local", "combined"):
            return UNCALIBRATED_RULE
        return rule if rule in MAP_RULES or not self._rois else DEFAULT_RULE

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know of the decisions, a line each: what cannot be promised, what a roi does to them."""
        if self.decider is None:
            return ()
        asked = self.decider.fpr != DEFAULT_FPR  # by the default rate `fit` and `info` have spoken of it
        lines = [self.decider.warning] if asked and self.decider.warning is not None else []
        rule = self.bundle.manifest.decision.score
        if rule != self.rule:
            lines.append(f"the bundle decides by {rule}, which sees whole pictures; with a roi, {self.rule} does")
        if self._rois.device is not None:
            where = "whole pictures" if self._rois.bundle is None else "its own roi"
            lines.append(
                f"calibrated on {where}: in a smaller roi p-values are upper bounds, and false alarms at most as many "
                "as promised, and drift is not looked for; fit with --roi to find more at the same rate"
            )
        return tuple(lines)

    def detect(self, image: ImageLike, color: str = "RGB") -> Result:
        """The score and verdict of `segment`, without heat map and regions. Arguments and errors are as there."""
        return self._one(image, color, with_map=False)

    def segment(self, image: ImageLike, color: str = "RGB") -> Result:
        """Score, verdict, heat map and regions of one image.

        Args:
            image: A path; a file's bytes; a file open for reading bytes, read from where it stands; a PIL image; or an
                array of uint8 or uint16, (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
            color: Order of an array's colours: RGB, or BGR as OpenCV has them. Files and PIL images say their own.

        Raises:
            ImageError: The image cannot be read, or is none of these.
        """
        return self._one(image, color, with_map=True)

    def detect_batch(
        self, images: Iterable[ImageLike], batch_size: int = 8, color: str = "RGB"
    ) -> Iterator[Result | ImageError]:
        """`detect` for many images; see `segment_batch`."""
        return self._batches("detect_batch", images, batch_size, color, with_map=False)

    def segment_batch(
        self, images: Iterable[ImageLike], batch_size: int = 8, color: str = "RGB"
    ) -> Iterator[Result | ImageError]:
        """`segment` for many images, `batch_size` at a time through the model.

        For each image, in their order, a Result, or the ImageError that says why there is none: given, not raised, so
        that a bad image costs no other.

            for path, found in zip(paths, detector.segment_batch(paths)):
                print(path, found if isinstance(found, panda_edge.ImageError) else found.score)

        Raises:
            ImageError: images is one image, not many.
            PandaError: color is neither RGB nor BGR.
        """
        return self._batches("segment_batch", images, batch_size, color, with_map=True)

    def segment_stream(self, images: Iterable[ImageLike], color: str = "RGB") -> Iterator[Result]:
        """`segment` for consecutive frames, in their order: the next one is read and goes through the model while
        this one is searched. More frames a second than one by one, each somewhat later. Raises ImageError."""
        from concurrent.futures import ThreadPoolExecutor  # which other ways in need not wait for

        refuse_single(images, "segment_stream")
        remaining = iter(images)
        with ThreadPoolExecutor(1) as ahead:
            seen = [ahead.submit(self._see, image, color) for image in islice(remaining, 1)]
            while seen:
                read, features = seen.pop().result()
                seen += [ahead.submit(self._see, image, color) for image in islice(remaining, 1)]
                yield self._result(read, features, 0, with_map=True)

    def model_floor(self, image: ImageLike) -> float | None:
        """Milliseconds that the bare model needs for all tiles of an image; None without tiles. Raises ImageError."""
        if self._tiles is None:
            return None
        read = self._read(image, "RGB")
        return self._tiles.model_alone(read.view, read.canvas)

    def features(self, frames: np.ndarray) -> Features:
        """Features of frames, uint8 (B, height, width, 3). Raises BundleError where the model is not the manifest's."""
        return _features(self.bundle, self._model, frames)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by path: whoever unpickles it opens the bundle anew, which must be the same one."""
        if self._asked is None:
            raise PandaError("only a detector that panda_edge.load gave can be pickled")
        asked = self._asked if self.decider is None else {**self._asked, "fpr": self.decider.fpr}
        return _opened_again, (asked, self.bundle.manifest)

    def _one(self, image: ImageLike, color: str, with_map: bool) -> Result:
        read = self._read(image, color)
        return self._result(read, self._features_of([read]), 0, with_map)

    def _batches(
        self, way: str, images: Iterable[ImageLike], batch_size: int, color: str, with_map: bool
    ) -> Iterator[Result | ImageError]:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give 1 or more")
        refuse_single(images, way)
        check_order(color)
        return self._results(images, batch_size, color, with_map)

    def _results(
        self, images: Iterable[ImageLike], batch_size: int, color: str, with_map: bool
    ) -> Iterator[Result | ImageError]:
        remaining = iter(images)
        while batch := list(islice(remaining, batch_size)):
            reads = [self._tried(image, color) for image in batch]
            good = [read for read in reads if isinstance(read, _Read)]
            features = self._features_of(good) if good else None
            numbers = count()
            for read in reads:
                yield read if isinstance(read, ImageError) else self._result(read, features, next(numbers), with_map)

    def _tried(self, image: ImageLike, color: str) -> _Read | ImageError:
        try:
            return self._read(image, color)
        except ImageError as error:
            return error

    def _read(self, image: ImageLike, color: str) -> _Read:
        started = time.perf_counter()
        image = settled(image, color)
        opened, view = self.preprocessing.open(image)
        decoded = time.perf_counter()
        canvas = self.preprocessing.canvas(opened, view)
        resized = time.perf_counter()
        stages = {"decode": (decoded - started) * 1e3, "preprocess": (resized - decoded) * 1e3}
        return _Read(image, canvas, view, stages)

    def _features_of(self, reads: Sequence[_Read]) -> Features | None:
        """Features of a batch, each read's share of the time in its stages; None of tiles, which go to the workers."""
        if self._tiles is not None:
            return None
        started = time.perf_counter()
        features = self.features(np.stack([read.canvas for read in reads]))
        for read in reads:
            read.stages_ms["backbone"] = (time.perf_counter() - started) * 1e3 / len(reads)
        return features

    def _see(self, image: ImageLike, color: str) -> tuple[_Read, Features | None]:
        read = self._read(image, color)
        return read, self._features_of([read])

    def _result(self, read: _Read, features: Features | None, i: int, with_map: bool) -> Result:
        mapped = with_map or self.rule != "embedding"
        if self._tiles is not None:
            scored = self._tiles.score(read.view, read.canvas, mapped)
        else:
            assert features is not None
            scored = self._of_frame(read.view, features, i, mapped)
        stages = {**read.stages_ms, **scored.stages_ms}
        started = time.perf_counter()
        compared = None if scored.heatmap is None else read.view.compared(scored.heatmap)
        local = None
        if scored.sharp is not None and self._normal_map is not None:
            local = local_score(cell_maxima(scored.sharp), self._normal_map)
        raw = image_scores(scored.score, compared, self.rule, local)
        heatmap = scored.heatmap if with_map else None
        decision = None if self.decider is None else self.decider.decide(raw, heatmap, read.view)
        score = raw[self.rule] if decision is None else decision.score
        stages["heatmap" if mapped else "search"] += (time.perf_counter() - started) * 1e3
        picture = None
        if with_map and not isinstance(read.image, OpenedImage):  # of `watch`, which lets go of it
            picture = Picture(read.image, color_scale(self._scorer.maps), self.preprocessing.white)
        return Result(score, scored.score, heatmap, read.view.picture, read.view, stages, decision, picture)

    def _of_frame(self, view: View, features: Features, i: int, with_map: bool) -> Scored:
        """The score and heat map of a picture that is one frame, the i-th of a batch."""
        started = time.perf_counter()
        frame = self._scorer.score(FrameFeatures.of(features, i, view), with_map)
        searched = (time.perf_counter() - started) * 1e3
        done = joined(view, [frame], self._scorer.maps, self._sharp)
        return replace(done, stages_ms={"search": searched, **done.stages_ms})


def _features(bundle: Bundle, model: PerProcess[Model], frames: np.ndarray) -> Features:
    """See `Detector.features`."""
    manifest = bundle.manifest
    try:
        features = model.get().run(frames)
    except PandaError as error:
        raise BundleError(f"{bundle.path}: {error}") from error
    if (features.score is not None) != (manifest.detection.scoring == "graph"):
        raise BundleError(f"{bundle.path}: the model and the manifest disagree about who scores; export it again")
    expected = [(lv.height * lv.width, lv.channels) for lv in manifest.levels]
    found = [level.shape[1:] for level in features.levels]
    if features.embedding.shape != (len(frames), manifest.embedding_size) or found != expected:
        raise BundleError(f"{bundle.path}: the model's outputs {found} are not the manifest's levels {expected}")
    return features


def load(
    path: str | os.PathLike[str],
    threads: int | None = None,
    provider: str = "cpu",
    epsilon: float = 0.0,
    fpr: float = DEFAULT_FPR,
    require_signature: str | os.PathLike[str] | None = None,
    roi: RoiLike | None = None,
) -> Detector:
    """Open a bundle for scoring.

    threads: of the model and the search; None uses every processor that the process may. provider: onnxruntime's
    execution provider by its short name. epsilon: heat map distances may be up to (1 + epsilon) times the true ones,
    which is faster; 0 is exact. fpr: the share of normal images that may be called anomalous, where the bundle is
    calibrated. require_signature: a public key, by file or line; the bundle is used only if this key has signed it, and
    is then read once, into memory. roi: look only there: a mask's file, a .json file of polygons (FORMAT.md) or a mask,
    bool (H, W); of a bundle that has a roi, in both. Raises BundleError, PandaError.
    """
    asked = {
        "path": os.path.abspath(path),
        "threads": threads,
        "provider": provider,
        "epsilon": epsilon,
        "fpr": fpr,
        "require_signature": _lasting(require_signature),
        "roi": _lasting(roi),
    }
    threads = checked_threads(threads)
    if not 0 <= epsilon <= 1:
        raise PandaError(f"epsilon is {epsilon}; give 0 (exact) to 1 (distances up to twice the true ones)")
    only = None if roi is None else read_roi(roi)
    detector = Detector(open_bundle(Path(path), require_signature), threads, provider, epsilon, fpr, only)
    detector._asked = asked
    return detector


def _lasting(given: Any) -> Any:
    """A file's name as it is known from any folder."""
    return os.path.abspath(given) if isinstance(given, str | os.PathLike) and os.path.exists(given) else given


def _opened_again(asked: dict[str, Any], manifest: Manifest) -> Detector:
    """Of a pickle. Raises PandaError."""
    detector = load(**asked)
    if detector.bundle.manifest != manifest:
        raise BundleError(f"{asked['path']}: not the bundle that the pickled detector had; load it instead")
    return detector
