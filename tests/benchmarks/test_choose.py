"""Regret and rank correlation, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.choose import regret, write
from benchmarks.results_file import ResultsFile


def row(real: tuple[float, float], **painted: float) -> dict[str, Any]:
    def found(image: float, pixel: float) -> dict[str, Any]:
        return {"image": {"max": image, "top1": image - 0.1}, "found": {}, "pixel": pixel, "pro": pixel}

    return {"real": found(*real), "painted": {family: found(value, value) for family, value in painted.items()}}


ROWS = {
    "a": row((0.9, 0.9), patch=0.5, stain=0.9, all=0.0),
    "b": row((0.8, 0.7), patch=0.6, stain=0.7, all=1.0),
    "c": row((0.7, 0.95), patch=0.9, stain=0.5, all=0.0),
}


def test_regret_is_what_the_best_has_before_the_chosen() -> None:
    found = regret(ROWS)  # painted: .7, .65, .7
    assert (found["chosen"], found["best"]) == ("a", "a")
    assert (found["image"], found["pixel"]) == (0.0, pytest.approx(0.05))
    misled = regret(ROWS, "patch")
    assert (misled["chosen"], misled["rule"]) == ("c", "max")
    assert misled["image"] == pytest.approx(0.2)
    assert misled["rank"] == pytest.approx(-0.5)
    assert regret(ROWS, "stain")["rank"] == pytest.approx(0.5)


def test_the_table(tmp_path: Path) -> None:
    rows = ResultsFile("choose", tmp_path)
    for name, fields in ROWS.items():
        rows.update(f"tile: 224²: {name}", **fields)
    write(rows, tmp_path / "choose.md")
    lines = (tmp_path / "choose.md").read_text().splitlines()
    assert sum(line.startswith("| tile") for line in lines) == 3
    assert any("224²: c" in line and "patch" in line for line in lines)
