"""The table of three data sets."""

from __future__ import annotations

from pathlib import Path

from benchmarks.lib.results_file import ResultsFile
from benchmarks.peers.three_sets import SETS, table


def test_the_default_comes_first_then_the_fastest(tmp_path: Path) -> None:
    rows = ResultsFile("peers/results/three_sets", tmp_path)
    for i, subject in enumerate(SETS):
        for name, ms in (("padim", 30.0), ("exact, K=50", 20.0), ("gaussian", 10.0)):
            accuracy = {"image_auroc_map": 0.9 + i / 100, "pixel_auroc": 0.8, "pro": 0.7}
            rows.update(f"{subject}: {name}", title=name.title(), accuracy=accuracy, p50_ms=ms + i, mb=100.4)
    lines = table(rows).splitlines()[2:]
    assert [line.split("|")[1].strip() for line in lines] == ["Exact, K=50, the default", "Gaussian", "Padim"]
    assert "| 0.900 / 0.800, 0.700 | 0.910 / 0.800, 0.700 | 0.920 / 0.800, 0.700 |" in lines[0]
    assert lines[0].endswith("| 20.0, 21.0, 22.0 | 100, 100, 100 |")
