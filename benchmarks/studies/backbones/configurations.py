"""What is compared: options of `panda-train fit`, by name. The first one is the default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from panda_train.data.headers import headers_of
from panda_train.resolution import SIDE, input_shape

HERE = Path(__file__).parent
FPR = 0.05


@dataclass(frozen=True)
class Configuration:
    """options: of `panda-train fit`, but for the input. side: of a square of as many pixels as the input has."""

    options: tuple[str, ...] = ()
    side: int = SIDE

    def of(self, pictures: list[Path]) -> list[str]:
        """All options, the input in the shape that `fit` would give it of these pictures."""
        if self.side == SIDE:
            return list(self.options)
        height, width = input_shape(self.side, headers_of(pictures).middle)
        return [*self.options, "--input-size", f"{height}x{width}"]


DEFAULT = "lite0 224"
_SMALL = ("--bank", "coreset", "--vectors", "500", "--precision", "int8")
CONFIGURATIONS: dict[str, Configuration] = {
    DEFAULT: Configuration(),
    "lite1 224": Configuration(("--backbone", "efficientnet-lite1")),
    "lite0 224 int8": Configuration(("--precision", "int8")),
    "small: lite0 128 int8, coreset of 500": Configuration(_SMALL, 128),
    "lite0 256": Configuration((), 256),
    "lite0 + lite1 224": Configuration(("--backbone", "efficientnet-lite0+efficientnet-lite1")),
    "lite2 224": Configuration(("--backbone", "efficientnet-lite2")),
}
