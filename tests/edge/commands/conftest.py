"""`panda-edge` called inside the tests' process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def images(tmp_path: Path, texture: Callable[..., np.ndarray]) -> Path:
    """A folder: 2.png, 10.png, sub/2.jpg, and things that are no images."""
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for i, name in enumerate(("2.png", "10.png", "sub/2.jpg")):
        Image.fromarray(texture(80, 100, seed=i)).save(folder / name)
    (folder / "notes.txt").write_text("hello")
    (folder / ".hidden.png").write_text("hello")
    return folder
