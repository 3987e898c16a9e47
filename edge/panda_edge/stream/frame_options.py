"""Which frames of the sources are judged."""

from __future__ import annotations

from dataclasses import dataclass

from panda_edge.errors import PandaError
from panda_edge.stream.judgeable import FROZEN_AFTER


@dataclass(frozen=True)
class FrameOptions:
    """Which frames of the sources are judged.

    Args:
        every: Judge one frame of so many, from 1.
        max_fps: Judge at most so many frames of a source a second, above 0 up to 10,000; None for all.
        drop: What happens to frames that newer ones overtake: "old" gives them up, "never" lets the source wait. None
            is "old" for cameras and "never" for files.
        frozen_after: Seconds for which a camera may show the very same pixels, up to 86,400; 0 for any time.

    Raises:
        PandaError: One of them is out of its range.
    """

    every: int = 1
    max_fps: float | None = None
    drop: str | None = None
    frozen_after: float = FROZEN_AFTER

    def __post_init__(self) -> None:
        if self.every < 1:
            raise PandaError(f"--every {self.every}: give 1 (every frame) or more")
        if self.max_fps is not None and not 0 < self.max_fps <= 10_000:
            raise PandaError(f"--max-fps {self.max_fps:g}: expected a rate above 0")
        if self.drop not in (None, "old", "never"):
            raise PandaError(f"--drop {self.drop}: expected old or never")
        if not 0 <= self.frozen_after <= 86_400:
            raise PandaError(f"--frozen-after {self.frozen_after:g}: expected seconds, 0 for never")

    def drops(self, live: bool) -> bool:
        """Whether frames of a source are given up for newer ones. live: it is a camera."""
        return self.drop == "old" if self.drop else live
