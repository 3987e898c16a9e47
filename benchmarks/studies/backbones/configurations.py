"""What is compared: a network, its input, its numbers and the bank, by name. The first one is the default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from panda_edge.banks.settings import BankSettings, bank_settings
from panda_train import backbones
from panda_train.data.headers import headers_of
from panda_train.fitting import FitOptions
from panda_train.resolution import SIDE, Resolution, input_shape

HERE = Path(__file__).parent
FPR = 0.05


@dataclass(frozen=True)
class Configuration:
    """Options of `panda-train fit`. side: of a square of as many pixels as the input has."""

    backbone: str = backbones.DEFAULT
    side: int = SIDE
    precision: str = "float32"
    bank: BankSettings = field(default_factory=BankSettings)

    def of(self, pictures: Sequence[Path]) -> FitOptions:
        """All options, the input in the shape that `fit` would give it of these pictures."""
        size = None
        if self.side != SIDE:
            height, width = input_shape(self.side, headers_of(pictures).middle)
            size = f"{height}x{width}"
        return FitOptions(
            backbone=self.backbone,
            resolution=Resolution(input_size=size),
            device="cpu",
            precision=self.precision,
            bank=self.bank,
        )


_LITE = "efficientnet-lite"
DEFAULT = "lite0 224"
CONFIGURATIONS: dict[str, Configuration] = {
    DEFAULT: Configuration(),
    "lite1 256": Configuration(f"{_LITE}1", 256),
    "lite1 224": Configuration(f"{_LITE}1"),
    "lite0 + lite1 224": Configuration(f"{_LITE}0+{_LITE}1"),
    "small: lite0 128 int8, coreset of 500": Configuration(
        side=128, precision="int8", bank=bank_settings("coreset", vectors=500)
    ),
    "lite0 224 int8": Configuration(precision="int8"),
    "lite2 224": Configuration(f"{_LITE}2"),
    "lite0 256": Configuration(side=256),
    "lite0 320": Configuration(side=320),
    "lite2 256": Configuration(f"{_LITE}2", 256),
}
