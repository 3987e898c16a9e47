"""Results that people take away: CSV, masks, COCO, outlines, numbers with the digits that they have."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import panda_edge
from panda_edge.commands import app as cli
from panda_edge.decide.outline import outlines
from panda_edge.decide.regions import find_regions
from panda_edge.printable import rounded
from panda_edge.visualise.csv_lines import COLUMNS, csv_line

FPR = 0.4
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Exit code, stdout and stderr of `panda-edge ARGUMENTS…`, run inside this process."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["panda-edge", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return run


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("command", ["detect", "segment"])
def test_csv_says_what_json_says(
    call: Call, calibrated_bundles: dict[str, Path], sample_data: Path, tmp_path: Path, command: str
) -> None:
    folder = sample_data / "test" / "hole"
    out = ("--out", tmp_path / "maps") if command == "segment" else ()
    table = tmp_path / "deep" / "x.csv"
    code, said, _ = call(
        command,
        calibrated_bundles["exact"],
        folder,
        tmp_path / "none.png",
        *out,
        "--csv",
        table,
        "--json",
        "--fpr",
        FPR,
    )
    lines, rows = [json.loads(line) for line in said.splitlines()], rows_of(table)
    assert code == 2
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(lines) == len(list(folder.glob("*.png"))) + 1
    for line, row in zip(lines, rows, strict=True):
        assert row["input"] == line["input"]
        if "error" in line:
            assert (row["error"], row["score"]) == (line["error"], "")
            continue
        for column in ("score", "threshold", "severity", "p_value", "ms"):
            assert float(row[column]) == line[column]
        assert row["anomalous"] == json.dumps(line["anomalous"])
        if line.get("regions"):
            first = line["regions"][0]
            assert [int(row["peak_x"]), int(row["peak_y"])] == first["peak_at"]
            assert (int(row["regions"]), float(row["peak"])) == (len(line["regions"]), first["peak"])


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", "\ta", "\ra"])
def test_no_name_becomes_a_formula(name: str) -> None:
    assert next(csv.reader(io.StringIO(csv_line([name, 1]), newline=""))) == [f"'{name}", "1"]


def test_what_csv_quotes_comes_back() -> None:
    values = ["a,b", 'c "d"', "e\nf", -1.5, None, True, False, 0.1 + 0.2]
    assert next(csv.reader(io.StringIO(csv_line(values), newline=""))) == [
        "a,b", 'c "d"', "e\nf", "-1.5", "", "true", "false", "0.3",
    ]  # fmt: skip


def test_a_killed_run_leaves_the_old_table(
    call: Call, calibrated_bundles: dict[str, Path], odd_image: Path, tmp_path: Path
) -> None:
    table = tmp_path / "x.csv"
    table.write_text("old")
    code, *_ = call("detect", tmp_path / "none.panda", odd_image, "--csv", table)
    assert (code, table.read_text()) == (2, "old")
    assert call("detect", calibrated_bundles["exact"], odd_image, "--csv", table)[0] == 0
    assert len(rows_of(table)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_watch_goes_on_in_its_table(calibrated_bundles: dict[str, Path], sample_data: Path, tmp_path: Path) -> None:
    table, program = tmp_path / "x.csv", Path(sys.executable).with_name("panda-edge")
    line = [program, "watch", calibrated_bundles["exact"], sample_data / "test" / "hole", "--once", "--csv", table]
    for _ in range(2):
        done = subprocess.run(line, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert not done.stdout
        with table.open("a") as stream:
            stream.write("unfinished, as a crash leaves it")
    rows = rows_of(table)
    count = len(list((sample_data / "test" / "hole").glob("*.png")))
    assert len(rows) == 2 * count + 1  # and the unfinished one
    assert len({row["id"] for row in rows}) == 2 * count + 1
    assert all(float(row["score"]) > 0 for row in rows[:-1])
    table.write_text("somebody else's\n")
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 2
    assert "its first line" in done.stderr
    assert table.read_text() == "somebody else's\n"


def test_masks_and_coco_are_the_regions(
    call: Call, calibrated_bundles: dict[str, Path], sample_data: Path, tmp_path: Path
) -> None:
    bundle, out, coco = calibrated_bundles["exact"], tmp_path / "maps", tmp_path / "x.json"
    folder = sample_data / "test" / "hole"
    code, said, err = call("segment", bundle, folder, "--out", out, "--masks", "--coco", coco, "--json", "--fpr", FPR)
    assert code == 0, err
    lines = [json.loads(line) for line in said.splitlines()]
    plain = json.loads(coco.read_text())
    assert [image["file_name"] for image in plain["images"]] == [line["input"] for line in lines]
    assert sum(len(line["regions"]) for line in lines) == len(plain["annotations"]) > 0
    detector = panda_edge.load(bundle, fpr=FPR)
    for image, line in zip(plain["images"], lines, strict=True):
        result = detector.segment(line["input"])
        assert result.decision is not None
        mask = np.asarray(Image.open(line["mask"]))
        assert mask.shape == (image["height"], image["width"])
        assert set(np.unique(mask)) <= {0, 255}
        assert np.array_equal(mask > 0, result.heatmap_on_image() > result.decision.pixel_threshold)
        own = [found for found in plain["annotations"] if found["image_id"] == image["id"]]
        for found, region in zip(own, line["regions"], strict=True):
            left, top, right, bottom = region["box"]
            assert found["bbox"] == [left, top, right - left, bottom - top]
            assert (found["score"], found["area"]) == (region["peak"], region["area"])
            xs, ys = found["segmentation"][0][::2], found["segmentation"][0][1::2]
            assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx((left, top, right, bottom), abs=1)
            assert shoelace(xs, ys) == pytest.approx(region["area"], rel=0.05, abs=2)


def shoelace(xs: list[float], ys: list[float]) -> float:
    x, y = np.array(xs), np.array(ys)
    return 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))


@pytest.mark.parametrize("option", [("--masks",), ("--coco", "x.json")])
def test_nothing_is_called_without_calibration(
    call: Call, exact_bundle: Path, odd_image: Path, tmp_path: Path, option: tuple[str, ...]
) -> None:
    code, out, err = call("segment", exact_bundle, odd_image, "--out", tmp_path / "maps", *option)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "is not calibrated" in err


@pytest.mark.parametrize("seed", range(20))
def test_an_outline_holds_its_region(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heatmap = rng.normal(size=(12, 14)).astype(np.float32)
    regions = find_regions(heatmap, 0.5)
    drawn = outlines(heatmap, 0.5)
    assert len(drawn) == len(regions)
    covered = np.zeros(heatmap.shape, bool)
    for outline, region in zip(drawn, regions, strict=True):
        xs, ys = zip(*outline, strict=True)
        assert (min(xs), min(ys), max(xs), max(ys)) == region.box
        assert shoelace(list(xs), list(ys)) >= region.area
        picture = Image.new("1", (14 * 4, 12 * 4))
        ImageDraw.Draw(picture).polygon([(4 * x - 0.5, 4 * y - 0.5) for x, y in outline], fill=1)
        covered |= np.asarray(picture)[2::4, 2::4]
    assert (covered >= (heatmap > 0.5)).all()


def test_an_outline_of_two_pixels_at_a_corner() -> None:
    heatmap = np.eye(2, dtype=np.float32)
    assert outlines(heatmap, 0.5) == [[(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (1, 2), (1, 1), (0, 1)]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (44.23310089111328, 44.2331),
        (0.01639344262295082, 0.01639344),
        (1.7e9 + 0.1234, 1700000000.123),
        (-3.0517578125e-05, -3.051758e-05),
        ({"a": [1.23456789, (None, True, 7)]}, {"a": [1.234568, [None, True, 7]]}),
        (float("inf"), float("inf")),
        (0.0, 0.0),
    ],
)
def test_numbers_have_the_digits_that_they_have(value: Any, expected: Any) -> None:
    assert rounded(value) == expected
