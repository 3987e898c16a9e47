"""The methods of section 3.2 and the comparator of Eq. 2: which objective is trained, and what is kept of it."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from panda_edge.errors import PandaError
from panda_train.adapt.activations import ActivationSource
from panda_train.adapt.adapted import Adapted, centre_and_scale
from panda_train.adapt.batches import Batches, FromEach, TwoViews
from panda_train.adapt.config import RIDGES, AdaptConfig, steps_an_epoch
from panda_train.adapt.distributed import Workers
from panda_train.adapt.exposed_weight import fit_weight
from panda_train.adapt.loop import Run, Watched, train
from panda_train.adapt.objectives import (
    Compactness,
    ElasticPull,
    Joint,
    MeanShifted,
    Objective,
    OutlierExposure,
    embed,
)
from panda_train.adapt.whitening import before_whitening, whiten
from panda_train.backbones import AdaptablePart, Backbone

HELD_OUT_SHARE, HELD_OUT_MOST = 0.05, 64
FEWEST_IMAGES = 16
_INFERENCE_BATCH = 32


@dataclass(frozen=True)
class Source:
    """Images that training draws from: activations of the process's own ones, and the number over all processes.

    labels: int64 (count,), the classes of pre-training images. views: for panda-msc, augmented copies of the images,
    one source a view.
    """

    activations: ActivationSource
    count: int
    labels: Tensor | None = None
    views: Sequence[ActivationSource] = ()


def adapt(
    backbone: Backbone,
    normal: Source,
    config: AdaptConfig,
    *,
    others: Source | None = None,
    fisher: Sequence[Tensor] | None = None,
    checkpoints: Sequence[int] | None = None,
    run: Run = Run(),
) -> Adapted:
    """Adapt the backbone's later stages to the normal images. The backbone itself is not changed.

    others: the exposed outliers of panda-oe, or jo's labelled pre-training images. fisher: panda-ewc's diagonal, in
    the order of `backbone.adaptable.parameters()`. The last 5 % of the normal images (4 to 64) are held out, to
    watch for collapse. checkpoints: the steps after which a head is kept, by default the method's own (panda-ses has
    several, others the last). Raises PandaError where the method's needs are not met or the loss diverges.
    """
    workers = run.workers
    device = next(backbone.parameters()).device
    _check_needs(config, normal, others, fisher)
    head = copy.deepcopy(backbone.adaptable).to(memory_format=torch.channels_last)
    trained_count = trained_images(normal.count)
    own_trained = len(workers.owned(trained_count))
    before = embeddings(head, normal.activations, unit=False)[:own_trained]
    total = embed(before, config.unit).sum(dim=0).to(device)
    squared_norm = before.square().sum().to(device)
    workers.sum([total, squared_norm])
    centre = total / trained_count
    # λ is meant for raw embeddings; of unit length, they and the loss are smaller by the mean squared norm.
    strength = config.ewc / (float(squared_norm) / trained_count if config.unit else 1.0)
    head.requires_grad_(True)
    objective = _objective(backbone, config, centre, others)
    if config.method == "panda-msc":
        metric = None
        if config.whiten_loss:
            features = embed(workers.gather_rows(before, trained_count), unit=True)
            metric = torch.from_numpy(whiten(features.numpy()).matrix).to(device)
        objective = MeanShifted(centre, config.temperature, config.angular, metric)
    if config.method == "panda-oe":
        assert others is not None
        objective = _exposure(backbone, workers.gather_rows(before, trained_count), others, config, workers)
    steps = config.total_steps(trained_count)
    trained = train(
        head,
        _batches(config, normal, others, trained_count),
        objective,
        config,
        _watched(normal.activations, own_trained, centre),
        run,
        pull=ElasticPull(list(head.parameters()), fisher, strength) if fisher is not None else None,
        snapshot_steps=checkpoints_of(config, trained_count, steps) if checkpoints is None else checkpoints,
    )
    heads = [snapshot for _, snapshot in trained.snapshots] or [trained.head.requires_grad_(False)]
    return _finished(config, heads, normal, workers, objective, trained.looks, [s for s, _ in trained.snapshots])


def checkpoints_of(config: AdaptConfig, images: int, steps: int) -> list[int]:
    """The steps after which panda-ses keeps a checkpoint: every `config.every` epochs, and the last."""
    if config.method != "panda-ses":
        return []
    interval = max(1, round(config.every * steps_an_epoch(images, config.batch)))
    return sorted({*range(interval, steps + 1, interval), steps})


def embeddings(head: AdaptablePart, source: ActivationSource, unit: bool) -> Tensor:
    """Embeddings of all images of a source, float32 (N, D), on the CPU."""
    device = next(head.parameters()).device
    parts = []
    with torch.no_grad():
        for start in range(0, len(source), _INFERENCE_BATCH):
            batch = source.batch(np.arange(start, min(start + _INFERENCE_BATCH, len(source))))
            parts.append(embed(head(batch.to(device))[0], unit).cpu())
    return torch.cat(parts)


def _check_needs(config: AdaptConfig, normal: Source, others: Source | None, fisher: Sequence[Tensor] | None) -> None:
    if config.method == "panda-msc" and len(normal.views) < 2:
        raise ValueError(f"panda-msc compares views of an image; {len(normal.views)} were given")
    if config.pulled and fisher is None:
        raise PandaError(f"{config.method} needs the Fisher diagonal of its backbone: run `panda-train fisher` first")
    if config.method == "panda-oe" and others is None:
        raise PandaError("panda-oe needs outliers to expose: --exposure DIR, or --outliers made")
    if config.method == "jo" and (others is None or others.labels is None):
        raise PandaError("jo needs labelled pre-training images")
    if config.method in ("panda-early", "panda-ses", "panda-ewc", "panda-msc") and others is not None:
        raise PandaError(f"{config.method} trains on normal images alone; --exposure is for panda-oe")


def _batches(config: AdaptConfig, normal: Source, others: Source | None, trained_count: int) -> Batches:
    if config.method == "panda-msc":
        return TwoViews(normal.views, trained_count, config.seed, config.batch)
    sources = [normal.activations] if others is None else [normal.activations, others.activations]
    sizes = [trained_count] if others is None else [trained_count, others.count]
    return FromEach(sources, sizes, config.seed, config.batch)


def _objective(backbone: Backbone, config: AdaptConfig, centre: Tensor, others: Source | None) -> Objective:
    if config.method == "jo":
        assert others is not None
        assert others.labels is not None
        classifier = copy.deepcopy(backbone.classifier).requires_grad_(True)
        return Joint(centre, config.unit, classifier, others.labels)
    return Compactness(centre, config.unit)


def _exposure(
    backbone: Backbone, normal: Tensor, others: Source, config: AdaptConfig, workers: Workers
) -> OutlierExposure:
    """normal: raw embeddings (n, D) of the normal images that are trained on."""
    own = embeddings(backbone.adaptable, others.activations, unit=False)
    exposed = workers.gather_rows(own, others.count)
    # As with EWC's pull: of unit length, embeddings need a w that is larger by their norm.
    decay = config.weight_decay * (1.0 if config.unit else float(normal.square().sum(dim=1).mean()))
    weight, bias = fit_weight(
        embed(normal, config.unit), embed(exposed, config.unit), decay, config.prior if config.unit else 0.0
    )
    device = next(backbone.parameters()).device
    return OutlierExposure(weight.to(device), bias.to(device), config.unit)


def trained_images(images: int) -> int:
    """How many of the normal images, the first ones, are trained on; the others are held out."""
    if images < FEWEST_IMAGES:
        raise PandaError(f"{images} normal images are too few to adapt to (at least {FEWEST_IMAGES}); use dn2")
    return images - max(4, min(HELD_OUT_MOST, int(images * HELD_OUT_SHARE)))


def _watched(source: ActivationSource, own_trained: int, centre: Tensor) -> Watched:
    return Watched(
        trained=source.batch(np.arange(min(HELD_OUT_MOST, own_trained))),
        held_out=source.batch(np.arange(own_trained, len(source))),
        centre=centre,
    )


def _finished(
    config: AdaptConfig,
    heads: Sequence[AdaptablePart],
    normal: Source,
    workers: Workers,
    objective: Objective,
    looks: Sequence[object],
    steps: Sequence[int],
) -> Adapted:
    centres, scales, banks, whitening = [], [], [], None
    for head in heads:
        own = before_whitening(embeddings(head, normal.activations, unit=False), config.embedding)
        everything = workers.gather_rows(own, normal.count).numpy()
        centre, scale = centre_and_scale(everything)
        centres.append(centre)
        scales.append(scale)
        if config.method in ("panda-ses", "panda-oe"):
            banks.append(everything)
        if config.embedding in RIDGES:
            whitening = whiten(everything, RIDGES[config.embedding])
    weight = objective.weight.detach().cpu().numpy() if isinstance(objective, OutlierExposure) else None
    return Adapted(
        config.method, config.embedding, heads, np.stack(centres), np.array(scales, np.float32), weight, whitening,
        steps, np.stack(banks) if banks else None, trained_images(normal.count), looks,  # type: ignore[arg-type]
    )  # fmt: skip
