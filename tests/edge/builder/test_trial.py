"""`panda-edge extend`: a look before pictures join a bundle, so that one wrong click ruins none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_edge.builder.trial import figures, unlike
from panda_edge.commands import app as cli
from panda_edge.printable import rounded


@pytest.fixture
def bundle(calibrated_bundles: dict[str, Path]) -> Path:
    return calibrated_bundles["exact"]


@pytest.fixture
def normal(sample_data: Path) -> list[Path]:
    return sorted((sample_data / "test" / "good").glob("*.png"))


@pytest.fixture
def defect(tmp_path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "d.png")
    return tmp_path / "d.png"


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["panda-edge", "extend", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def test_only_what_is_far_from_normal_is_found(
    bundle: Path, uncalibrated: Path, normal: list[Path], defect: Path, tmp_path: Path
) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    every = unlike(bundle, [*normal, defect, tmp_path / "no.png"], 0.0)
    assert {one.path for one in every} == {*normal, defect}
    found = unlike(bundle, [*normal, defect], every[1].severity)
    assert [one.path for one in found] == [defect]
    assert unlike(bundle, [defect], found[0].severity * 1.01) == []
    assert unlike(uncalibrated, [defect], 0.0) == []  # nothing to compare it with


@pytest.fixture
def uncalibrated(exact_bundle: Path) -> Path:
    return exact_bundle


def test_a_defect_is_refused_and_named(
    bundle: Path, normal: list[Path], defect: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "more.panda"
    code, said, why = run(monkeypatch, capsys, bundle, normal[0], defect, "--out", out)
    assert (code, said, why.count("\n"), out.exists()) == (2, "", 1, False)
    assert f"{defect} (" in why
    assert "--max-severity" in why
    assert str(normal[0]) not in why
    enough = why.rsplit(" ", 1)[1].strip()
    assert run(monkeypatch, capsys, bundle, normal[0], defect, "--out", out, "--max-severity", enough)[0] == 0
    assert out.exists()


def test_a_dry_run_writes_nothing(
    bundle: Path, normal: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    wanted = [bundle, normal[0], "--max-severity", 99, "--json"]
    code, said, _ = run(monkeypatch, capsys, *wanted, "--dry-run")
    dry = json.loads(said)
    assert (code, dry["bundle"], dry["added"], list(tmp_path.iterdir())) == (0, None, 1, [])
    code, said, _ = run(monkeypatch, capsys, *wanted, "--out", tmp_path / "more.panda")
    done = json.loads(said)
    assert {**done, "bundle": None} == dry
    assert done["threshold_before"] == rounded(figures(bundle, 0.01)["threshold"])
    assert done["threshold"] == rounded(figures(tmp_path / "more.panda", 0.01)["threshold"])
    code, _, why = run(monkeypatch, capsys, bundle, normal[0])
    assert (code, "--dry-run" in why) == (2, True)
