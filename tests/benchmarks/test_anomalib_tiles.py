"""Runs that are too large end as rows that say why, and the table shows what there is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.peers import anomalib_tiles
from benchmarks.results_file import ResultsFile


def test_memory_beyond_the_limit_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anomalib_tiles, "MEMORY_GB", 1)
    done = anomalib_tiles._limited([sys.executable, "-c", "bytearray(2 * 10**9)"], {})
    assert done.returncode
    assert anomalib_tiles._why(done) == "MemoryError"


def test_time_beyond_the_limit_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anomalib_tiles, "CPU_SECONDS", 1)
    done = anomalib_tiles._limited([sys.executable, "-c", "while True: pass"], {})
    assert anomalib_tiles._why(done).endswith("minutes of processor time")


def test_the_peak_is_that_of_the_run() -> None:
    done = anomalib_tiles._limited([sys.executable, "-c", "bytearray(300 * 2**20)"], {})
    assert 300 < int(anomalib_tiles._last_line(done.stdout, "peak_kb")) / 1024 < 400


def test_the_table_shows_what_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(anomalib_tiles, "FOLDER", tmp_path)
    rows = ResultsFile("anomalib_tiles", tmp_path)
    rows.update("PaDiM 640", failed="MemoryError")
    found = {"image_auroc": 0.5, "image_auroc_map": 0.75, "pixel_auroc": None, "pro": 0.125}
    rows.update("ours --tiles 3x3", accuracy=found, fit_s=12.3)
    anomalib_tiles.write(rows)
    lines = (tmp_path / "full_resolution_peers.md").read_text().splitlines()
    theirs, ours = (next(line for line in lines if start in line) for start in ("anomalib PaDiM 640", "3x3"))
    assert theirs.endswith("| MemoryError |")
    assert ours.startswith("| panda-train fit --tiles 3x3 | 0.500 | 0.750 | – | 0.125 | 12 |")
