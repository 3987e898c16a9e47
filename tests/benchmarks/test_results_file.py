import json
from pathlib import Path

from benchmarks.lib.conditions import commit
from benchmarks.lib.results_file import ResultsFile


def test_update_keeps_other_fields_and_rows(tmp_path: Path) -> None:
    rows = ResultsFile("banks", tmp_path)
    rows.update("a", speed=1)
    rows.update("b", speed=2)
    rows.update("a", accuracy=0.5)
    assert rows.get("a").items() >= {"speed": 1, "accuracy": 0.5}.items()
    assert ResultsFile("banks", tmp_path).get("b")["speed"] == 2
    assert rows.get("absent") == {}


def test_a_row_says_what_it_was_measured_with(tmp_path: Path) -> None:
    rows = ResultsFile("banks", tmp_path)
    rows.update("a", speed=1)
    said = rows.get("a")["measured"]
    assert said["commit"] == commit()
    assert said["cpu"]
    assert said["time"].endswith("UTC")


def test_a_row_is_a_line(tmp_path: Path) -> None:
    rows = ResultsFile("banks", tmp_path)
    rows.update("a", speed={"p50": 1, "p95": 2})
    rows.update("ä", speed=[1, 2])
    lines = (tmp_path / "banks.json").read_text(encoding="utf-8").splitlines()
    assert [line.split(":")[0] for line in lines] == ["{", '"a"', '"ä"', "}"]
    assert list(json.loads("".join(lines))) == ["a", "ä"]


def test_two_writers_do_not_lose_each_others_rows(tmp_path: Path) -> None:
    first, second = ResultsFile("banks", tmp_path), ResultsFile("banks", tmp_path)
    first.update("a", speed=1)
    second.update("b", speed=2)
    first.update("c", speed=3)
    assert [second.get(key).get("speed") for key in "abc"] == [1, 2, 3]
    assert [file.name for file in tmp_path.iterdir()] == ["banks.json"]
