"""Rooted embeddings of several views of a picture, nothing adapted: `python -m benchmarks.view_rules WORK`.

WORK: what `python -m benchmarks.pooled_views` filled. Every rule is judged on validation images, training images 1,000
to 1,200 of all ten classes; of each cost, in passes of the network, the best by these is judged on test images, too, as
are flips of the crop. Rows are kept in `benchmarks/results/view_rules.json`, and shown in `view_rules.md` beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pooled_views import POOLED, file_of
from benchmarks.results_file import ResultsFile
from benchmarks.view_rules_table import write
from panda_train import backbones
from panda_train.adapt import whiten
from panda_train.evaluate.metrics import auroc

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LITE0, LITE1, LITE2 = (f"efficientnet-lite{number}" for number in range(3))
CROP, WHOLE = ("crop224", "crop224m"), ("whole224", "whole224m")
_KNN = 2


@dataclass(frozen=True)
class Rule:
    """Distances of every group added: (backbone, views), the views each searched among all of the group's.

    averaged: the views' roots are averaged to one embedding instead. scatter: of a picture's views about their mean,
    added to the covariance so many times. classifier: exponent of WᵀW, W the classifier's weights, by whose root the
    embedding is multiplied before whitening, so that directions count as they do for the pre-training's classes.
    pooled: how the last feature map becomes an embedding. shared: share of the covariance that is the mean of the other
    classes', which one class does not have. others: exponent of the other classes' covariance in place of WᵀW's, for
    reference. tested: whether test images are judged.
    """

    groups: Sequence[tuple[str, Sequence[str]]]
    averaged: bool = False
    stored: bool = True
    scatter: float = 0.0
    classifier: float = 0.0
    pooled: Sequence[str] = field(default=("mean",))
    shared: float = 0.0
    others: float = 0.0
    tested: bool = False


def lite0(*groups: Sequence[str], **more: Any) -> Rule:
    return Rule([(LITE0, views) for views in groups], **more)


_POOLINGS = (("mean of roots",), ("spread",), ("highest",), ("mean", "spread"), ("mean", "mean of roots"))
RULES: dict[str, Rule] = {
    "crop (`rooted` of the other tables)": lite0(CROP[:1], tested=True),
    "crop, roots of both flips averaged": lite0(CROP, averaged=True),
    "crop, both flips' distances added": lite0(CROP, stored=False),
    "crop, both flips stored and added": lite0(CROP, tested=True),
    "the same, scatter within a picture added once": lite0(CROP, scatter=1.0),
    "the same, scatter within a picture added five times": lite0(CROP, scatter=5.0),
    **{f"the same, {' and '.join(names)} pooled": lite0(CROP, pooled=names) for names in _POOLINGS},
    "crop at 160": lite0(("crop160",)),
    "crop at 288": lite0(("crop288",)),
    "whole": lite0(WHOLE[:1], tested=True),
    "whole at 192": lite0(("whole192",)),
    "whole at 256": lite0(("whole256",)),
    "whole, classifier's metric, exponent 0.25": lite0(WHOLE[:1], classifier=0.25),
    "whole, classifier's metric": lite0(WHOLE[:1], classifier=0.5, tested=True),
    "whole, classifier's metric, exponent 1": lite0(WHOLE[:1], classifier=1.0),
    "whole, half of the whitening shared by all classes": lite0(WHOLE[:1], shared=0.5),
    "whole, whitening shared by all classes": lite0(WHOLE[:1], shared=1.0),
    "whole, the other classes' covariance, exponent 0.5": lite0(WHOLE[:1], others=0.5),
    "whole, both flips": lite0(WHOLE),
    "whole, both flips, classifier's metric": lite0(WHOLE, classifier=0.5),
    "crop + whole": lite0(CROP[:1], WHOLE[:1]),
    "whole + crop at 160, classifier's metric": lite0(WHOLE[:1], ("crop160",), classifier=0.5, tested=True),
    "crop + whole, both flips": lite0(CROP, WHOLE),
    "crop + whole, both flips, classifier's metric": lite0(CROP, WHOLE, classifier=0.5),
    "crop + whole, both flips, + crop at 160": lite0(CROP, WHOLE, ("crop160",)),
    "crop + whole, both flips, + crop at 160, classifier's metric": lite0(
        CROP, WHOLE, ("crop160",), classifier=0.5, tested=True
    ),
    "lite1: whole": Rule([(LITE1, WHOLE[:1])]),
    "lite1: whole, classifier's metric": Rule([(LITE1, WHOLE[:1])], classifier=0.5),
    "lite0 + lite1: whole": Rule([(LITE0, WHOLE[:1]), (LITE1, WHOLE[:1])]),
    "lite0 + lite1: whole, classifier's metric": Rule(
        [(LITE0, WHOLE[:1]), (LITE1, WHOLE[:1])], classifier=0.5, tested=True
    ),
    "lite0 + lite1 + lite2: whole, classifier's metric": Rule(
        [(name, WHOLE[:1]) for name in (LITE0, LITE1, LITE2)], classifier=0.5, tested=True
    ),
    "lite0 + lite1 + lite2: whole, + lite0, crop at 160, classifier's metric": Rule(
        [*((name, WHOLE[:1]) for name in (LITE0, LITE1, LITE2)), (LITE0, ("crop160",))], classifier=0.5, tested=True
    ),
}


def measure(folder: Path) -> None:
    """Fill the rows that are not there yet and whose files are."""
    rows = ResultsFile("view_rules")
    for name, rule in RULES.items():
        for part in ("validation", "test") if rule.tested else ("validation",):
            if rows.get(name).get(part) or not _there(folder, rule, part):
                continue
            figures = {normal: _figure(folder, rule, part, normal) for normal in CLASSES}
            passes = [[backbone, view] for backbone, views in rule.groups for view in views]
            rows.update(name, passes=passes, **{part: figures})
            print(f"{name}, {part}: {np.mean(list(figures.values())):.2f}", flush=True)
            write(rows, list(RULES))


def _figure(folder: Path, rule: Rule, part: str, normal: str) -> float:
    total = np.zeros(0)
    for backbone, views in rule.groups:
        found = _distances(folder, rule, backbone, views, part, normal)
        total = found if not total.size else total + found
    judges = len(total) // len(CLASSES)
    return round(100 * (auroc(total, np.repeat([name != normal for name in CLASSES], judges)) or 0.0), 2)


def _distances(folder: Path, rule: Rule, backbone: str, views: Sequence[str], part: str, normal: str) -> np.ndarray:
    """Mean over the views of the 2-NN distance of whitened embeddings, of all classes' images: (N,)."""
    own = [_embedded(folder, rule, backbone, view, "train", normal) for view in views]
    asked = [np.concatenate([_embedded(folder, rule, backbone, view, part, name) for name in CLASSES])
             for view in views]  # fmt: skip
    if rule.others:
        foreign = [_embedded(folder, rule, backbone, views[0], "train", name) for name in CLASSES if name != normal]
        stretched = _power(np.cov(np.concatenate(foreign).T), rule.others)
        own, asked = ([values @ stretched for values in found] for found in (own, asked))
    if rule.averaged:
        own, asked = ([_unit(np.mean(values, axis=0))] for values in (own, asked))
    bank = np.concatenate(own if rule.stored else own[:1])
    if rule.scatter or rule.shared:
        mean, matrix = bank.mean(axis=0), _changed_whitening(folder, rule, backbone, views, own, normal)
    else:
        whitening = whiten(bank, 1.0)
        mean, matrix = whitening.mean, whitening.matrix
    white = (bank - mean) @ matrix
    return np.asarray(np.mean([_nearest(white, (queries - mean) @ matrix) for queries in asked], axis=0))


