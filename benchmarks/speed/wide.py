"""Frame and search of Wide-ResNet-50-2, the paper's backbone for segmentation (levels of 1024 + 512 + 256 channels).

Its weights are random, so that nothing need be fetched: for speed only. The bank holds 60 normal images.
"""

from __future__ import annotations

import numpy as np

import panda_edge
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import CACHE, Subject, say
from benchmarks.peers.search import beside_faiss
from panda_edge.images.preprocessing import Preprocessing
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from panda_train import backbones

NAME = "wide_resnet50_2"
_NORMAL = 60


def measure_wide(subject: Subject, rows: ResultsFile, threads: int, images: int = 10) -> None:
    """The row `NAME: wide`: median milliseconds by stage, and our search beside faiss at equal answers."""
    bundle = CACHE / subject.name / f"{NAME}.panda"
    if not bundle.exists():
        say(f"{NAME}: a bundle of {_NORMAL} normal images, random weights")
        bundle.parent.mkdir(parents=True, exist_ok=True)
        export_bundle(
            bundle,
            backbones.untrained(NAME),
            subject.dataset.train[:_NORMAL],
            Preprocessing(224, 224),
            ExportOptions({"name": "dn2"}),
        )
    detector = panda_edge.load(bundle, threads)
    paths = subject.images(images)
    detector.segment(paths[0])
    stages = [detector.segment(path).stages_ms for path in paths]
    say(f"{NAME}: beside faiss, {images} images")
    rows.update(
        f"{subject.name}: wide",
        stages_ms={stage: round(float(np.median([of[stage] for of in stages])), 2) for stage in stages[0]},
        **beside_faiss(detector, paths, threads),
    )
