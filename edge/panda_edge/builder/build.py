"""A bundle is made in the same steps by `fit`, which starts from nothing, and `extend`, which starts from a bundle.

Pictures → banks (`banks.py`) → steps of the heat map (`steps/`) → calibration (`normal_pictures.py`) → self-test and
seal (`assemble.py`).
Each step takes the `Build`, and the manifest as the step before left it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from panda_edge.banks.bank import Start
from panda_edge.banks.settings import BankSettings
from panda_edge.builder.network import Network
from panda_edge.builder.pictures import Pictures
from panda_edge.builder.progress import Progress, silent
from panda_edge.builder.steps.recipe import Recipe as StepRecipe

LEAVE_ONE_OUT_IMAGES = 400  # stored pictures that calibrate: p-values down to 1 / 401


@dataclass(frozen=True)
class Build(Start):
    """A bundle that is being made; all processes of the group have one, and rank 0 writes.

    Attributes:
        staging: The folder that becomes the bundle. It holds the model.
        network: Gives features of frames.
        pictures: The normal pictures that were given.
        numbers: Those of them that go into the bank, turned copies of a picture not counted, ascending.
        settings: What is kept of them, resolved.
        steps: What is asked of the heat map's steps.
        progress: Where to tell of it.
    """

    staging: Path
    network: Network
    pictures: Pictures
    numbers: Sequence[int]
    settings: BankSettings
    steps: Sequence[StepRecipe]
    progress: Progress = silent