def weighted_neighbours(normal: np.ndarray, queries: np.ndarray, backbone: str = LITE0) -> np.ndarray:
    """2-NN distance of rooted embeddings, (N, D) and (Q, D) raw, in the classifier's metric: (Q,)."""
    own, asked = (_unit(np.sqrt(values.clip(min=0))) @ _gram(backbone, 0.5) for values in (normal, queries))
    whitening = whiten(own, 1.0)
    return _nearest(*((values - whitening.mean) @ whitening.matrix for values in (own, asked)))


def _changed_whitening(
    folder: Path, rule: Rule, backbone: str, views: Sequence[str], own: Sequence[np.ndarray], normal: str
) -> np.ndarray:
    covariance = np.cov(np.concatenate(own).T)
    if rule.scatter:
        apart = np.concatenate([values - np.mean(own, axis=0) for values in own])
        covariance = covariance + rule.scatter * apart.T @ apart / (len(apart) * (1 - 1 / len(own)))
    if rule.shared:
        scatters = [np.cov(_embedded(folder, rule, backbone, views[0], "train", name).T)
                    for name in CLASSES if name != normal]  # fmt: skip
        covariance = (1 - rule.shared) * covariance + rule.shared * np.mean(scatters, axis=0)
    variances, directions = np.linalg.eigh(covariance)
    return np.asarray(directions / np.sqrt(variances.clip(min=0) + variances.mean()), np.float32)


def _nearest(bank: np.ndarray, queries: np.ndarray) -> np.ndarray:
    squared = np.square(queries).sum(axis=1)[:, None] + np.square(bank).sum(axis=1) - 2 * queries @ bank.T
    return np.asarray(np.partition(squared, _KNN - 1, axis=1)[:, :_KNN].mean(axis=1))


@lru_cache(maxsize=400)
def _pooled(folder: Path, backbone: str, view: str, part: str, name: str, number: int) -> np.ndarray:
    return np.ascontiguousarray(np.load(file_of(folder, backbone, view, part, name))[:, number])


def _embedded(folder: Path, rule: Rule, backbone: str, view: str, part: str, name: str) -> np.ndarray:
    kept = [_pooled(folder, backbone, view, part, name, POOLED.index(what)) for what in rule.pooled]
    values = np.concatenate([_unit(np.sqrt(v.clip(min=0))) for v in kept], axis=1)
    return values @ _gram(backbone, rule.classifier) if rule.classifier else values


@lru_cache
def _gram(backbone: str, exponent: float) -> np.ndarray:
    weight = backbones.load(backbone).classifier.weight.detach().numpy()
    return _power(weight.T @ weight, exponent)


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """(D, D) to exponent / 2; directions without any variance keep next to none."""
    variances, directions = np.linalg.eigh(matrix)
    scaled = (variances / variances.mean()).clip(min=1e-9 * variances.max() / variances.mean())
    return np.asarray((directions * scaled ** (exponent / 2)) @ directions.T, np.float32)


def _unit(values: np.ndarray) -> np.ndarray:
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True).clip(min=1e-12), np.float32)


def _there(folder: Path, rule: Rule, part: str) -> bool:
    return all(
        file_of(folder, backbone, view, of, name).exists()
        for backbone, views in rule.groups for view in views for of in ("train", part) for name in CLASSES
    )  # fmt: skip


if __name__ == "__main__":
    measure(Path(sys.argv[1]))
