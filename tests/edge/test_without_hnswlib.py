"""A device without hnswlib: the banks that need it say so in one line, all others need nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest

from panda_edge.banks.embeddings import HNSW_FROM, Asked, HnswBank, image_embeddings
from panda_edge.errors import PandaError


@pytest.fixture(autouse=True)
def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hnswlib", None)


def test_a_graph_names_the_extra(tmp_path: Path) -> None:
    with pytest.raises(PandaError, match=r"needs hnswlib: pip install \"panda-edge\[hnsw\]\"") as caught:
        HnswBank(tmp_path / "embeddings.hnsw", 3, 4, 10, threads=1)
    assert "\n" not in str(caught.value)
    with pytest.raises(PandaError, match=r"panda-edge\[hnsw\]"):
        image_embeddings("hnsw", 3).write(tmp_path, np.zeros((3, 4), np.float32), Asked(None, 0, 0))


def test_the_default_needs_none(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    made = image_embeddings("auto", HNSW_FROM - 1).write(tmp_path, np.eye(4, dtype=np.float32), Asked(None, 0, 0))
    assert made.bank == "exact"
