"""Regret and rank correlation, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.lib.results_file import ResultsFile
from benchmarks.studies.choose.__main__ import regret, write

from panda_train.choosing.judge import best_rule


def row(real: tuple[float, float], **painted: float) -> dict[str, Any]:
    def found(image: float, pixel: float) -> dict[str, Any]:
        return {"image": {"local": image, "top1": image - 0.1}, "found": {}, "pixel": pixel, "pro": pixel}

    by_family = {family: found(value, value) for family, value in painted.items()}
    return {"real": found(*real), "painted": by_family, "normal": [30, 40]}


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
    assert (misled["chosen"], misled["rule"]) == ("c", "local")
    assert misled["image"] == pytest.approx(0.2)
    assert misled["rank"] == pytest.approx(-0.5)
    assert regret(ROWS, "stain")["rank"] == pytest.approx(0.5)


def test_where_nothing_painted_is_found_embeddings_decide() -> None:
    found = {"local": 0.52, "embedding": 0.51}
    assert best_rule(found, 100, 140) == "embedding"
    assert best_rule({**found, "local": 0.6}, 100, 140) == "local"
    assert best_rule(found, 4, 140) == "local"  # which four pictures cannot say


def test_large_defects_and_sets_without_true_pixels() -> None:
    large = {
        name: {**fields, "large": ROWS[other]["painted"]}
        for (name, fields), other in zip(ROWS.items(), "bca", strict=True)
    }
    assert regret(large)["chosen"] == "a"
    assert regret(large, sizes="large")["chosen"] in ("b", "c")  # whose large ones are those of c and a
    unknown = {name: {**fields, "real": {**fields["real"], "pixel": None}} for name, fields in ROWS.items()}
    assert regret(unknown)["pixel"] is None
    assert regret(unknown)["best"] == "a"


def test_the_table(tmp_path: Path) -> None:
    rows = ResultsFile("studies/choose/results", tmp_path)
    for name, fields in ROWS.items():
        rows.update(f"tile: 224²: {name}", **fields)
    write(rows, tmp_path / "choose.md")
    lines = (tmp_path / "choose.md").read_text().splitlines()
    assert sum(line.startswith("| tile") for line in lines) == 3
    assert any("224²: c" in line and "patch" in line for line in lines)
