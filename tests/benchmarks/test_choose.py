"""Regret, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.studies.choose.__main__ import regret, write

from panda_train.choosing.judge import best_rule


def row(image: float, pixel: float | None, pro: float | None, **more: Any) -> dict[str, Any]:
    return {"image": image, "pixel": pixel, "pro": pro, **more}


OWN = row(0.9, 0.95, 0.8, chosen="224²: exact", tried=20, seconds=240, ms=21.4)
RIVALS = {"default": row(0.88, 0.96, 0.8), "gaussian": row(0.92, 0.9, 0.7)}


def test_regret_is_what_the_best_has_before_the_chosen() -> None:
    found = regret(OWN, RIVALS)
    assert found["image"] == pytest.approx(0.02)
    assert found["pixel"] == pytest.approx(0.01)
    assert found["pro"] == 0.0  # the choice itself is the best
    assert regret(row(0.9, None, None), {"default": row(0.95, None, None)})["pixel"] is None


def test_where_nothing_painted_is_found_embeddings_decide() -> None:
    found = {"local": 0.52, "embedding": 0.51}
    assert best_rule(found, 100, 140) == "embedding"
    assert best_rule({**found, "local": 0.6}, 100, 140) == "local"
    assert best_rule(found, 4, 140) == "local"  # which four pictures cannot say


def test_the_table(tmp_path: Path) -> None:
    rows, others = ResultsFile("own", tmp_path), ResultsFile("others", tmp_path)
    rows.update("conditions", **conditions(1))
    rows.update("tile", **OWN)
    rows.update("solar", **row(0.9, None, None, chosen="224²: gaussian", tried=3, seconds=99, ms=5.0))
    for name, fields in RIVALS.items():
        others.update(f"tile: {name}", **fields)
    write(rows, others, tmp_path / "README.md")
    written = (tmp_path / "README.md").read_text().splitlines()
    lines = [line for line in written if line.startswith(("| tile", "| solar"))]
    assert len(lines) == 1  # solar has no rivals yet
    assert "gaussian: 0.920 / 0.900 / 0.700" in lines[0]
    assert lines[0].endswith("| 0.020 | 0.010 | 0.000 |")
