"""What adaptation gains over the best unadapted rule: `python -m benchmarks.adaptation_gain CIFAR10 WORK [CLASS…]`.

Each variant is trained on the first training images of a class and judged on training images from the 1,000th on, of
all classes, so that no test image chooses anything. Rows, one a class and variant, are kept in
`benchmarks/results/adaptation_gain.json`, so that a run takes up where it stopped, and shown in `adaptation_gain.md`
beside it. WORK: a folder for activations. --train, --held: how many images a class, of either kind.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.adaptation_gain_table import write
from benchmarks.kept_activations import SIDE, Keeper, Kept
from benchmarks.results_file import ResultsFile
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import ImageLike
from panda_train import backbones
from panda_train.adapt import (
    AdaptConfig,
    Adapted,
    AdaptedHead,
    Source,
    StoredActivations,
    adapt,
    config_of,
    embeddings,
    fisher,
)
from panda_train.adapt.adapted import neighbour_scale
from panda_train.backbones import Backbone
from panda_train.data import augment, outliers
from panda_train.evaluate.metrics import auroc
from panda_train.paper import comparators
from panda_train.paper.adapted_scores import through
from panda_train.paper.datasets import open_protocol
from panda_train.paper.deep_svdd import deep_svdd
from panda_train.paper.mhrot import mhrot

HELD_FROM = 1000  # number of the first training image that judges
EARLY, LATE = 6, 7  # stages where adaptation begins: for `more stages`, and the backbone's own
VIEWS = 3
STEPS = 20
_HALF = STEPS // 2
_FISHER_BATCHES = 8
_EPOCHS = 50  # of MHRot and Deep SVDD; published 200 and 150
_ON_PIXELS_TRAIN = 300  # images that these two are trained on: pixels are cheap
_PIXELS = 32
_MSC = config_of("panda-msc", steps=STEPS, batch=32, views=VIEWS, watch=STEPS)
_OE = AdaptConfig("panda-oe", steps=1)  # the clip lets features move by next to nothing, as cifar10.md says
CONTRASTED = {
    "panda-msc": _MSC,
    "panda-msc, loss in the whitened metric": replace(_MSC, whiten_loss=True),
    "panda-msc, no angular loss": replace(_MSC, angular=0.0),
    "panda-msc, a tenth of the rate": replace(_MSC, learning_rate=_MSC.learning_rate / 10),
    "panda-msc, Fisher pull": replace(_MSC, pull=True),
    "panda-msc, three times the steps": replace(_MSC, steps=3 * STEPS, watch=3 * STEPS),
    "panda-msc, one stage more, Fisher pull": replace(_MSC, pull=True, steps=_HALF, watch=_HALF),
    "panda-early": AdaptConfig("panda-early", steps=STEPS, learning_rate=0.4, watch=STEPS),
}
EXPOSED = {f"panda-oe, outliers {kind}": kind for kind in outliers.KINDS}
ON_PIXELS = {"MHRot": mhrot, "Deep SVDD": deep_svdd}


class Class:
    """The pictures of a class that is normal, with the judges of all classes."""

    def __init__(self, keeper: Keeper, protocol: dict[str, Sequence[ImageLike]], normal: str, train: int, held: int):
        crop = Preprocessing.paper_crop(SIDE, SIDE)
        order = [normal, *(name for name in protocol if name != normal)]
        images = protocol[normal][:train]
        more = protocol[normal][:_ON_PIXELS_TRAIN]
        numbered = [(number, crop.apply(image)) for number, image in enumerate(images)]
        self.train = keeper.keep(f"{normal}-train-{train}", (frame for _, frame in numbered))
        self.views = keeper.keep(f"{normal}-views-{train}-{VIEWS}", augment.copies(numbered, VIEWS, 0))
        self.outliers = {
            kind: keeper.keep(f"{normal}-{kind}-{train}", outliers.made(numbered, kind, 0), with_early=False)
            for kind in outliers.KINDS
            if kind != "made"
        }
        judging = {name: protocol[name][HELD_FROM : HELD_FROM + held] for name in order}
        self.judges = [
            keeper.keep(f"{name}-held-{held}", (crop.apply(image) for image in of_class))
            for name, of_class in judging.items()
        ]
        self.anomalous = np.repeat(np.arange(len(order)) > 0, [len(judge.embeddings) for judge in self.judges])
        small = Preprocessing.paper_crop(_PIXELS, _PIXELS)
        self.pixels = lambda: (
            np.stack([small.apply(image) for image in more]),
            np.stack([small.apply(image) for of_class in judging.values() for image in of_class]),
        )

    def exposed(self, kind: str) -> StoredActivations:
        if kind != "made":
            return self.outliers[kind].late
        # `made` is the three kinds in turn, each by the picture's number.
        parts = [self.outliers[name].late for name in outliers.KINDS if name != "made"]
        turns = [part.batch(np.arange(turn, len(part), len(parts))) for turn, part in enumerate(parts)]
        return StoredActivations(torch.cat(turns).permute(0, 2, 3, 1).contiguous().numpy())


def measure(data: Path, work: Path, classes: Sequence[str], train: int, held: int, only: Sequence[str] = ()) -> None:
    """Fill the rows that are not there yet, variant by variant, so that each soon has all classes."""
    rows = ResultsFile("adaptation_gain")
    protocol = open_protocol("cifar10", data)
    keeper = Keeper(work, EARLY, LATE)
    networks = {cut: backbones.load(adapt_from=cut) for cut in (EARLY, LATE)}
    pulls: dict[int, list[torch.Tensor]] = {}
    every = ("unadapted", *CONTRASTED, *EXPOSED, *ON_PIXELS)
    for variant in [name for name in every if not only or any(name.startswith(prefix) for prefix in only)]:
        for normal in classes or protocol.classes:
            key = f"{variant}: {normal}"
            if rows.get(key):
                continue
            pictures = Class(keeper, dict(protocol.train), normal, train, held)
            started = time.process_time()
            if variant in CONTRASTED:
                cut = EARLY if "one stage more" in variant else LATE
                if CONTRASTED[variant].pulled and not pulls:
                    pulls = diagonals(networks[EARLY], networks[LATE], work)
                found = _contrasted(networks[cut], pictures, CONTRASTED[variant], cut, pulls.get(cut))
            elif variant in EXPOSED:
                found = _exposed(networks[LATE], pictures, EXPOSED[variant])
            elif variant in ON_PIXELS:
                scores = ON_PIXELS[variant](*pictures.pixels(), epochs=_EPOCHS)
                found = {"own": _percent(scores, pictures.anomalous)}
            else:
                found = _by_rules(pictures.train.embeddings, _joined(pictures.judges), pictures.anomalous)
            seconds = round(time.process_time() - started, 1)
            rows.update(key, **found, train_images=train, judging_images=held, seed=0, processor_s=seconds)
            print(key, rows.get(key), flush=True)
            write(rows)


def _contrasted(
    backbone: Backbone, pictures: Class, config: AdaptConfig, cut: int, diagonal: list[torch.Tensor] | None
) -> dict[str, Any]:
    """Figures of every rule half way and at the end, and of SES over the two."""

    def of(kept: Kept) -> StoredActivations:
        return kept.early if cut == EARLY else kept.late

    own = of(pictures.train)
    views = of(pictures.views).views(VIEWS) if config.method == "panda-msc" else []
    halves = sorted({config.total_steps(len(own)) // 2, config.total_steps(len(own))})
    source = Source(own, len(own), views=views)
    adapted = adapt(backbone, source, config, fisher=diagonal if config.pulled else None, checkpoints=halves)
    banks = [embeddings(head, own, unit=False).numpy() for head in adapted.heads]
    asked = [np.concatenate([embeddings(head, of(judge), unit=False).numpy() for judge in pictures.judges])
             for head in adapted.heads]  # fmt: skip
    courses = [_by_rules(bank, queries, pictures.anomalous) for bank, queries in zip(banks, asked, strict=True)]
    found = {**courses[-1], "half way": courses[0]}
    ratios = [comparators.nearest_neighbours(unit(bank), unit(queries)) / neighbour_scale(unit(bank), 2)
              for bank, queries in zip(banks, asked, strict=True)]  # fmt: skip
    return {**found, "ses": _percent(np.max(ratios, axis=0), pictures.anomalous)}


def _exposed(backbone: Backbone, pictures: Class, kind: str) -> dict[str, Any]:
    """Figures of w·ψ(x), of 2-NN added to it, and of the rules on the adapted features."""
    own, made = pictures.train.late, pictures.exposed(kind)
    adapted: Adapted = adapt(backbone, Source(own, len(own)), _OE, others=Source(made, len(made)))
    heads = [AdaptedHead(adapted, score) for score in ("exposure", "exposure-knn")]
    asked, scores = through(heads, [judge.late for judge in pictures.judges], "cpu")
    bank, _ = through(heads[:1], [own], "cpu")
    figures = {score: _percent(values, pictures.anomalous) for score, values in scores.items()}
    return {**_by_rules(bank, asked, pictures.anomalous), "own": figures["exposure-knn"], "w": figures["exposure"]}


def _by_rules(bank: np.ndarray, asked: np.ndarray, anomalous: np.ndarray) -> dict[str, float]:
    return {
        "unit": _percent(comparators.nearest_neighbours(unit(bank), unit(asked)), anomalous),
        "whitened": _percent(comparators.whitened_neighbours(unit(bank), unit(asked)), anomalous),
        "rooted": _percent(comparators.rooted_neighbours(bank, asked), anomalous),
    }


def diagonals(early: Backbone, late: Backbone, work: Path) -> dict[int, list[torch.Tensor]]:
    """Fisher diagonals of both cuts, kept in `work`: that of the later one is the earlier one's end."""
    file = work / "fisher.pt"
    values = fisher.load(file, early) if file.exists() else fisher.compute(early, file, SIDE, _FISHER_BATCHES)
    return {EARLY: values, LATE: values[-len(list(late.adaptable.parameters())) :]}


def _joined(judges: Sequence[Kept]) -> np.ndarray:
    return np.concatenate([judge.embeddings for judge in judges])


def unit(values: np.ndarray) -> np.ndarray:
    """(N, D), each of length 1."""
    length: np.ndarray = np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    return np.asarray(values / length, np.float32)


def _percent(scores: np.ndarray, anomalous: np.ndarray) -> float:
    return round(100 * (auroc(scores, anomalous) or 0.0), 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adaptation_gain")
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("classes", nargs="*")
    parser.add_argument("--train", type=int, default=100)
    parser.add_argument("--held", type=int, default=40)
    parser.add_argument("--only", action="append", default=[], help="variants whose names begin so")
    given = parser.parse_args()
    measure(given.data, given.work, given.classes, given.train, given.held, given.only)
