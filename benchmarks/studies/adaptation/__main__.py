"""panda-msc with hundreds of images: `python -m benchmarks.studies.adaptation CIFAR10 WORK [CLASS…]`.

The first 600 training images of a class, whole at 224 × 224, are adapted to and stored; judged are validation images
(training images 1,000 to 1,200 of all classes), by which steps and rule are chosen, and the first 200 test
images of each class. Rows, one a class, variant and seed, are kept in `benchmarks/studies/adaptation/results.json`,
so that a run takes up where it stopped. WORK: a folder for activations. --only: variants, --seed: seeds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.lib.results_file import ResultsFile
from benchmarks.studies.adaptation.kept_activations import SIDE, Keeper, Kept
from benchmarks.studies.adaptation.table import write
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import ImageLike
from panda_train import backbones
from panda_train.adapt import Source, adapt, config_of, embeddings
from panda_train.data import augment
from panda_train.evaluation.metrics import auroc
from panda_train.paper import comparators
from panda_train.paper.datasets import Protocol, open_protocol

TRAIN, JUDGES, VIEWS = 600, 200, 4
HELD_FROM = 1000  # number of the first training image that judges
EARLY, LATE = 6, 7  # stages before which the network is cut: one stage more, and the backbone's own
_MSC = config_of("panda-msc", views=VIEWS, steps=200, watch=200)  # batch 64, rate 0.001: the defaults
_COURSE = (10, 30, 60, 200)  # steps after which the embeddings are judged
VARIANTS = {
    "default": _MSC,
    "30 steps": replace(_MSC, steps=30, watch=30),
}
RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "unit": lambda bank, asked: comparators.nearest_neighbours(unit(bank), unit(asked)),
    "whitened": lambda bank, asked: comparators.whitened_neighbours(unit(bank), unit(asked)),
    "rooted": comparators.rooted_neighbours,
}


def measure(data: Path, work: Path, classes: Sequence[str], seeds: Sequence[int], variants: Sequence[str]) -> None:
    """Fill the rows that are not there yet."""
    rows = ResultsFile("studies/adaptation/results")
    protocol = open_protocol("cifar10", data)
    keeper = Keeper(work, EARLY, LATE)
    backbone = backbones.load()
    for seed in seeds:
        for normal in classes or protocol.classes:
            for variant in variants:
                key = f"{variant}, seed {seed}: {normal}"
                if rows.get(key):
                    continue
                asked = {what: _judges(keeper, protocol, what) for what in ("validation", "test")}
                anomalous = np.repeat([name != normal for name in protocol.classes], JUDGES)
                own = keeper.keep(f"whole-train-{normal}", _whole(protocol.train[normal][:TRAIN]), with_early=False)
                started = time.process_time(), time.perf_counter()
                views = _views(keeper, protocol, normal, seed)
                config = replace(VARIANTS[variant], seed=seed)
                source = Source(own.late, TRAIN, views=views.late.views(VIEWS))
                course = [step for step in _COURSE if step <= config.steps]
                adapted = adapt(backbone, source, config, checkpoints=course)
                took = time.process_time() - started[0], time.perf_counter() - started[1]
                raw = {w: _raw(kept) for w, kept in asked.items()}
                before = {w: comparators.rooted_neighbours(own.embeddings, values) for w, values in raw.items()}
                found = {"0": _figures(own.embeddings, raw, before, anomalous)}
                for step, head in zip(adapted.steps, adapted.heads, strict=True):
                    bank = embeddings(head, own.late, unit=False).numpy()
                    queries = {w: np.concatenate([embeddings(head, k.late, unit=False).numpy() for k in kept])
                               for w, kept in asked.items()}  # fmt: skip
                    found[str(step)] = _figures(bank, queries, before, anomalous)
                rows.update(key, variant=variant, seed=seed, normal=normal, after=found,
                            processor_s=round(took[0], 1), seconds=round(took[1], 1))  # fmt: skip
                print(key, round(took[0]), {s: f["validation"] for s, f in found.items()}, flush=True)
                write(rows)


def _whole(images: Sequence[ImageLike]) -> list[np.ndarray]:
    squash = Preprocessing(SIDE, SIDE)
    return [squash.apply(image) for image in images]


def _judges(keeper: Keeper, protocol: Protocol, what: str) -> list[Kept]:
    first, of = (HELD_FROM, protocol.train) if what == "validation" else (0, protocol.test)
    return [
        keeper.keep(f"whole-{what}-{name}", _whole(of[name][first : first + JUDGES]), with_early=False)
        for name in protocol.classes
    ]


def _views(keeper: Keeper, protocol: Protocol, normal: str, seed: int) -> Kept:
    frames = enumerate(_whole(protocol.train[normal][:TRAIN]))
    return keeper.keep(f"whole-views-{normal}-{seed}", augment.copies(frames, VIEWS, seed), with_early=False)


def _raw(kept: Sequence[Kept]) -> np.ndarray:
    return np.concatenate([one.embeddings for one in kept])


def _figures(
    bank: np.ndarray, asked: dict[str, np.ndarray], before: dict[str, np.ndarray], anomalous: np.ndarray
) -> dict[str, dict[str, float]]:
    """before: rooted distances by the pretrained embeddings, to which the rule `added` adds those of the adapted."""
    found = {}
    for what, queries in asked.items():
        scores = {name: rule(bank, queries) for name, rule in RULES.items()}
        scores["added"] = scores["rooted"] + before[what]
        found[what] = {name: round(100 * (auroc(values, anomalous) or 0.0), 2) for name, values in scores.items()}
    return found


def unit(values: np.ndarray) -> np.ndarray:
    """(N, D), each of length 1."""
    length: np.ndarray = np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    return np.asarray(values / length, np.float32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.adaptation")
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("classes", nargs="*")
    parser.add_argument("--seed", type=int, action="append", default=[])
    parser.add_argument("--only", action="append", default=[], choices=list(VARIANTS))
    given = parser.parse_args()
    measure(given.data, given.work, given.classes, given.seed or [0], given.only or list(VARIANTS))
