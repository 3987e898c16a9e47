"""The adapting part of `fit`: from a folder's normal images to a backbone that the exporter takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_export.pictures import Pictures
from panda_train.adapt import (
    AdaptConfig,
    Adapted,
    AdaptedBackbone,
    Source,
    adapt,
    embeddings,
    fisher,
    plot,
    store,
    unadapted,
    verdict,
)
from panda_train.adapt.distributed import Workers
from panda_train.backbones import Backbone
from panda_train.data import natural_images
from panda_train.data.folders import open_dataset
from panda_train.progress import show, steps_shown

PRETRAINING_IMAGES = 1024
"""Crops of natural photographs, labelled by the backbone itself, that stand for the pre-training images of jo."""


@dataclass(frozen=True)
class AdaptOptions:
    """What `fit` does to features; the fields are the command's options.

    config: its method is set by `fit`. exposure: folder of outliers for panda-oe. fisher: file of the diagonal; None:
    where `panda-train fisher` puts it, made there if it is missing. distance: `knn` or `centre`, for methods that score
    by a distance. pyramid: `pretrained` or `adapted`. resume: go on from the state that a killed run left beside the
    bundle. curves: where to plot the watch on collapse. knn: neighbours that panda-ses averages in the graph; set by
    `fit`.
    """

    config: AdaptConfig = field(default_factory=lambda: AdaptConfig("panda-early", embedding="unit"))
    exposure: Path | None = None
    fisher: Path | None = None
    distance: str = "knn"
    pyramid: str = "pretrained"
    resume: bool = False
    curves: Path | None = None
    knn: int = 2


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
    normal = _source(backbone, images, preprocessing, "frozen features", workers)
    if method == "dn2":
        own = embeddings(backbone.adaptable, normal.activations, unit=False)
        everything = workers.gather_rows(own, normal.count).numpy()
        adapted = unadapted(backbone, options.config.embedding, everything)
        chosen = {"embedding": options.config.embedding, "distance": options.distance}
        return Adaptation(_exportable(backbone, adapted, options), chosen, "")
    config = replace(options.config, method=method)
    if not options.resume and workers.first:
        state_file.unlink(missing_ok=True)
    workers.wait()
    # Before the steps are shown: each shows progress of its own.
    others = _others(backbone, preprocessing, config, options, workers)
    diagonal = fisher.load_or_make(backbone, options.fisher, workers, show) if method == "panda-ewc" else None
    with steps_shown(method, workers.first) as on_step:
        adapted = adapt(
            backbone,
            normal,
            config,
            others=others,
            fisher=diagonal,
            workers=workers,
            state_file=state_file,
            on_step=on_step,
        )
    if options.curves is not None and workers.first:
        plot(adapted.looks, options.curves)
    facts = {**config.plain(), "distance": options.distance, "pyramid": options.pyramid, "adapt_from": backbone.split}
    said = verdict(adapted.looks) if workers.first else ""
    return Adaptation(_exportable(backbone, adapted, options), facts, said)


def _exportable(backbone: Backbone, adapted: Adapted, options: AdaptOptions) -> AdaptedBackbone:
    score = {"knn": options.distance, "ses-knn": f"ses-{options.distance}"}.get(adapted.score, adapted.score)
    return AdaptedBackbone(backbone.cpu(), adapted, score, options.pyramid, options.knn).cpu().eval()


def _source(
    backbone: Backbone, images: Sequence[Path], preprocessing: Preprocessing, what: str, workers: Workers
) -> Source:
    own = [images[number] for number in workers.owned(len(images))]
    if preprocessing.tiles is not None and workers.count > 1:
        raise PandaError("tiles are adapted to in one process; leave out torchrun, or --tiles")
    pictures = Pictures(own, preprocessing)
    count = pictures.frame_count()
    read = show(pictures.read(), what, len(own))
    stored = store(backbone, (frame for picture in read for frame in picture.frames), count)
    if workers.count > 1 and len(stored) != len(own):
        raise PandaError(f"{len(own) - len(stored)} images cannot be read; remove them to train in several processes")
    return Source(stored, len(images) if workers.count > 1 else len(stored))


def _others(
    backbone: Backbone, preprocessing: Preprocessing, config: AdaptConfig, options: AdaptOptions, workers: Workers
) -> Source | None:
    if options.exposure is not None:
        return _source(backbone, open_dataset(options.exposure).train, preprocessing, "exposed features", workers)
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
