"""A provider beside onnxruntime's own processor code: `python -m benchmarks.speed.providers NAME BUNDLE DATA`.

NAME is one of `panda_edge.bundle.model.PROVIDERS`; the installed onnxruntime must have it. First the answers, of
all test pictures of DATA: the largest difference of embeddings, levels and image scores, as a share of the largest
magnitude, and how many verdicts differ. Then the network's milliseconds, in turns in one run. Rows go to
`benchmarks/speed/results/providers.json`. Exit code 1 where a verdict differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import panda_edge
from benchmarks.lib.conditions import PACKAGES, conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.model import PROVIDERS, Model, default_threads
from panda_edge.detector import MODEL_FILE
from panda_train.data.folders import open_dataset

_TURNS = 40  # frames of each, in turns
_FEATURES_OF = 16  # pictures whose features are compared


def answers(name: str, bundle: Path, pictures: Sequence[Path]) -> dict[str, Any]:
    """How far the provider's scores and verdicts are from the default's."""
    usual, other = panda_edge.load(bundle), panda_edge.load(bundle, provider=name)
    scores: list[tuple[float, float]] = []
    flipped = 0
    for path in pictures:
        pair = usual.segment(path), other.segment(path)
        scores.append((pair[0].score, pair[1].score))
        flipped += pair[0].anomalous != pair[1].anomalous
    found = np.array(scores)
    return {
        "pictures": len(pictures),
        "verdicts_that_differ": int(flipped),
        "score_difference": float(f"{np.abs(found[:, 0] - found[:, 1]).max() / np.abs(found[:, 0]).max():.1e}"),
    }


def network(name: str, bundle: Path, pictures: Sequence[Path]) -> dict[str, Any]:
    """Differences of the network's outputs, and its time beside the default's."""
    opened = open_bundle(bundle)
    path, preprocessing = opened.checked_file(MODEL_FILE), opened.manifest.preprocessing
    usual, other = (Model(path, default_threads(), provider) for provider in ("cpu", name))
    frames = [preprocessing.apply(picture)[None] for picture in pictures[:: max(1, len(pictures) // _FEATURES_OF)]]
    worst = 0.0
    for frame in frames:
        a, b = usual.run(frame), other.run(frame)
        for one, two in zip((a.embedding, *a.levels), (b.embedding, *b.levels), strict=True):
            worst = max(worst, float(np.abs(one - two).max() / np.abs(one).max()))
    times: list[list[float]] = [[], []]
    for turn in range(_TURNS):
        for model, taken in zip((usual, other), times, strict=True):
            started = time.perf_counter()
            model.run(frames[turn % len(frames)])
            taken.append((time.perf_counter() - started) * 1e3)
    p50 = [float(np.median(taken)) for taken in times]
    return {
        "feature_difference": float(f"{worst:.1e}"),
        "network_ms": {"cpu": round(p50[0], 1), name: round(p50[1], 1)},
        "time_over_cpu": round(float(np.quantile(times[1], 0.25) / np.quantile(times[0], 0.25)), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[name for name in PROVIDERS if name != "cpu"])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    given = parser.parse_args()
    pictures = [sample.path for sample in open_dataset(given.data).test]
    row = {**network(given.name, given.bundle, pictures), **answers(given.name, given.bundle, pictures)}
    facts = conditions(default_threads(), PACKAGES)
    facts["versions"]["onnxruntime"] = onnxruntime.__version__
    rows = ResultsFile("speed/results/providers")
    rows.update(f"{given.name}: {given.data.name}", **row, conditions=facts)
    say(f"{given.name}: {row}")
    sys.exit(1 if row["verdicts_that_differ"] else 0)


if __name__ == "__main__":
    main()
