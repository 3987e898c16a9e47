"""PANDA-Early beside PANDA-EWC when both train four times longer than published, by checkpoint.

`python -m benchmarks.collapse CIFAR10 WORK CLASS…`: raw embeddings, the paper's (Fig. 3). Rows are kept in
`benchmarks/results/collapse.json`, and shown in `collapse.md` and `collapse.png` beside it; nothing is chosen by them.
WORK: a folder for activations. The Fisher diagonal is where `panda-train fisher` puts it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import tables
from benchmarks.results_file import FOLDER, ResultsFile
from panda_edge.images import ImageLike, Preprocessing
from panda_train import backbones, comparators, fisher
from panda_train.adapt import AdaptConfig, Source, StoredActivations, adapt, embeddings, store, verdict
from panda_train.backbones import Backbone
from panda_train.metrics import auroc
from panda_train.paper_datasets import Protocol, open_protocol

TRAIN, TEST = 600, 200  # images a class, the first so many
STEPS, RATE, EVERY = 232, 0.4, 29  # the product is 4 times that of 2,300 and 0.01
METHODS = ("panda-early", "panda-ewc")
_SIZE = 224


def measure(data: Path, work: Path, classes: Sequence[str]) -> None:
    """Fill the rows of the classes that are not there yet."""
    rows = ResultsFile("collapse")
    backbone, protocol = backbones.load(), open_protocol("cifar10", data)
    diagonal = fisher.load(fisher.default_file(backbone), backbone)
    for normal in classes:
        for method in METHODS:
            if rows.get(f"{method}: {normal}"):
                continue
            row = _run(backbone, protocol, work, normal, method, diagonal)
            rows.update(f"{method}: {normal}", **row)
            print(method, normal, row["verdict"], flush=True)
            write(rows, classes)
    write(rows, classes)


def _run(
    backbone: Backbone, protocol: Protocol, work: Path, normal: str, method: str, diagonal: list[Any]
) -> dict[str, Any]:
    train = _activations(backbone, protocol.train[normal][:TRAIN], work / f"train-{normal}-{TRAIN}.npy")
    order = [normal, *(name for name in protocol.classes if name != normal)]
    tests = [_activations(backbone, protocol.test[name][:TEST], work / f"test-{name}-{TEST}.npy") for name in order]
    anomalous = np.repeat(np.arange(len(order)) > 0, [len(test) for test in tests])
    config = AdaptConfig(method, steps=STEPS, learning_rate=RATE, embedding="raw", watch=EVERY)
    steps = list(range(EVERY, STEPS + 1, EVERY))
    pull = diagonal if method == "panda-ewc" else None
    adapted = adapt(backbone, Source(train, len(train)), config, fisher=pull, checkpoints=steps)
    seen = []
    for head, look in zip([backbone.adaptable, *adapted.heads], adapted.looks, strict=True):
        bank = embeddings(head, train, unit=False).numpy()
        queries = np.concatenate([embeddings(head, test, unit=False).numpy() for test in tests])
        scores = {"knn": comparators.nearest_neighbours(bank, queries)}
        scores["centre"] = comparators.centre_distance(bank, queries)
        figures = {name: round(100 * (auroc(values, anomalous) or 0.0), 2) for name, values in scores.items()}
        shown = {name: round(getattr(look, name), 4) for name in ("s_t", "held_out", "spread", "rank", "drift")}
        seen.append({"step": look.step, **shown, **figures})
    settings = {"steps": STEPS, "learning_rate": RATE, "seed": config.seed, "train_images": TRAIN}
    return {**settings, "test_images": len(anomalous), "verdict": verdict(adapted.looks), "checkpoints": seen}


def _activations(backbone: Backbone, images: Sequence[ImageLike], file: Path) -> StoredActivations:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        crop = Preprocessing.paper_crop(_SIZE, _SIZE)
        store(backbone, (crop.apply(image) for image in images), len(images), file=part)
        os.replace(part, file)
    return StoredActivations(np.load(file))


def write(rows: ResultsFile, classes: Sequence[str]) -> None:
    """A table a class, Early and EWC side by side, and the curves."""
    found = [c for c in classes if all(rows.get(f"{method}: {c}") for method in METHODS)]
    parts = [
        "# Four times longer: Early collapses, EWC does not",
        f"`panda-train fisher --batches 25`, `python -m benchmarks.collapse CIFAR10 WORK {' '.join(classes)}`; "
        f"EfficientNet-Lite0, raw embeddings, the first {TRAIN} training and {TEST} test images a class, seed 0. "
        f"{STEPS} steps at a learning rate of {RATE:g} with the gradient clipped at 0.001 go as far as 9,200 at 0.01. "
        "Cells are Early / EWC; s_t, spread and effective rank in shares of their start; AUROC in percent.",
    ]
    for normal in found:
        both = [rows.get(f"{method}: {normal}")["checkpoints"] for method in METHODS]
        lines = [_line(early, ewc, both[0][0]) for early, ewc in zip(*both, strict=True)]
        header = ("step", "s_t", "spread", "effective rank", "AUROC, 2-NN", "AUROC, centre")
        parts += [f"## {normal}", tables.table(header, lines)]
        parts += [f"- {method}: {rows.get(f'{method}: {normal}')['verdict']}" for method in METHODS]
    (FOLDER / "collapse.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    if found:
        _plot(rows, found)


def _line(early: dict[str, Any], ewc: dict[str, Any], first: dict[str, Any]) -> list[str]:
    shares = [f"{early[name] / first[name]:.2f} / {ewc[name] / first[name]:.2f}" for name in ("s_t", "spread", "rank")]
    return [str(early["step"]), *shares, *(f"{early[name]:.1f} / {ewc[name]:.1f}" for name in ("knn", "centre"))]


def _plot(rows: ResultsFile, classes: Sequence[str]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * len(classes), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(classes), sharex=True, sharey="row", squeeze=False)
    for column, normal in enumerate(classes):
        for method, style in zip(METHODS, ("-", "--"), strict=True):
            seen = rows.get(f"{method}: {normal}")["checkpoints"]
            steps = [look["step"] for look in seen]
            for name, colour in (("spread", "tab:blue"), ("rank", "tab:orange")):
                shares = [look[name] / seen[0][name] for look in seen]
                axes[0][column].plot(steps, shares, style, color=colour, label=f"{name}, {method}")
            for name, colour in (("knn", "tab:green"), ("centre", "tab:red")):
                axes[1][column].plot(
                    steps, [look[name] for look in seen], style, color=colour, label=f"{name}, {method}"
                )
        axes[0][column].set_title(normal)
        axes[1][column].set_xlabel("mini-batches")
    axes[0][0].set_ylabel("share of its start")
    axes[1][0].set_ylabel("AUROC, %")
    for row in axes:
        row[0].legend(frameon=False, fontsize=7)
    figure.savefig(FOLDER / "collapse.png", dpi=80)


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
