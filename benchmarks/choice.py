"""What a choice on labels is worth: `python -m benchmarks.choice NAME DATA` → `benchmarks/results/choice.json`.

How many cells a gaussian bank averages over is chosen by pixel AUROC on a random half of the labelled test images, and
judged on the other half. So the choice does not flatter the figure: it is what a user gets who labels as many images.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.results_file import ResultsFile
from panda_edge.images.preprocessing import Preprocessing
from panda_export.export import export_bundle
from panda_export.options import BankOptions, ExportOptions
from panda_train import backbones
from panda_train.data.folders import open_dataset
from panda_train.evaluate import metrics
from panda_train.evaluate.pixel_scores import PixelScores
from panda_train.evaluate.scored import ScoredImage, score_images

AVERAGES = (1, 3, 5, 7)
_SPLITS = 20


def measure(name: str, data: Path, threads: int = 1) -> None:
    dataset, backbone = open_dataset(data), backbones.load(backbones.DEFAULT, None)
    scored: dict[int, list[ScoredImage]] = {}
    for average in AVERAGES:
        with tempfile.TemporaryDirectory() as folder:
            bundle, options = Path(folder) / "x.panda", BankOptions("gaussian", average=average)
            export_bundle(
                bundle, backbone, dataset.train, Preprocessing(224, 224), ExportOptions({"name": "dn2"}, options)
            )
            scored[average] = score_images(bundle, dataset, threads).images
        print(average, _pixel_auroc(scored[average]), flush=True)
    rng, chosen = np.random.default_rng(0), Counter[int]()
    judged: list[tuple[float, float]] = []  # pixel AUROC, image AUROC by the map's maximum
    for _ in range(_SPLITS):
        order = rng.permutation(len(next(iter(scored.values()))))
        for first, second in ((order[0::2], order[1::2]), (order[1::2], order[0::2])):
            best = max(AVERAGES, key=lambda average: _pixel_auroc(_some(scored[average], first)))
            chosen[best] += 1
            other = _some(scored[best], second)
            judged.append((_pixel_auroc(other), _image_auroc(other)))
    pixel, image = np.mean(judged, axis=0)
    ResultsFile("choice").update(
        f"{name}: gaussian",
        averages={str(average): round(_pixel_auroc(images), 4) for average, images in scored.items()},
        chosen={str(average): chosen[average] for average in AVERAGES},
        halves=2 * _SPLITS,
        pixel_auroc_of_other_half=round(float(pixel), 4),
        image_auroc_map_of_other_half=round(float(image), 4),
        spread_over_halves=round(float(np.std([row[0] for row in judged])), 4),
    )


def _some(images: Sequence[ScoredImage], numbers: np.ndarray) -> list[ScoredImage]:
    return [images[number] for number in numbers]


def _pixel_auroc(images: Sequence[ScoredImage]) -> float:
    whole = PixelScores()
    for image in images:
        if image.pixels is not None:
            whole.merge(image.pixels)
    return whole.auroc() or 0.0


def _image_auroc(images: Sequence[ScoredImage]) -> float:
    maxima = np.array([image.raw["max"] for image in images])
    return metrics.auroc(maxima, np.array([image.sample.anomalous for image in images])) or 0.0


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]))
