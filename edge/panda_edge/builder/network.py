"""What a builder needs of a network, whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from panda_edge.bundle.manifest import Level
from panda_edge.search.picture import FeatureFunction


class Network(Protocol):
    """What gives features. run: of frames; worker: makes a `run` that several threads may call at once."""

    @property
    def levels(self) -> tuple[Level, ...]: ...
    @property
    def embedding_size(self) -> int: ...
    @property
    def run(self) -> FeatureFunction: ...
    @property
    def worker(self) -> Callable[[], FeatureFunction]: ...
