"""The report: one page that needs nothing beside it, with the figures that `evaluate` gives."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from chromium import browser_page, chromium
from panda_edge.printable import rounded
from panda_train.data.folders import open_dataset
from panda_train.evaluation.charts import BLUE, Line, curves, histogram
from panda_train.evaluation.evaluation import evaluate
from panda_train.evaluation.examples import part_around
from panda_train.evaluation.report import write_report
from panda_train.evaluation.scored import score_images


@pytest.fixture(scope="module")
def page(calibrated_bundles: dict[str, Path], sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "new"
    return write_report(calibrated_bundles["gaussian"], open_dataset(sample_data), out, threads=1, fpr=0.2)


def test_figures_are_those_of_evaluate(page: Path, calibrated_bundles: dict[str, Path], sample_data: Path) -> None:
    figures = json.loads((page.parent / "figures.json").read_text())
    expected = evaluate(calibrated_bundles["gaussian"], open_dataset(sample_data), threads=1, fpr=0.2)
    assert figures == json.loads(json.dumps(rounded(expected)))
    text = page.read_text()
    assert f"<b>{expected['pixel_auroc']:.3f}</b>" in text
    for kind in expected["kinds"]:
        assert f"<td>{kind}</td>" in text


def test_the_page_needs_nothing_beside_it(page: Path) -> None:
    text = page.read_text()
    assert all(source.startswith("data:image/") for source in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert "http" not in re.sub(r"data:image/[^\"]*", "", text)
    assert 'name="viewport"' in text
    assert "prefers-color-scheme:dark" in text
    assert all(word in text for word in ("<b>AUROC</b>", "<b>PRO</b>"))


def section(text: str, title: str) -> str:
    return text.split(f"<h2>{title}")[1].split("<h2>")[0]


def names(text: str) -> list[str]:
    """kind/name of each picture that a section shows."""
    return re.findall(r'<div class="name">([^:]*): called', text)


def test_misses_and_alarms_really_are_those(page: Path, calibrated_bundles: dict[str, Path], sample_data: Path) -> None:
    text = page.read_text()
    scored = score_images(calibrated_bundles["gaussian"], open_dataset(sample_data), threads=1, fpr=0.2)
    missed = {f"{i.sample.kind}/{i.sample.path.name}" for i in scored.images if i.sample.anomalous and not i.anomalous}
    alarms = {f"{i.sample.kind}/{i.sample.path.name}" for i in scored.images if i.anomalous and not i.sample.anomalous}
    for title, expected in ((f"Misses: {len(missed)} of ", missed), (f"False alarms: {len(alarms)} of ", alarms)):
        shown = names(section(text, title))
        assert len(shown) == min(len(expected), 6)
        assert set(shown) <= expected
    assert missed | alarms, "nothing to show here would prove nothing"


def test_what_is_shown_in_full_resolution_is(page: Path) -> None:
    rows = [row for row in page.read_text().split('<div class="name">')[1:] if re.search(r"<span>\d+×\d+ pixels<", row)]
    assert rows
    for row in rows:
        promised = re.search(r"<span>(\d+)×(\d+) pixels</span>", row)
        assert promised is not None
        for data in re.findall(r"data:image/jpeg;base64,([^\"]*)", row)[1:]:
            assert Image.open(io.BytesIO(base64.b64decode(data))).size == tuple(map(int, promised.groups()))


def test_operating_points(page: Path, calibrated_bundles: dict[str, Path], sample_data: Path) -> None:
    points = json.loads((page.parent / "figures.json").read_text())["operating_points"]
    assert [point["asked"] for point in points] == [0.001, 0.005, 0.01, 0.02, 0.05]
    dataset = open_dataset(sample_data)
    for point in points:
        decided = evaluate(calibrated_bundles["gaussian"], dataset, threads=1, fpr=point["asked"])["at_threshold"]
        for name in ("promised", "false_alarms", "fpr", "tpr"):
            assert point[name] == rounded(decided[name])
        assert point["fpr_interval"] == rounded(decided["fpr_interval"])
    text = section(page.read_text(), "How many are found")
    images = points[0]["calibration_images"]
    assert images < 999
    assert f"{images} calibration pictures cannot promise 0.1 %" in text


def test_every_picture_is_in_the_list(page: Path, sample_data: Path) -> None:
    dataset = open_dataset(sample_data)
    text = section(page.read_text(), f"All {len(dataset.test)} test pictures")
    listed = re.findall(r"<tr><td>([^<]*)</td><td>(\w+)</td>", text)
    assert sorted(listed) == sorted(
        (sample.path.relative_to(dataset.root).as_posix(), "anomalous" if sample.anomalous else "normal")
        for sample in dataset.test
    )
    keys = [float(key) for key in re.findall(r'data-key="([^"]*)"', text)]
    assert keys == sorted(keys, reverse=True)


def test_a_click_sorts_the_list(page: Path) -> None:
    with browser_page(390, 800) as tab:
        tab.goto(page.as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390, "wider than a phone"
        for descending in (True, False, True):  # click by click
            tab.click("th button:text-is('p')")
            found = [float(text) for text in tab.locator(".list td:last-child").all_text_contents()]
            assert found == sorted(found, reverse=descending)


@pytest.mark.parametrize("size", [(5472, 3648), (300, 100), (64, 64)])
@pytest.mark.parametrize("box", [(0, 0, 12, 12), (40, 30, 64, 64), (10, 20, 11, 21)])
def test_a_part_holds_its_region_and_lies_in_the_image(size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = part_around(box, size)
    assert 0 <= left <= box[0]
    assert 0 <= top <= box[1]
    assert box[2] <= right <= size[0]
    assert box[3] <= bottom <= size[1]
    assert (right - left, bottom - top) == (min(192, size[0]), min(192, size[1]))


def test_a_part_of_a_large_region_shows_what_is_around() -> None:
    assert part_around((1000, 1000, 1400, 1100), (5000, 4000)) == (936, 786, 1464, 1314)


def test_charts_are_well_formed_and_escape_names() -> None:
    x = np.linspace(0, 1, 5)
    chart = curves("a < b", "x", "y", [Line("<script>", x, x, BLUE)], 0.5)
    figure = ElementTree.fromstring(chart)
    points = figure.find(".//polyline").attrib["points"].split()
    assert len(points) == 3, "points beyond the shown part are left out"
    ElementTree.fromstring(histogram("h", np.array([1.0, 2.0]), np.array([3.0]), threshold=2.5))
    ElementTree.fromstring(histogram("one score", np.array([1.0]), np.array([]), threshold=None))


def test_it_opens_in_a_browser_on_a_phone(page: Path, tmp_path: Path) -> None:
    shot = tmp_path / "page.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=500,2400"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [chromium(), *options, profile, f"--screenshot={shot}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    drawn = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert drawn.shape[1] == 500
    assert drawn.std() > 10, "a blank page"
    blue = (np.abs(drawn - np.array([0, 0x72, 0xB2])).sum(axis=2) < 30).sum()
    assert blue > 200, "the curves are not there"
