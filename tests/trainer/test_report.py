"""The report: one page that needs nothing beside it, with the figures that `evaluate` gives."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from panda_train.data.folders import open_dataset
from panda_train.evaluate.charts import BLUE, Line, curves, histogram
from panda_train.evaluate.evaluation import evaluate
from panda_train.evaluate.report import write_report


@pytest.fixture(scope="module")
def page(calibrated_bundles: dict[str, Path], sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "new"
    return write_report(calibrated_bundles["gaussian"], open_dataset(sample_data), out, threads=1, fpr=0.2)


def test_figures_are_those_of_evaluate(page: Path, calibrated_bundles: dict[str, Path], sample_data: Path) -> None:
    figures = json.loads((page.parent / "figures.json").read_text())
    expected = evaluate(calibrated_bundles["gaussian"], open_dataset(sample_data), threads=1, fpr=0.2)
    assert figures == json.loads(json.dumps(expected))
    text = page.read_text()
    assert f"<b>{expected['pixel_auroc']:.3f}</b>" in text
    for kind in expected["kinds"]:
        assert f"<td>{kind}</td>" in text


def test_the_page_needs_nothing_beside_it(page: Path) -> None:
    text = page.read_text()
    assert all(source.startswith("data:image/") for source in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert "http" not in re.sub(r"data:image/[^\"]*", "", text)
    assert 'name="viewport"' in text


def test_charts_are_well_formed_and_escape_names() -> None:
    x = np.linspace(0, 1, 5)
    chart = curves("a < b", "x", "y", [Line("<script>", x, x, BLUE)], 0.5)
    figure = ElementTree.fromstring(chart)
    points = figure.find(".//polyline").attrib["points"].split()
    assert len(points) == 3, "points beyond the shown part are left out"
    ElementTree.fromstring(histogram("h", np.array([1.0, 2.0]), np.array([3.0]), threshold=2.5))
    ElementTree.fromstring(histogram("one score", np.array([1.0]), np.array([]), threshold=None))


def test_it_opens_in_a_browser_on_a_phone(page: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here; install it (apt-get install chromium) to see the report drawn")
    shot = tmp_path / "page.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=500,2400"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [browser, *options, profile, f"--screenshot={shot}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    drawn = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert drawn.shape[1] == 500
    assert drawn.std() > 10, "a blank page"
    blue = (np.abs(drawn - np.array([0, 0x72, 0xB2])).sum(axis=2) < 30).sum()
    assert blue > 200, "the curves are not there"
