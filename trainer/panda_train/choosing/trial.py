"""One candidate at work: its bank, made by the exporter's own steps, and pictures scored as a device would."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from panda_edge.banks.settings import BankSettings
from panda_edge.builder.calibrate import picture_scorer
from panda_edge.builder.pictures import Pictures
from panda_edge.builder.spread import evenly_spread
from panda_edge.bundle.model import default_threads
from panda_edge.decide.calibration import image_scores
from panda_edge.decide.local import Cells
from panda_edge.images.reading import ImageLike
from panda_edge.images.view import View
from panda_edge.search.picture import Scored
from panda_export.export import build_of, searchable_bundle
from panda_export.graph import ExportableBackbone
from panda_export.network import Network, descriptors_of, normal_spreads, write_network
from panda_export.options import ExportOptions
from panda_train import backbones
from panda_train.choosing.candidates import Candidate, Look
from panda_train.choosing.feature_cache import FeatureCache, with_descriptors
from panda_train.evaluation.pixel_scores import PixelScores
from panda_train.resolution import preprocessing_of

_TIMED = 9  # runs of the bare model
QUIET = 0.25  # quantile of measured times: what else runs on the machine only adds


@dataclass(frozen=True)
class Shown:
    """A picture that is scored. kind: a family of painted defects, or a folder of test pictures; None for a normal
    one. mask: bool (H, W) on its own pixels; None for a normal one, or where the true pixels are not known."""

    picture: ImageLike
    kind: str | None = None
    mask: np.ndarray | None = None


@dataclass(frozen=True)
class Seen:
    """What a candidate says of a picture. raw: its image scores, but for the local one, which takes all normal
    pictures. cells: of its sharp map. pixels: None where true pixels are not known."""

    kind: str | None
    raw: dict[str, float]
    cells: Cells
    pixels: PixelScores | None


@dataclass(frozen=True)
class Tried:
    """seen: all pictures, in their order. ms: of one picture, from the decoded picture to map and score. megabytes: of
    the bank's files. bank: the options as they were used."""

    seen: list[Seen]
    ms: float
    megabytes: float
    bank: BankSettings


class OpenLook:
    """A look with its network, whose features of all frames are kept. Close it, or use it as a context."""

    def __init__(self, look: Look, backbone: ExportableBackbone, normal: Sequence[Path], seed: int = 0) -> None:
        """normal: pictures that the candidates may be fitted to."""
        self.look = look
        self.preprocessing = preprocessing_of(look.resolution, normal, quiet=True)
        self._backbone = backbones.at_size(backbone, self.preprocessing.height, self.preprocessing.width)
        self._normal = list(normal)
        self._seed = seed
        self._folder = tempfile.TemporaryDirectory(prefix="panda-look-")
        options = ExportOptions({"name": "dn2"}, device="cpu", precision=look.precision, seed=seed)
        self._bare = write_network(
            Path(self._folder.name), self._backbone, Pictures(normal, self.preprocessing), options
        )
        remembered = FeatureCache(self._bare.run, self._bare.levels, self._bare.embedding_size)
        self._plain = dataclasses.replace(self._bare, run=remembered, worker=lambda: remembered)

    def __enter__(self) -> OpenLook:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    @property
    def precision(self) -> str:
        """What was kept: float32 also where int8 was asked for and is not faster."""
        return self._bare.precision

    @cached_property
    def model_ms(self) -> float:
        """Of the first picture, decoded, until all its frames are through the bare model."""
        pictures = Pictures(self._normal, self.preprocessing)
        first = pictures.first()
        opened, view = self.preprocessing.open(self._normal[first.number])
        tiled = view.count > 1
        run = self._bare.worker() if tiled else self._bare.run
        times = []
        for _ in range(_TIMED):
            started = time.perf_counter()
            run(view.frames(self.preprocessing.canvas(opened, view), range(1)))
            times.append((time.perf_counter() - started) * 1e3)
        # As many workers as threads share the tiles out.
        return float(np.quantile(times, QUIET)) * (view.count / default_threads() if tiled else 1)

    def try_out(self, candidate: Candidate, images: int, shown: Iterable[Shown]) -> Tried:
        """Fit the candidate to `images` normal pictures, spread over all, and score others. Raises PandaError."""
        pictures = self._spread(images)
        enough = candidate.tried_on(len(pictures), self._cells(pictures))
        if enough < len(pictures):
            pictures = self._spread(enough)
        bank = candidate.of_cells(self._cells(pictures))
        asked = ExportOptions({"name": "dn2"}, bank, seed=self._seed, precision=self.look.precision)
        options = asked.resolved(self.preprocessing.tiles is not None, len(self._backbone.levels))
        if options.bank.kind.by_place:
            pictures.preprocessing = pictures.with_same_tiles()
        with tempfile.TemporaryDirectory(prefix="panda-trial-") as folder:
            staging = Path(folder)
            (staging / "bank").mkdir()
            network = self._network(options.bank, pictures)
            build = build_of(staging, network, pictures, options)
            manifest, _ = searchable_bundle(build, self._backbone, options)
            scorer = picture_scorer(staging, manifest, network)
            megabytes = sum(file.stat().st_size for file in (staging / "bank").iterdir()) / 1e6
            seen, times = [], []
            for one in shown:
                opened, view = manifest.preprocessing.open(one.picture)
                scored = scorer.score(view, manifest.preprocessing.canvas(opened, view))
                times.append(scored.stages_ms["search"] + scored.stages_ms["heatmap"])
                seen.append(_seen(one, view, scored))
        return Tried(seen, self.model_ms + float(np.quantile(times, QUIET)), megabytes, options.bank)

    def _spread(self, images: int) -> Pictures:
        """So many normal pictures, spread over all."""
        numbers = evenly_spread(len(self._normal), images)
        return Pictures([self._normal[number] for number in numbers], self.preprocessing)

    def _cells(self, pictures: Pictures) -> int:
        """Of all their frames, at stride 8."""
        return pictures.frame_count() * (self.preprocessing.height // 8) * (self.preprocessing.width // 8)

    def _network(self, bank: BankSettings, pictures: Pictures) -> Network:
        count = len(self._backbone.levels)
        spreads = normal_spreads(pictures, self._plain.run) if bank.standardise else None
        return with_descriptors(
            self._plain, descriptors_of(self._backbone.levels, bank, spreads), bank.kept_levels(count)
        )


def _seen(one: Shown, view: View, scored: Scored) -> Seen:
    assert scored.heatmap is not None
    assert scored.sharp is not None
    pixels = None
    if one.kind is None or one.mask is not None:
        mask = np.zeros(scored.heatmap.shape, dtype=bool) if one.mask is None else view.mask_on_map(one.mask)
        pixels = PixelScores()
        pixels.add(scored.heatmap, mask)
    return Seen(one.kind, image_scores(scored.score, scored.heatmap), Cells.of(scored.sharp), pixels)
