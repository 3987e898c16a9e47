"""What can be chosen about a bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from panda_edge.banks.settings import BankSettings
from panda_edge.builder.progress import Progress, silent
from panda_edge.builder.steps import check_recipes, default_recipes
from panda_edge.builder.steps.recipe import Recipe
from panda_edge.decide.calibration import DEFAULT_RULE


@dataclass(frozen=True)
class ExportOptions:
    """What `export_bundle` is asked for.

    Attributes:
        method: Its `name` and parameters, for the manifest.
        bank: What is kept of the normal images.
        steps: What is asked of the heat map's steps, in order; None for the default of the bank. Without any, the map
            is SPADE's, as in the paper.
        rule: The image score that decides.
        leave_one_out: Where no images are held out, calibrate with images of the bank, each scored without itself. Only
            an exact bank can, and only features that were not adapted to those images keep the promise.
        seed: Of every random choice.
        device: That computes features, `cpu` or `cuda`.
        precision: `float32`, or `int8` where that is faster on this machine.
        extendable: Keep what `panda-edge extend` needs: a gaussian bank's sums, the images held out.
        augment: Which turned copies of the images go into the bank (`augment.py`).
        progress: Is told what is done, picture by picture.
    """

    method: Mapping[str, Any]
    bank: BankSettings = field(default_factory=BankSettings)
    steps: tuple[Recipe, ...] | None = None
    rule: str = DEFAULT_RULE
    leave_one_out: bool = False
    seed: int = 0
    device: str = "cpu"
    precision: str = "float32"
    extendable: bool = False
    augment: str = "none"
    progress: Progress = silent

    def resolved(self, tiled: bool, levels: int = 3) -> ExportOptions:
        """With what was left to the bank. levels: of the network. Raises PandaError."""
        bank = self.bank.resolved(tiled, levels)
        steps = default_recipes(type(bank.kind), tiled) if self.steps is None else self.steps
        check_recipes(steps, type(bank.kind), tiled)
        return dataclasses.replace(self, bank=bank, steps=steps)
