"""PANDA-Early beside PANDA-EWC when both train four times longer than published, by checkpoint.

`python -m benchmarks.collapse CIFAR10 WORK CLASS…`: raw embeddings, the paper's (Fig. 3). Rows are kept in
`benchmarks/results/collapse.json`, and shown in `collapse.md` and `collapse.png` beside it; nothing is chosen by them.
WORK: a folder for activations. The Fisher diagonal is where `panda-train fisher` puts it.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import tables
from benchmarks.results_file import FOLDER, ResultsFile
from panda_train import backbones
from panda_train.adapt import AdaptConfig, Source, adapt, embeddings, fisher, verdict
from panda_train.evaluate.metrics import auroc
from panda_train.paper import comparators
from panda_train.paper.datasets import open_protocol
from panda_train.paper.features import Features
from panda_train.paper.options import PaperOptions
from panda_train.progress import show

TRAIN, TEST = 600, 200  # images a class, the first so many
STEPS, RATE, EVERY = 232, 0.4, 58  # the product is 4 times that of 2,300 and 0.01
# The last is what λ = 10⁴ would be against a loss that is divided by the embedding's 1,280 dimensions; Eq. 1 is not.
RUNS = {
    "panda-early": AdaptConfig("panda-early"),
    "panda-ewc": AdaptConfig("panda-ewc", ewc=1e4),
    "panda-ewc, λ × 1280": AdaptConfig("panda-ewc", ewc=1.28e7),
}
_SAYING = """![Spread, effective rank and AUROC over the mini-batches](collapse.png)

- Early's spread falls below a quarter of its start on bird, which is what the watch calls a collapse, and stays just
  above on cat and deer. EWC with the published λ crosses that line on none, by 1 to 5 points of spread, and ends 1.5 to
  2.4 points of AUROC (2-NN) above Early: the pull slows the shrinking, it does not stop it.
- With λ times 1,280 the spread is still 55 % at the end, and 2-NN 1.4 to 3.6 points above Early.
- Nothing here falls to a point: the effective rank stays above 92 %. In raw space adaptation costs 2-NN from the first
  steps on; by it, every run ends below where it began."""


def measure(data: Path, work: Path, classes: Sequence[str]) -> None:
    """Fill the rows of the classes that are not there yet."""
    rows = ResultsFile("collapse")
    backbone, options = backbones.load(), PaperOptions(train_images=TRAIN, test_images=TEST)
    features = Features(backbone, open_protocol("cifar10", data), options, work, show)
    diagonal = fisher.load(fisher.default_file(backbone), backbone)
    for normal in classes:
        for run, config in RUNS.items():
            if rows.get(f"{run}: {normal}"):
                continue
            row = _run(features, normal, config, diagonal)
            rows.update(f"{run}: {normal}", **row)
            print(run, normal, row["verdict"], flush=True)
            write(rows, classes)
    write(rows, classes)


def _run(features: Features, normal: str, chosen: AdaptConfig, diagonal: list[Any]) -> dict[str, Any]:
    backbone, train = features.backbone, features.train(normal).in_memory()
    order = [normal, *(name for name in features.protocol.classes if name != normal)]
    tests = [features.test(name) for name in order]
    anomalous = np.repeat(np.arange(len(order)) > 0, [len(test) for test in tests])
    config = replace(chosen, steps=STEPS, learning_rate=RATE, embedding="raw", watch=EVERY)
    steps = list(range(EVERY, STEPS + 1, EVERY))
    pull = diagonal if config.method == "panda-ewc" else None
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
    settings = {
        "ewc": config.ewc if pull else None,
        "steps": STEPS,
        "learning_rate": RATE,
        "seed": config.seed,
        "train_images": TRAIN,
    }
    return {**settings, "test_images": len(anomalous), "verdict": verdict(adapted.looks), "checkpoints": seen}


def write(rows: ResultsFile, classes: Sequence[str]) -> None:
    """A table a class, the runs side by side, and the curves."""
    found = [c for c in classes if all(rows.get(f"{run}: {c}") for run in RUNS)]
    parts = [
        "# Early and EWC, trained four times longer",
        f"`panda-train fisher --batches 25`, `python -m benchmarks.collapse CIFAR10 WORK {' '.join(classes)}`; "
        f"EfficientNet-Lite0, raw embeddings, the first {TRAIN} training and {TEST} test images a class, seed 0. "
        f"{STEPS} steps at a learning rate of {RATE:g} with the gradient clipped at 0.001 go as far as 9,200 at 0.01. "
        "The third run has the λ that 10⁴ would be if the loss were divided by the embedding's dimensions. "
        f"Cells are {' / '.join(RUNS)}: s_t, spread and effective rank in shares of their start; AUROC in percent.",
    ]
    for normal in found:
        runs = [rows.get(f"{run}: {normal}")["checkpoints"] for run in RUNS]
        lines = [_line(looks, runs[0][0]) for looks in zip(*runs, strict=True)]
        header = ("step", "s_t", "spread", "effective rank", "AUROC, 2-NN", "AUROC, centre")
        parts += [f"## {normal}", tables.table(header, lines)]
        parts += ["\n".join(f"- {run}: {rows.get(f'{run}: {normal}')['verdict']}" for run in RUNS)]
    parts.insert(2, _SAYING)
    (FOLDER / "collapse.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    if found:
        _plot(rows, found)


def _line(looks: Sequence[dict[str, Any]], first: dict[str, Any]) -> list[str]:
    shares = [" / ".join(f"{look[name] / first[name]:.2f}" for look in looks) for name in ("s_t", "spread", "rank")]
    aurocs = [" / ".join(f"{look[name]:.1f}" for look in looks) for name in ("knn", "centre")]
    return [str(looks[0]["step"]), *shares, *aurocs]


def _plot(rows: ResultsFile, classes: Sequence[str]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * len(classes), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(classes), sharex=True, sharey="row", squeeze=False)
    for column, normal in enumerate(classes):
        for run, style in zip(RUNS, ("-", "--", ":"), strict=True):
            seen = rows.get(f"{run}: {normal}")["checkpoints"]
            steps = [look["step"] for look in seen]
            for name, colour in (("spread", "tab:blue"), ("rank", "tab:orange")):
                shares = [look[name] / seen[0][name] for look in seen]
                axes[0][column].plot(steps, shares, style, color=colour, label=f"{name}, {run}")
            for name, colour in (("knn", "tab:green"), ("centre", "tab:red")):
                values = [look[name] for look in seen]
                axes[1][column].plot(steps, values, style, color=colour, label=f"{name}, {run}")
        axes[0][column].set_title(normal)
        axes[1][column].set_xlabel("mini-batches")
    axes[0][0].set_ylabel("share of its start")
    axes[1][0].set_ylabel("AUROC, %")
    handles = [handle for row in axes for handle in row[0].get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(RUNS) * 2, fontsize=6, frameon=False)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=90)
    Image.open(drawn).convert("RGB").quantize(32).save(FOLDER / "collapse.png", optimize=True)  # a third of the bytes


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
