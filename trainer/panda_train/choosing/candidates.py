"""What is tried: banks, averaging, neighbours, windows, and the resolutions they look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from panda_edge.banks.coreset import Coreset
from panda_edge.banks.settings import BankSettings, bank_settings
from panda_train.resolution import SIDE, Resolution, input_shape


@dataclass(frozen=True)
class Look:
    """At what resolution pictures are looked at, by which network (None: that of `--backbone`), and with what numbers
    that computes (`fit --precision`). usual: what `fit` does by itself."""

    name: str
    resolution: Resolution
    precision: str = "float32"
    usual: bool = False
    backbone: str | None = None


@dataclass(frozen=True)
class Candidate:
    """A bank at a look. share: of a coreset, of all normal descriptors, that are kept; None for other banks."""

    name: str
    look: Look
    bank: BankSettings
    share: float | None = None

    @property
    def usual(self) -> bool:
        """Whether it is what `fit` makes when nothing is said of banks."""
        return self.bank == BankSettings(max_bank_mb=self.bank.max_bank_mb) and self.look.usual

    def of_cells(self, cells: int) -> BankSettings:
        """The bank's options where the normal pictures that it is tried on have so many cells at stride 8 in all."""
        return self.bank if self.share is None else with_vectors(self.bank, max(1, round(self.share * cells)))

    def tried_on(self, pictures: int, cells: int) -> int:
        """Of so many normal pictures, with so many cells at stride 8 in all, how many are enough for a trial."""
        most = MOST_DESCRIPTORS if self.share is not None else cells
        return pictures if cells <= most else max(1, pictures * most // cells)


def with_vectors(bank: BankSettings, vectors: int) -> BankSettings:
    """The same coreset with so many descriptors."""
    return dataclasses.replace(bank, kind=Coreset(vectors))


MOST_DESCRIPTORS = 150_000
"""That a coreset is chosen from in a trial, at most. The time to choose a share of them grows with their square."""


# Painted defects tell no finer differences than these: what is not DOUBT ahead of the default is not taken.
_BANKS: dict[str, tuple[BankSettings, float | None]] = {
    "exact": (bank_settings("exact"), None),
    "exact, K 15": (bank_settings("exact", neighbors=15), None),
    "gaussian": (bank_settings("gaussian"), None),
    "coreset 1 %": (bank_settings("coreset"), 0.01),
    "coreset 10 %": (bank_settings("coreset"), 0.1),
    "k-means of levels 200": (bank_settings("kmeans-levels", means=200), None),
}
_TILED = {name: _BANKS[name] for name in ("exact", "coreset 1 %", "coreset 10 %")}
SIDES = (SIDE, 320, 448)  # of a square of as many pixels as the input has
_ALSO_SIDES = (SIDE, 256)  # of another network: a larger one at a larger input takes more than twice the time


def looks(smallest_defect: float | None, size: tuple[int, int]) -> list[Look]:
    """Resolutions worth a try for pictures of (width, height): no larger than they are, by more than a fifth; and
    tiles, where a smallest defect is given or the picture has at least twice the input's pixels a side."""
    found = []
    for side in SIDES:
        if side == SIDE or side <= 1.2 * max(size):
            height, width = input_shape(side, size)
            given = None if side == SIDE else f"{side}" if height == width else f"{height}x{width}"
            found.append(Look(f"{side}²", Resolution(given), usual=side == SIDE and smallest_defect is None))
    if smallest_defect is not None:
        return [*found, Look("tiles", Resolution(smallest_defect=smallest_defect), usual=True)]
    if min(size) >= 2 * SIDE:
        found.append(Look("tiles", Resolution(tiles="auto")))
    return found


def looks_also(names: Sequence[str], size: tuple[int, int]) -> list[Look]:
    """The resolutions that other networks are tried at, on whole pictures of (width, height)."""
    found = []
    for name in names:
        for side in _ALSO_SIDES:
            height, width = input_shape(side, size)
            given = None if side == SIDE else f"{height}x{width}"
            found.append(Look(f"{name} {side}²", Resolution(given), backbone=name))
    return found


def candidates(of: Sequence[Look], bank_mb: float | None) -> list[Candidate]:
    """All banks at all looks, each within the budget of megabytes (the tool's own way of shrinking them)."""
    return [
        Candidate(f"{look.name}: {name}", look, dataclasses.replace(bank, max_bank_mb=bank_mb), share)
        for look in of
        for name, (bank, share) in (_TILED if look.name == "tiles" else _BANKS).items()
    ]
