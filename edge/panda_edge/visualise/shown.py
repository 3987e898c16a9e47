"""What is drawn of a result."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from panda_edge.decide.decision import Decision
from panda_edge.decide.regions import Region
from panda_edge.images.view import View


class Shown(Protocol):
    """The part of a `Result` that files and overlays show; see there."""

    @property
    def heatmap(self) -> np.ndarray | None: ...
    @property
    def image_size(self) -> tuple[int, int]: ...
    @property
    def view(self) -> View: ...
    @property
    def decision(self) -> Decision | None: ...
    @property
    def regions(self) -> tuple[Region, ...] | None: ...
    @property
    def mask(self) -> np.ndarray | None: ...
    def heatmap_on_image(self) -> np.ndarray: ...
