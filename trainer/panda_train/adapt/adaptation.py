"""The adapting part of `fit`: from a folder's normal images to a backbone that the exporter takes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from panda_edge.builder.pictures import Pictures
from panda_edge.builder.progress import silent
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_train.adapt import (
    AdaptConfig,
    Adapted,
    AdaptedBackbone,
    Run,
    Source,
    StoredActivations,
    adapt,
    embeddings,
    fisher,
    plot,
    store,
    unadapted,
    verdict,
)
from panda_train.adapt.config import AdaptOptions
from panda_train.adapt.distributed import Workers
from panda_train.backbones import Backbone
from panda_train.data import augment, natural_images, outliers
from panda_train.data.folders import open_dataset
from panda_train.progress import show, steps_shown

PRETRAINING_IMAGES = 1024
"""Crops of natural photographs, labelled by the backbone itself, that stand for the pre-training images of jo."""


@dataclass(frozen=True)
class Adaptation:
    """backbone: for the exporter. facts: for the manifest. said: the verdict on collapse, one line, or nothing."""

    backbone: AdaptedBackbone
    facts: dict[str, Any]
    said: str


def adapt_to(
    backbone: Backbone,
    images: Sequence[Path],
    preprocessing: Preprocessing,
    method: str,
    options: AdaptOptions,
    state_file: Path,
    workers: Workers,
) -> Adaptation:
    """Adapt to the normal images. `method`: dn2 (which adapts nothing, but may scale or whiten) or one of METHODS.

    state_file: where the run's state is kept while it lasts. Raises PandaError.
    """
    options.check(method)
    normal = _source(backbone, images, preprocessing, "frozen features", workers)
    if method == "dn2":
        own = embeddings(backbone.adaptable, normal.activations, unit=False)
        everything = workers.gather_rows(own, normal.count).numpy()
        adapted = unadapted(backbone, options.config.embedding, everything)
        chosen = {"embedding": options.config.embedding, "distance": options.distance}
        return Adaptation(_exportable(backbone, adapted, options), chosen, "")
    config = replace(options.config, method=method)
    if not options.resume and workers.is_rank_zero:
        state_file.unlink(missing_ok=True)
    workers.wait()
    # Before the steps are shown: each shows progress of its own.
    others = _others(backbone, images, preprocessing, config, options, workers)
    if method == "panda-msc":
        normal = replace(normal, views=_views(backbone, images, preprocessing, config, workers))
    diagonal = fisher.load_or_make(backbone, options.fisher, workers, show) if config.pulled else None
    with steps_shown(method, workers.is_rank_zero) as on_step:
        adapted = adapt(
            backbone,
            normal,
            config,
            others=others,
            fisher=diagonal,
            run=Run(workers, state_file, on_step),
        )
    if options.curves is not None and workers.is_rank_zero:
        plot(adapted.looks, options.curves)
    facts = {**config.plain(), "distance": options.distance, "pyramid": options.pyramid, "adapt_from": backbone.split}
    said = verdict(adapted.looks) if workers.is_rank_zero else ""
    return Adaptation(_exportable(backbone, adapted, options), facts, said)


def _exportable(backbone: Backbone, adapted: Adapted, options: AdaptOptions) -> AdaptedBackbone:
    own = {"knn": options.distance, "ses-knn": f"ses-{options.distance}"}
    if options.distance == "knn":
        own["exposure"] = "exposure-knn"
    score = own.get(adapted.score, adapted.score)
    return AdaptedBackbone(backbone.cpu(), adapted, score, options.pyramid, options.knn).cpu().eval()


def _source(
    backbone: Backbone,
    images: Sequence[Path],
    preprocessing: Preprocessing,
    what: str,
    workers: Workers,
    changed: Callable[[Iterable[tuple[int, np.ndarray]]], Iterator[np.ndarray]] | None = None,
    copies: int = 1,
) -> Source:
    """The frozen part's activations of the process's own images.

    changed: what to take of the frames, which it gets with their numbers: `copies` of each.
    """
    own = [images[number] for number in workers.owned(len(images))]
    if preprocessing.tiles is not None and workers.count > 1:
        raise PandaError("tiles are adapted to in one process; leave out torchrun, or --tiles")
    pictures = Pictures(own, preprocessing)
    count = pictures.frame_count() * copies
    read = (show if workers.is_rank_zero else silent)(pictures.read(), what, len(own))
    frames: Iterable[np.ndarray] = (frame for picture in read for frame in picture.frames)
    if changed is not None:
        frames = changed((workers.rank + number * workers.count, frame) for number, frame in enumerate(frames))
    stored = store(backbone, frames, count)
    if workers.count > 1 and len(stored) != len(own) * copies:
        unread = len(own) - len(stored) // copies
        raise PandaError(f"{unread} images cannot be read; remove them to train in several processes")
    return Source(stored, len(images) if workers.count > 1 else len(stored) // copies)


def _views(
    backbone: Backbone, images: Sequence[Path], preprocessing: Preprocessing, config: AdaptConfig, workers: Workers
) -> list[StoredActivations]:
    """Augmented copies of the images, kept: `config.views` of each."""

    def changed(numbered: Iterable[tuple[int, np.ndarray]]) -> Iterator[np.ndarray]:
        return augment.copies(numbered, config.views, config.seed)

    kept = _source(backbone, images, preprocessing, "features of views", workers, changed, config.views)
    assert isinstance(kept.activations, StoredActivations)
    return kept.activations.views(config.views)


def _others(
    backbone: Backbone,
    images: Sequence[Path],
    preprocessing: Preprocessing,
    config: AdaptConfig,
    options: AdaptOptions,
    workers: Workers,
) -> Source | None:
    if options.exposure is not None:
        return _source(backbone, open_dataset(options.exposure).train, preprocessing, "exposed features", workers)
    if (kind := options.outliers) is not None:

        def changed(numbered: Iterable[tuple[int, np.ndarray]]) -> Iterator[np.ndarray]:
            return outliers.made(numbered, kind, config.seed)

        return _source(backbone, images, preprocessing, "features of outliers", workers, changed)
    if config.method != "jo":
        return None
    frames = natural_images.crops(PRETRAINING_IMAGES, preprocessing.height, preprocessing.width, config.seed)
    own = set(workers.owned(PRETRAINING_IMAGES).tolist())
    mine: list[np.ndarray] = [frame for number, frame in enumerate(frames) if number in own]
    stored = store(backbone, mine, len(mine))
    return Source(stored, PRETRAINING_IMAGES, _own_labels(backbone, stored, workers))


def _own_labels(backbone: Backbone, stored: Any, workers: Workers) -> Tensor:
    """The classes that the backbone itself gives to images, of all processes' images in their order."""
    with torch.no_grad():
        values = embeddings(backbone.adaptable, stored, unit=False).to(backbone.classifier.weight.device)
        labels = backbone.classifier(values).argmax(dim=1)
    return workers.gather_rows(labels, PRETRAINING_IMAGES).cpu()
