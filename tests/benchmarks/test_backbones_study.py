"""What the studies of networks reckon from measured rows."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="needs Dask: pip install panda-edge[archive]")

from benchmarks.speed.archive import million
from benchmarks.studies.backbones.few import MOST_NORMAL, MOST_TEST, few_of
from benchmarks.studies.backbones.table import front
from benchmarks.studies.gpu_search.__main__ import GPUS, SHARE, Case
from benchmarks.studies.map_steps.settings import WHOLE, Setting


def rows(image: float, pro: float, sets: int = len(WHOLE)) -> dict[str, dict[str, float]]:
    return {setting.name: {"image": image, "pro": pro} for setting in WHOLE[:sets]}


def test_the_front() -> None:
    """On it: fast and poor, middling, slow and good. Not on it: what something faster beats, and what lacks a set."""
    found = {
        "fast": rows(0.90, 0.80), "middling": rows(0.94, 0.85), "slow": rows(0.95, 0.85), "beaten": rows(0.93, 0.85),
        "part": rows(0.99, 0.99, 7), "untimed": rows(0.99, 0.99),
    }  # fmt: skip
    times = {name: {"ms": ms} for name, ms in (("fast", 1), ("middling", 2), ("slow", 4), ("beaten", 3), ("part", 1))}
    assert front(found, times) == {"fast", "middling", "slow"}


def test_a_large_set_is_thinned_evenly_and_a_small_one_is_not(tmp_path: Path) -> None:
    for name, (normal, good, bad) in {"many": (400, 100, 300), "small": (20, 5, 5)}.items():
        for folder, count in (("train/good", normal), ("test/good", good), ("test/hole", bad)):
            (tmp_path / name / folder).mkdir(parents=True)
            for number in range(count):
                (tmp_path / name / folder / f"{number:03d}.png").touch()
        (tmp_path / name / "ground_truth").mkdir()
    many, small = (few_of(Setting(name, name), tmp_path, tmp_path / "work") for name in ("many", "small"))
    assert (len(many.train), len(many.test)) == (MOST_NORMAL, MOST_TEST)
    assert sum(sample.anomalous for sample in many.test) == MOST_TEST * 3 // 4
    assert many.train[-1].name == "399.png"
    assert small.root == tmp_path / "small"


def test_a_million_pictures() -> None:
    """256 pictures a part; 2 workers of 36 ms a picture take 5 hours."""
    row = {
        "listing a picture": {"us": 20.0, "bytes": 1700},
        "handing out a part": {"ms": 1.0},
        "scoring a picture": {"ms": 36.0},
        "writing a part": {"ms": 4.0, "line_bytes": 200},
    }
    found = million(row)  # type: ignore[arg-type]
    assert (found["parts"], found["hours"], found["asking_seconds"]) == (3907, 5.0, 40)
    assert (found["asking_mb"], found["results_mb"]) == (1700, 200)
    assert found["workers_that_one_asks"] == 910


def test_brute_force_on_a_gpu() -> None:
    case = Case("x", cells=3136, channels=176, network_ms=1.0, search_ms=10.0, gflop=0.3)
    assert case.products_gflop == pytest.approx(173.1, abs=0.1)  # 2 · 3136 · 156,800 · 176
    assert case.search_on("T4") == pytest.approx(173.1 / (SHARE * GPUS["T4"][0]), rel=1e-3)
    few = Case("x", cells=4, channels=10**6, network_ms=1.0, search_ms=1.0, gflop=0.0)
    assert few.search_on("T4") == pytest.approx(2 * 200 * 1e6 / 320e9 * 1e3)  # by bytes
