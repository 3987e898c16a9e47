"""A bundle is made in the same steps by `fit`, which starts from nothing, and `extend`, which starts from a bundle.

Pictures → banks (`banks.py`) → steps of the heat map (`steps/`) → calibration (`normal_pictures.py`) → self-test and
seal (`assemble.py`).
Each step takes the `Build`, and the manifest as the step before left it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_edge.banks.centres import NO_CENTRES, Centres
from panda_edge.banks.settings import BankSettings
from panda_edge.builder.network import Network
from panda_edge.builder.pictures import Pictures
from panda_edge.builder.progress import Progress, silent
from panda_edge.builder.steps.recipe import Recipe as StepRecipe
from panda_edge.bundle.folder import Bundle
from panda_edge.process_group import ALONE, ProcessGroup

LEAVE_ONE_OUT_IMAGES = 400  # stored pictures that calibrate: p-values down to 1 / 401


@dataclass(frozen=True)
class Build:
    """A bundle that is being made; all processes of the group have one, and rank 0 writes.

    Attributes:
        staging: The folder that becomes the bundle. It holds the model.
        network: Gives features of frames.
        pictures: The normal pictures that were given.
        numbers: Those of them that go into the bank, turned copies of a picture not counted, ascending.
        settings: What is kept of them, resolved.
        steps: What is asked of the heat map's steps.
        seed: Of every random choice.
        there: The bundle that they are added to; None to start from nothing.
        kept: Of that bundle's stored frames those that stay, ascending; None for all.
        extendable: Whether to store what `extend` needs, where the bank itself does not hold it.
        progress: Where to tell of it.
        group: Those who share the work.
        centres: What makes k-means centres.
    """

    staging: Path
    network: Network
    pictures: Pictures
    numbers: Sequence[int]
    settings: BankSettings
    steps: Sequence[StepRecipe]
    seed: int
    there: Bundle | None = None
    kept: np.ndarray | None = None
    extendable: bool = False
    progress: Progress = silent
    group: ProcessGroup = ALONE
    centres: Centres = NO_CENTRES
