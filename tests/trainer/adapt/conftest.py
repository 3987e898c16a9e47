"""A small random network with 40 pictures, so that adaptation takes seconds."""

import numpy as np
import pytest

from panda_train import backbones
from panda_train.adapt import (
    Source,
    store,
)
from small_adaptation import IMAGES, SIZE, small_resnet


@pytest.fixture(scope="module")
def backbone() -> backbones.Backbone:
    return small_resnet()


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (IMAGES, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def normal(backbone: backbones.Backbone, frames: np.ndarray) -> Source:
    return Source(store(backbone, frames, IMAGES), IMAGES)
