"""Scores of a run that adapts: the network is trained on the normal class, and the test images go through it once."""

from collections.abc import Sequence

import numpy as np
import torch

from panda_train.adapt import (
    Adapted,
    AdaptedHead,
    Source,
    StoredActivations,
    adapt,
    fisher,
    last_checkpoint,
    verdict,
)
from panda_train.paper import comparators
from panda_train.paper.features import Features
from panda_train.paper.options import PaperOptions
from panda_train.paper.rows import Row, auroc_of

_BATCH = 32


def adapted_scores(
    normal: str,
    method: str,
    tests: Sequence[StoredActivations],
    anomalous: np.ndarray,
    features: Features,
    options: PaperOptions,
) -> tuple[np.ndarray, Row]:
    """Scores of the test images, float (N,), and what else a row of the method says. anomalous: bool (N,)."""
    adapted = _adapted(normal, method, features, options)
    facts: Row = {"verdict": verdict(adapted.looks)}
    if method == "panda-ses":
        facts["checkpoints"] = list(adapted.steps)
        heads = [AdaptedHead(adapted, "ses-knn", options.knn), AdaptedHead(adapted, "ses-centre")]
        _, scores = through(heads, tests, options.device)
        facts["centre_auroc"] = auroc_of(scores["ses-centre"], anomalous)
        return scores["ses-knn"], facts
    ways = ["exposure", "exposure-knn"] if method == "panda-oe" else ["knn"]
    heads = [AdaptedHead(adapted, way, options.knn) for way in ways]
    bank, _ = through(heads, [features.train(normal)], options.device)
    queries, scores = through(heads, tests, options.device)
    by_neighbours = comparators.nearest_neighbours(bank, queries, options.knn)
    if method != "panda-oe":
        facts["centre_auroc"] = auroc_of(comparators.centre_distance(bank, queries), anomalous)
        return by_neighbours, facts
    facts["knn_auroc"] = auroc_of(by_neighbours, anomalous)
    facts["logit_and_knn_auroc"] = auroc_of(scores["exposure-knn"], anomalous)
    return scores["exposure"], facts


def _adapted(normal: str, method: str, features: Features, options: PaperOptions) -> Adapted:
    others, diagonal = None, None
    if method == "panda-oe":
        exposed = features.exposed(normal)
        if options.outliers is not None:
            groups = [features.made(normal, options.outliers, options.adapt.seed)]
        else:
            groups = [features.train(name) for name in exposed] if exposed else [features.exposure()]
        joined = StoredActivations.joined(groups)
        others = Source(joined, len(joined))
    elif method == "jo":
        stored, classes = features.pretraining()
        others = Source(stored, len(stored), classes)
    elif options.config_of(method).pulled:
        diagonal = fisher.load_or_make(features.backbone, options.fisher, progress=features.progress)
    shared = {"panda-early", "panda-ses"} if "panda-ses" in options.methods else set()
    if method in shared and normal in features.checkpoints:
        adapted = features.checkpoints[normal]
    else:
        held = features.train(normal).in_memory()
        config = options.config_of("panda-ses" if method in shared else method)
        views: list[StoredActivations] = []
        if method == "panda-msc":
            views = [view.in_memory() for view in features.views(normal, config.views, config.seed)]
        source = Source(held, len(held), views=views)
        adapted = adapt(features.backbone, source, config, others=others, fisher=diagonal)
        if method in shared:
            features.checkpoints = {normal: adapted}
    return last_checkpoint(adapted) if method == "panda-early" else adapted


def through(
    heads: Sequence[AdaptedHead], sources: Sequence[StoredActivations], device: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Embeddings (N, D) of all images, and by the name of each head's score its scores (N,), where it gives any.

    The heads differ in how they score alone, so that the first one's networks run for all of them.
    """
    heads = [head.to(device) for head in heads]
    values: list[np.ndarray] = []
    scores: dict[str, list[np.ndarray]] = {}
    with torch.no_grad():
        for source in sources:
            for start in range(0, len(source), _BATCH):
                batch = source.batch(np.arange(start, min(start + _BATCH, len(source))))
                embeddings, _ = heads[0].embedded(batch.to(device))
                values.append(embeddings[:, 0].cpu().numpy())
                for head in heads:
                    score = head.score_of(embeddings)
                    if score is not None:
                        scores.setdefault(head.score, []).append(score.cpu().numpy())
    return np.concatenate(values), {name: np.concatenate(parts) for name, parts in scores.items()}
