"""`panda-train fit --roi`: what is refused before any work, and figures that count what is looked at."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from panda_edge.errors import PandaError
from panda_train.evaluation.pixel_scores import PixelScores
from panda_train.fitting import FitOptions, fit


@pytest.mark.parametrize(
    ("plain", "rule", "said"),
    [
        ([], "max", "no polygon"),
        ([[[0, 0], [65, 0], [65, 64]]], "max", r"64×64 pixels, and polygon 1 of the roi reaches 65, 64"),
        ([[[0, 0], [1, 0], [1, 1]]], "embedding", "an embedding sees the whole picture; choose local or max or top1"),
        ([[[0, 0], [1, 0], [1, 1]]], "combined", "an embedding sees the whole picture"),
    ],
)
def test_refused_before_the_work(sample_data: Path, tmp_path: Path, plain: object, rule: str, said: str) -> None:
    (tmp_path / "roi.json").write_text(json.dumps(plain))
    with pytest.raises(PandaError, match=said) as caught:
        fit(sample_data, tmp_path / "x.panda", FitOptions(roi=tmp_path / "roi.json", rule=rule))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x.panda").exists()


def test_pixels_that_nobody_looks_at_do_not_count() -> None:
    random = np.random.default_rng(3)
    heat, mask = random.random((20, 24)).astype(np.float32), random.random((20, 24)) < 0.1
    heat[mask] += 0.5
    active = np.zeros((20, 24), dtype=bool)
    active[:, :12] = True
    blind = heat.copy()
    blind[~active] = np.nan
    some, part = PixelScores(), PixelScores()
    some.add(blind, mask, active)
    part.add(heat[:, :12], mask[:, :12])
    assert some.auroc() == part.auroc()
    assert some.pro() == part.pro()
