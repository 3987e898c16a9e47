"""How much faster a region of interest makes a frame: half and a quarter of the picture beside the whole, in turns.

    python -m benchmarks.speed.roi [--threads 2] [--images 40]

Rows of `benchmarks/speed/results/roi.json`: DATA: BANK. Ratios are medians of single images' ratios to the whole
picture, so that a machine that others use, too, slows both.
"""

from __future__ import annotations

import argparse

import numpy as np

import panda_edge
from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, open_subject, say
from panda_edge.detector import Detector
from panda_edge.images.reading import open_image

BANKS = {
    "exact": ["--bank", "exact"],
    "gaussian": ["--bank", "gaussian"],
    "coreset": ["--bank", "coreset"],
    "kmeans": ["--bank", "kmeans"],
    "tiles 3x3, exact": ["--tiles", "3x3", "--neighbors", "20"],
}
_SIDE = 64  # pixels of the masks
_STAGES = ("backbone", "search", "heatmap")


def masks() -> dict[str, np.ndarray | None]:
    """Where to look: everywhere, the left half, the upper left quarter."""
    half = np.zeros((_SIDE, _SIDE), dtype=bool)
    half[:, : _SIDE // 2] = True
    quarter = half.copy()
    quarter[_SIDE // 2 :] = False
    return {"whole": None, "half": half, "quarter": quarter}


def measure(subject: Subject, name: str, rows: ResultsFile, threads: int, images: int) -> None:
    """The row of one bank."""
    say(f"{subject.name}: {name}")
    bundle = subject.bundle(BANKS[name])
    detectors = {part: panda_edge.load(bundle, threads, roi=mask) for part, mask in masks().items()}
    opened = [open_image(path) for path in subject.images(images)]
    for detector in detectors.values():
        _check(detector, detectors["whole"], opened[0].image)
    times: dict[str, list[dict[str, float]]] = {part: [] for part in detectors}
    for image in opened:
        for part, detector in detectors.items():
            result = detector.segment(image)
            times[part].append({stage: result.stages_ms[stage] for stage in _STAGES} | {"frame": result.ms})
    fields: dict[str, object] = {}
    for part, stages in times.items():
        fields[part] = {stage: round(float(np.median([of[stage] for of in stages])), 2) for stage in stages[0]}
        if part != "whole":
            pairs = zip(stages, times["whole"], strict=True)
            ratios = [(of["search"] / whole["search"], of["frame"] / whole["frame"]) for of, whole in pairs]
            search, frame = np.median(ratios, axis=0)
            fields[f"{part} of whole"] = {"search": round(float(search), 3), "frame": round(float(frame), 3)}
    rows.update(f"{subject.name}: {name}", images=images, **fields, conditions=conditions(threads))


def _check(detector: Detector, whole: Detector, image: object) -> None:
    """Far from its border a roi's map is the whole picture's."""
    found, expected = detector.segment(image).heatmap, whole.segment(image).heatmap  # type: ignore[arg-type]
    assert found is not None
    assert expected is not None
    inner = tuple(slice(0, side // 4) for side in expected.shape)
    np.testing.assert_allclose(found[inner], expected[inner], rtol=1e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--banks", nargs="+", choices=list(BANKS), default=list(BANKS))
    asked = parser.parse_args()
    subject, rows = open_subject(), ResultsFile("speed/results/roi")
    for name in asked.banks:
        measure(subject, name, rows, asked.threads, asked.images)


if __name__ == "__main__":
    main()
