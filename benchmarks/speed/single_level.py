"""A vision transformer's one level: the exact search beside its network, `python -m benchmarks.speed.single_level`.

The weights are random, as timm's hub is not always at hand: this is for speed, and for the answers of the search. The
bank holds the sample's normal pictures, of which each frame is compared with 50. First the answers: every distance of
a frame beside brute force in float64. Then milliseconds by stage, of the same frames in one run. Rows go to
`benchmarks/speed/results/single_level.json`; exit code 1 where a distance is off.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import panda_edge
from benchmarks.lib.conditions import PACKAGES, conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from benchmarks.peers.search import stored_features
from panda_edge import kernel
from panda_edge.bundle.model import default_threads
from panda_edge.detector import Detector
from panda_edge.images.preprocessing import Preprocessing
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from panda_train.backbones import timm_network
from panda_train.data.folders import open_dataset
from panda_train.data.sample import make_sample

NETWORKS = ("vit_small_patch16_224", "vit_small_patch14_dinov2")
SIDE, PICTURES, FRAMES = 224, 60, 24
_OFF = 1e-3  # of a distance: what sums in float32 may differ by
_QUIET = 0.25  # quantile of times: what else runs only adds


def measure(name: str, data: Path, folder: Path) -> dict[str, Any]:
    """One row: the largest relative error of a distance, and milliseconds by stage."""
    dataset, bundle = open_dataset(data), folder / f"{name}.panda"
    backbone = timm_network.untrained(name, size=(SIDE, SIDE))
    export_bundle(bundle, backbone, dataset.train[:PICTURES], Preprocessing(SIDE, SIDE), ExportOptions({"name": "dn2"}))
    detector = panda_edge.load(bundle)
    paths = [sample.path for sample in dataset.test[:FRAMES]]
    error = off_by(detector, paths[0])
    stages = [detector.segment(path).stages_ms for path in paths]
    quiet = {stage: round(float(np.quantile([one[stage] for one in stages], _QUIET)), 2) for stage in stages[0]}
    ratios = [one["search"] / one["backbone"] for one in stages]
    return {
        "levels": [f"{level.stride}: {level.channels}" for level in backbone.levels],
        "normal_pictures": PICTURES,
        "largest_relative_error": float(f"{error:.1e}"),
        "stages_ms": quiet,
        "search_over_backbone": round(float(np.median(ratios)), 2),
    }


def off_by(detector: Detector, picture: Path) -> float:
    """The largest relative error of a frame's squared distances to all that is stored, beside float64."""
    (stored,), _ = stored_features(detector)
    found = detector.features(detector.preprocessing.apply(picture)[None])
    grid = detector.bundle.manifest.levels[0]
    search = kernel.PyramidSearch([stored], (grid.height, grid.width), 1)
    ours, _ = search.nearest([found.levels[0][0]])
    query, gallery = found.levels[0][0].astype(np.float64), stored.reshape(-1, stored.shape[-1]).astype(np.float64)
    products = query @ gallery.T
    exact = (np.square(query).sum(1)[:, None] + np.square(gallery).sum(1)[None] - 2 * products).min(1)
    return float((np.abs(ours.ravel() - exact) / np.maximum(exact, exact.mean() * 1e-2)).max())


def main() -> None:
    rows, wrong = ResultsFile("speed/results/single_level"), False
    with tempfile.TemporaryDirectory(prefix="panda-single-") as folder:
        data = Path(folder) / "sample"
        make_sample(data)
        for name in sys.argv[1:] or NETWORKS:
            row = measure(name, data, Path(folder))
            wrong = wrong or row["largest_relative_error"] > _OFF
            rows.update(name, **row, conditions=conditions(default_threads(), (*PACKAGES, "timm")))
            say(f"{name}: {row}")
    sys.exit(wrong)


if __name__ == "__main__":
    main()
