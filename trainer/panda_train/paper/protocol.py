"""The paper's protocol: every class in turn is normal, every method is trained on it, and scored on all test images.

Each run is a row of a JSON list, written as soon as it is there, so that a stopped protocol goes on where it was.
Whatever needs torch is imported where it is used: a wrong path is said before the seconds that torch takes to load.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from panda_edge.builder.progress import Progress, silent
from panda_edge.errors import PandaError
from panda_train import backbones
from panda_train.data import outliers
from panda_train.fitting import check_device, device_of
from panda_train.paper.datasets import open_protocol
from panda_train.paper.options import ALL_METHODS, PaperOptions
from panda_train.progress import waiting

if TYPE_CHECKING:
    from panda_train.paper.rows import Row


def run_paper(dataset: str, data: Path, out: Path, options: PaperOptions, progress: Progress = silent) -> list[Row]:
    """All rows of the protocol, with those that `out`/<dataset>.json already holds. Raises PandaError, DataError."""
    for method in options.methods:
        if method not in ALL_METHODS:
            raise PandaError(f"no method {method!r}; there are {', '.join(ALL_METHODS)}")
    if options.outliers is not None:
        outliers.check_kind(options.outliers)
    protocol = open_protocol(dataset, data)
    classes = options.classes or protocol.classes
    for name in classes:
        if name not in protocol.classes:
            raise PandaError(f"{dataset} has no class {name!r}; there are {', '.join(protocol.classes)}")
    check_device(options.device)
    backbones.check(options.backbone, options.weights)
    with waiting("loading torch"):
        import torch

        from panda_train.paper import rows as paper_rows
        from panda_train.paper.features import Features
        from panda_train.paper.run import run
        from panda_train.paper.runs import key_of, runs_of
    torch.manual_seed(options.adapt.seed)
    options = replace(options, device=device_of(options.device))
    backbone = backbones.load(options.backbone, options.weights, options.adapt_from).to(options.device)
    backbone = backbone.to(memory_format=torch.channels_last)
    file = out / f"{dataset}.json"
    rows = paper_rows.read(file)
    features = Features(backbone, protocol, options, out / "activations" / dataset, progress)
    for normal in classes:
        for method, embedding in runs_of(options):
            key = key_of(dataset, normal, method, embedding, features, options)
            if any(paper_rows.same_run(row, key) for row in rows):
                continue
            started = time.perf_counter()
            facts = run(normal, method, embedding, features, options)
            rows.append({**key, **facts, "seconds": round(time.perf_counter() - started, 1), "device": options.device})
            paper_rows.write(file, rows)
    return rows
