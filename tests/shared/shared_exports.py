"""Bundles of the tiny network, by one process or, under torchrun, by several that share the work.

    python shared_exports.py FOLDER IMAGES.json [killed|failed]

killed: the second process kills itself while features are made; failed: it raises an error that a user can cause.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bank_choice import settings_for
from panda_edge.banks.settings import BankSettings
from panda_edge.builder import features
from panda_edge.commands.console import run
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.tiling import Tiling
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from panda_train.adapt.distributed import Workers, workers
from tiny import TinyBackbone

WHOLE, TILED = Preprocessing(64, 64), Preprocessing(32, 32, tiles=Tiling(0.25, 1.0))
HELD_OUT = 5
# Name → bank, preprocessing, whether pictures are held out.
EXPORTS: dict[str, tuple[BankSettings, Preprocessing, bool]] = {
    "exact": (settings_for(neighbors=4, max_bank_mb=0.2), WHOLE, False),
    "tiles": (settings_for(neighbors=4, standardise=True), TILED, False),
    "gaussian": (settings_for("gaussian"), TILED, True),
    "coreset": (settings_for("coreset", vectors=200, knn=1), WHOLE, True),
    "kmeans": (settings_for("kmeans", means=5), WHOLE, True),
}


def export_all(folder: Path, images: list[Path], group: Workers, names: Iterable[str] = EXPORTS) -> None:
    for name in names:
        bank, preprocessing, held = EXPORTS[name]
        kept, held_out = (images[HELD_OUT:], images[:HELD_OUT]) if held else (images, [])
        options = ExportOptions({"name": "dn2"}, bank, leave_one_out=not held, extendable=held)
        out = folder / f"{name}.panda"
        export_bundle(out, TinyBackbone(), kept, preprocessing, options, held_out, group=group)
    group.wait()


def _end_early(how: str) -> None:
    """Let this process end at its second batch."""
    whole = features.batched_features

    def batches(*given: Any) -> Iterator[Any]:
        for number, batch in enumerate(whole(*given)):
            if number == 0:
                yield batch
                continue
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise PandaError("the second process found a fault")

    features.batched_features = batches


def main(**_: Any) -> None:
    folder, images, how = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), sys.argv[3:]
    with workers("cpu") as group:
        if how and not group.is_rank_zero:
            _end_early(how[0])
        export_all(folder, [Path(image) for image in images], group, ["exact"] if how else EXPORTS)


if __name__ == "__main__":
    run(main)  # type: ignore[arg-type]
