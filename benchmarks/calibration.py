"""Does the promised false-alarm rate hold? `python -m benchmarks.calibration NAME X.panda DATA`.

Twice: of the bundle's decisions on the test set's normal images, by every rule; and over 200 random refits of DN2's
image score (PANDA §2.2) on the data set's normal images, each drawn anew into bank, held-out and new images.
Written to `benchmarks/results/calibration.json`, and as tables to `calibration.md` beside it.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import panda_edge
from benchmarks import tables
from benchmarks.results_file import FOLDER, ResultsFile
from panda_edge.bundle.folder import open_bundle
from panda_edge.decide.calibration import RULES, SCORES, Calibration, open_calibration
from panda_edge.search import kernel
from panda_train.data.folders import Dataset, open_dataset
from panda_train.evaluate.metrics import auroc, binomial_interval
from panda_train.evaluate.scored import score_images

RATES = (0.01, 0.05, 0.1)
_REFITS = 200
_KNN = 2


def decisions(bundle: Path, dataset: Dataset, threads: int) -> dict[str, Any]:
    """By rule and rate: false alarms among normal test images with their 95 % interval, and anomalous ones found."""
    calibration = open_calibration(open_bundle(bundle))
    if calibration is None:
        raise SystemExit(f"{bundle} is not calibrated")
    images = score_images(bundle, dataset, threads).images
    anomalous = np.array([image.sample.anomalous for image in images])
    found: dict[str, Any] = {"held_out_images": calibration.images}
    for rule in RULES:
        scores = np.array([calibration.score(image.raw, rule) for image in images])
        p_values = np.array([calibration.p_value(image.raw, rule) for image in images])
        found[rule] = {"image_auroc": round(auroc(scores, anomalous) or math.nan, 4)}
        for rate in RATES:
            called = np.array([calibration.is_anomalous(p, rate) for p in p_values])
            alarms, normal = int(called[~anomalous].sum()), int((~anomalous).sum())
            interval = binomial_interval(alarms, normal)
            assert interval is not None
            found[rule][f"at {rate}"] = {
                "promised": calibration.promised(rate),
                "false_alarms": alarms,
                "normal_images": normal,
                "fpr_interval": [round(edge, 4) for edge in interval],
                "holds_target": interval[0] <= calibration.promised(rate),
                "tpr": round(float(called[anomalous].mean()), 4),
            }
    return found


def refits(embeddings: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """False alarms of DN2 over random refits, embeddings float32 (N, D) of normal images.

    By rate: the observed share, and the 99.9 % bounds that follow from the promise (beta-binomial, each refit's new
    images sharing a threshold; refits drawn from the same N images are taken as independent).
    """
    rng, n = np.random.default_rng(seed), len(embeddings)
    bank, held = n // 2, n // 5
    new = n - bank - held
    alarms = dict.fromkeys(RATES, 0)
    for _ in range(_REFITS):
        order = rng.permutation(n)
        squared, _ = kernel.topk(embeddings[order[bank:]], embeddings[order[:bank]], _KNN)
        scores = squared.mean(axis=1).astype(np.float64)
        calibration = Calibration("embedding", dict.fromkeys(SCORES, scores[:held]))
        for rate in RATES:
            alarms[rate] += int((scores[held:] > calibration.threshold(rate)).sum())
    found: dict[str, Any] = {"refits": _REFITS, "bank": bank, "held_out": held, "new": new}
    for rate in RATES:
        k = max(math.floor(rate * (held + 1) + 1e-9), 1)
        one = stats.betabinom(new, k, held + 1 - k)
        expected, spread = one.mean() / new, 3.29 * one.std() / new / math.sqrt(_REFITS)
        share = alarms[rate] / _REFITS / new
        found[f"at {rate}"] = {
            "observed": round(share, 5),
            "expected": round(expected, 5),
            "bounds": [round(expected - spread, 5), round(expected + spread, 5)],
            "within": bool(abs(share - expected) <= spread),
        }
    return found


def measure(name: str, bundle: Path, data: Path, threads: int = 1) -> None:
    dataset = open_dataset(data)
    rows = ResultsFile("calibration")
    rows.update(f"{name}: decisions", **decisions(bundle, dataset, threads))
    detector = panda_edge.load(bundle, threads=threads)
    normal = [*dataset.train, *(sample.path for sample in dataset.test if not sample.anomalous)]
    frames = (detector.preprocessing.apply(path) for path in normal)
    embeddings = np.concatenate([detector.features(frame[None]).embedding for frame in frames])
    rows.update(f"{name}: refits", **refits(embeddings))
    write(rows, FOLDER / "calibration.md")


def write(rows: ResultsFile, file: Path) -> None:
    """The rows as tables: decisions of each bundle by rule and rate, then the refits."""
    parts = [
        "# Does the promised false-alarm rate hold?",
        "`python -m benchmarks.calibration NAME X.panda DATA`. False alarms among the normal test images with their "
        "95 % binomial interval, and the share of anomalous images found. Thresholds come from normal training images "
        "alone.",
    ]
    names = [key.removesuffix(": decisions") for key in rows.names() if key.endswith(": decisions")]
    for name in names:
        found = rows.get(f"{name}: decisions")
        lines = [
            [rule, f"{found[rule]['image_auroc']:.3f}", *(_alarms(found[rule][f"at {rate}"]) for rate in RATES)]
            for rule in RULES
        ]
        header = ("score", "image AUROC", *(f"at {rate}" for rate in RATES))
        parts += [f"## {name}", f"Calibrated on {found['held_out_images']} images.", tables.table(header, lines)]
    if names:
        again = rows.get(f"{names[-1]}: refits")
        lines = [
            [str(rate), *(f"{again[f'at {rate}'][key]:.4f}" for key in ("observed", "expected")),
             "{:.4f}–{:.4f}".format(*again[f"at {rate}"]["bounds"])]
            for rate in RATES
        ]  # fmt: skip
        parts += [
            f"## {again['refits']} random refits of DN2",
            f"Each: {again['bank']} images in the bank, {again['held_out']} held out, {again['new']} new.",
            tables.table(("rate", "false alarms", "expected", "99.9 % bounds"), lines),
        ]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _alarms(found: dict[str, Any]) -> str:
    low, high = found["fpr_interval"]
    alarms = f"{found['false_alarms']} of {found['normal_images']} ({low:.3f}–{high:.3f})"
    return f"{alarms}; {100 * found['tpr']:.0f} % found"


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
