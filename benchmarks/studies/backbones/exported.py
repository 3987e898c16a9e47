"""One export for all sets: a configuration gives every set the same graph, and to trace it takes most of a `fit`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from panda_export import network
from panda_train import fitting


@contextmanager
def exported_once(folder: Path) -> Iterator[None]:
    """Within: `fit` exports once an input's shape, and copies that file for the next. Only for one configuration, whose
    graph does not depend on pictures."""
    write = network.write_onnx
    done: dict[tuple[int, int], tuple[Path, dict[str, float]]] = {}

    def once(graph: Any, path: Path, height: int, width: int, *about: Any) -> dict[str, float]:
        if (height, width) not in done:
            kept = folder / f"{height}x{width}.onnx"
            done[height, width] = kept, write(graph, kept, height, width, *about)
        kept, differences = done[height, width]
        shutil.copy(kept, path)
        return differences

    network.write_onnx = once
    try:
        yield
    finally:
        network.write_onnx = write


def fit(data: Path, out: Path, options: fitting.FitOptions) -> str:
    """`panda-train fit` in this process. Returns the precision that was kept."""
    manifest = fitting.fit(data, out, options)
    assert manifest is not None
    return manifest.recipe.precision
