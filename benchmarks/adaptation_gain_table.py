"""The rows of `benchmarks.adaptation_gain` as tables, with 95 % intervals of means over classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from benchmarks import tables
from benchmarks.results_file import FOLDER, ResultsFile

_SAYING = """What it says:
- Over all ten classes panda-msc lifts 2-NN on unit embeddings by 1.1 ± 1.0 in 20 steps, on whitened ones by 0.7 ±
  0.5, and on rooted ones by nothing (-0.0 ± 0.7): what it gains is what a better comparison gains without it.
  Between classes it differs much (deer + 3.9 on unit embeddings, bird next to nothing).
- No variant is better than plain panda-msc beyond its interval: on whitened embeddings the loss in the whitened
  metric 0.1 ± 1.0, no angular loss 0.6 ± 0.4, a tenth of the rate 0.1 ± 0.2, a Fisher pull 0.7 ± 0.5, three times
  the steps 0.9 ± 0.6; on rooted ones each is within 0.2 of nothing. panda-early, whitened after: -0.1 ± 0.4. SES
  over msc's checkpoints is 0.2 below its last one's 2-NN on unit embeddings.
- Outliers made of the normal images: w·ψ(x) + 2-NN is between 0.3 (turned) and 3.0 (cut) below 2-NN on unit
  embeddings, and below whitened and rooted 2-NN for every kind.
- MHRot, 73.1, and Deep SVDD, 61.8, learn from the pixels of 300 images in 50 epochs (published: 5,000 images, 200
  and 150 epochs) and are far below 2-NN on pretrained embeddings of 100, as in the paper.
- With 100 images of a class, `rooted` is 0.5 above `whitened` over the ten classes; with 600 it is 1.1
  ([unadapted rules](unadapted_rules.md)). With 600 panda-msc gains as little over it, on test images, too
  ([hundreds](adaptation_hundreds.md)).
- With a stage more and a Fisher pull 5 steps (the half way) gain 0.8 ± 0.7 on whitened and 0.4 ± 1.1 on rooted
  embeddings (deer + 3.4, dog - 2.1), 10 steps 0.8 ± 0.6 and 0.1 ± 1.2.
- Not known: adapted on all 5,000 images; one stage more with hundreds of images."""
_RULES = ("unit", "whitened", "rooted")


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half of its 95 % interval by Student's t; NaN of one value."""
    found = np.array(values)
    if len(found) < 2:
        return float(found.mean()), float("nan")
    return float(found.mean()), float(stats.t.ppf(0.975, len(found) - 1) * stats.sem(found))


def difference(values: Mapping[str, float], others: Mapping[str, float], digits: int = 1) -> str:
    """Mean of the differences of the classes that both have, ± half of its interval."""
    common = [values[name] - others[name] for name in values if name in others]
    if not common:
        return "–"
    mean, half = mean_and_half(common)
    return f"{mean:+.{digits}f} ± {half:.{digits}f}"


def _course(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """Means over the classes of `after`."""
    return f"{np.mean([before[name] for name in after]):.1f} → {np.mean(list(after.values())):.1f}"


def write(rows: ResultsFile) -> None:
    """`adaptation_gain.md`: what was said of the rows, and the rows."""
    found = {name: rows.get(name) for name in rows.names()}
    variants = list(dict.fromkeys(name.rsplit(": ", 1)[0] for name in found))

    def of(variant: str, figure: str) -> dict[str, float]:
        picked = {name.rsplit(": ", 1)[1]: row for name, row in found.items() if name.startswith(f"{variant}: ")}
        return {name: row[figure] for name, row in picked.items() if figure in row}

    lines = []
    for variant in variants:
        cells = []
        for rule in _RULES:
            values, before = of(variant, rule), of("unadapted", rule)
            cells += [_course(before, values), difference(values, before)] if values else ["–", "–"]
        own = of(variant, "own") or of(variant, "ses")
        cells.append(f"{np.mean(list(own.values())):.1f}" if own else "–")
        seconds = [row["processor_s"] for name, row in found.items() if name.startswith(f"{variant}: ")]
        lines.append([variant, str(len(seconds)), *cells, f"{np.mean(seconds):.0f}"])
    first = next(iter(found.values()))
    header = ("", "classes", "2-NN, unit", "gain", "2-NN, whitened", "gain", "2-NN, rooted", "gain",
              "own score", "processor s")  # fmt: skip
    parts = [
        "# What adaptation gains, on validation images",
        f"`python -m benchmarks.adaptation_gain CIFAR10 WORK --train {first['train_images']} --held "
        f"{first['judging_images']}`; EfficientNet-Lite0, 256→224 crop, k = 2, seed 0, frozen part by onnxruntime. "
        f"Trained on the first {first['train_images']} training images of the class, judged on "
        f"{first['judging_images']} images of each of the ten classes, training images from number 1,000 on. "
        "AUROC in percent before → after adaptation, mean over the classes that the row has, in the order of their "
        "names; *gain*: mean of the classes' differences ± half of its 95 % interval (Student's t). "
        "*Own score*: of panda-oe w·ψ(x) + 2-NN, of MHRot and Deep SVDD their own, of the "
        "others SES over the checkpoints half way and at the end.",
    ]
    parts += [_SAYING, tables.table(header, lines)]
    (FOLDER / "adaptation_gain.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
