"""One bank of few pictures, scored on test pictures; features of every frame are computed once a set."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from panda_edge.banks.query import FrameFeatures
from panda_edge.banks.settings import bank_settings, own_options
from panda_edge.builder.pictures import Pictures
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.model import Features, default_threads
from panda_edge.decide.calibration import image_scores
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.search.picture import FeatureFunction, joined
from panda_edge.search.scoring import Scorer
from panda_export.augment import augmented
from panda_export.export import build_of, searchable_bundle
from panda_export.network import Network, write_network
from panda_export.options import ExportOptions
from panda_train import backbones
from panda_train.data.folders import Sample
from panda_train.data.mask_pixels import read_masks
from panda_train.evaluation.metrics import auroc
from panda_train.evaluation.pixel_scores import PixelScores

SHAPE = Preprocessing(224, 224)
_CELLS = 28 * 28  # of a coreset's descriptors in a frame


@dataclass(frozen=True)
class Kind:
    """A way to fit. bank: with its own defaults. augment: one of the command's."""

    name: str
    bank: str
    augment: str = "none"


KINDS = (
    Kind("default", "exact"),
    Kind("augment auto", "exact", "auto"),
    Kind("PatchCore 10 %", "coreset"),
)


class Bench:
    """A set's test pictures and the two networks: a coreset's averages are part of its own."""

    def __init__(self, test: Sequence[Sample]) -> None:
        self._test = list(test)
        self._frames = [SHAPE.apply(sample.path) for sample in self._test]
        self._masks = [self._mask(sample) for sample in self._test]
        self._backbone = backbones.load(backbones.DEFAULT)
        self._networks: dict[str, Network] = {}
        self._last: dict[tuple[object, ...], dict[str, object]] = {}
        self._folder = tempfile.TemporaryDirectory()

    def row(self, kind: Kind, images: Sequence[Path], seed: int) -> dict[str, object]:
        """Fit a bank to these pictures and score the test pictures with it."""
        vectors = max(1, round(0.1 * _CELLS * len(images)))
        own = {"vectors": vectors} if "vectors" in own_options(kind.bank) else {}
        options = ExportOptions({"name": "dn2"}, bank_settings(kind.bank, **own), seed=seed).resolved(False)
        network = self._network(kind.bank, images, options)
        augment = augmented(kind.augment, images, SHAPE, options.bank.kind.traits.takes_copies, network)
        options = replace(options, augment=augment)
        asked = kind.bank, augment, *images
        if asked not in self._last:  # `auto` may have chosen what was just measured
            self._last = {asked: self._measured(options, network, images)}
        return self._last[asked]

    def _measured(self, options: ExportOptions, network: Network, images: Sequence[Path]) -> dict[str, object]:
        with tempfile.TemporaryDirectory() as folder:
            staging = Path(folder)
            (staging / "bank").mkdir()
            pictures = Pictures(images, SHAPE, options.augment)
            build = build_of(staging, network, pictures, options)
            manifest, _ = searchable_bundle(build, self._backbone, options)
            scorer = Scorer(Bundle(staging, manifest), default_threads())
            return {"augment": options.augment, **self._figures(scorer, network.run)}

    def _figures(self, scorer: Scorer, run: FeatureFunction) -> dict[str, object]:
        scores, pixels, masked = [], PixelScores(), False
        for frame, mask in zip(self._frames, self._masks, strict=True):
            found = scorer.score(FrameFeatures.of(run(frame[None]), 0, SHAPE.alone))
            shown = joined(SHAPE.alone, [found], scorer.maps)
            assert shown.heatmap is not None
            scores.append(image_scores(shown.score, shown.heatmap)["max"])
            if mask is not None:
                masked = masked or bool(mask.any())
                pixels.add(shown.heatmap, mask)
        anomalous = np.array([sample.anomalous for sample in self._test])
        figures = {"image_auroc": auroc(np.array(scores), anomalous)}
        if masked:
            figures |= {"pixel_auroc": pixels.auroc(), "pro": pixels.pro()}
        return {name: value if value is None else round(value, 4) for name, value in figures.items()}

    def _mask(self, sample: Sample) -> np.ndarray | None:
        if not sample.anomalous:
            return np.zeros((SHAPE.height, SHAPE.width), dtype=bool)
        return SHAPE.apply_mask(read_masks(sample.masks)) if sample.masks else None

    def _network(self, bank: str, images: Sequence[Path], options: ExportOptions) -> Network:
        if bank not in self._networks:
            folder = Path(self._folder.name) / bank
            folder.mkdir()
            network = write_network(folder, self._backbone, Pictures(images, SHAPE), options)
            self._networks[bank] = replace(network, run=remembered(network.run))
        return self._networks[bank]


def remembered(run: FeatureFunction) -> FeatureFunction:
    """The same, which computes the features of a frame that it has seen no second time; levels as float16."""
    seen: dict[bytes, tuple[np.ndarray, list[np.ndarray]]] = {}

    def call(frames: np.ndarray) -> Features:
        keys = [hashlib.sha256(frame.tobytes()).digest() for frame in frames]
        for key, frame in zip(keys, frames, strict=True):
            if key not in seen:
                found = run(frame[None])
                seen[key] = found.embedding[0], [level[0].astype(np.float16) for level in found.levels]
        levels = zip(*(seen[key][1] for key in keys), strict=True)
        return Features(
            np.stack([seen[key][0] for key in keys]), tuple(np.stack(level).astype(np.float32) for level in levels)
        )

    return call
