"""`panda-train choose` and `fit --bank auto` from the command line, on a small network and few candidates."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import panda_edge
from bank_choice import settings_for
from panda_train import backbones
from panda_train.choosing import candidates, choosing, halving
from panda_train.commands import app as cli
from tiny import TinyBackbone

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(backbones, "load", lambda name, weights=None, adapt_from=None: TinyBackbone())
    rungs = (halving.Rung(6, 4, 7, 2), halving.Rung(12, 4, 14, 1))
    monkeypatch.setattr(halving, "RUNGS", rungs)
    monkeypatch.setattr(choosing, "RUNGS", rungs)
    banks = {"exact": (settings_for("exact"), None), "coreset": (settings_for("coreset"), 0.1)}
    monkeypatch.setattr(candidates, "_BANKS", {**banks, "gaussian": (settings_for("gaussian"), None)})

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["panda-train", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    return command


def test_it_prints_a_command_that_fits(
    run: Run, sample_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state, plot = tmp_path / "state.json", tmp_path / "x.svg"
    code, out, err = run("choose", sample_data, "--ms", 1000, "--json", "--state", state, "--plot", plot)
    assert code == 0, err
    said = json.loads(out)
    assert {row["name"] for row in said["candidates"]} == {"224²: exact", "224²: coreset", "224²: gaussian"}
    assert said["chosen"]["left_out"] is None
    assert said["chosen"]["rung"] == 2
    assert sum(row["left_out"] is None for row in said["candidates"]) == 1
    assert plot.is_file()
    before = state.read_bytes()
    assert json.loads(run("choose", sample_data, "--ms", 1000, "--json", "--state", state)[1]) == said
    assert state.read_bytes() == before
    code, table, _ = run("choose", sample_data, "--ms", 1000, "--state", state)
    assert table.strip().splitlines()[-1] == said["command"]
    program, *arguments = shlex.split(said["command"])
    assert program == "panda-train"
    assert run(*arguments)[0] == 0
    assert (tmp_path / "data.panda" / "manifest.json").is_file()


def test_other_networks_are_tried(run: Run, sample_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(candidates, "_BANKS", {"exact": (settings_for("exact"), None)})
    code, out, err = run("choose", sample_data, "--ms", 1000, "--json", "--also", "resnet18")
    assert code == 0, err
    names = {row["name"] for row in json.loads(out)["candidates"]}
    assert names == {"224²: exact", "resnet18 224²: exact", "resnet18 256²: exact"}
    refused(run("choose", sample_data, "--also", "resnet18,"), "--also 'resnet18,': expected names")
    refused(run("choose", sample_data, "--also", "resnet17"), "no backbone 'resnet17'; there are efficientnet-lite0")


def test_fit_chooses_by_itself(run: Run, sample_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.panda"
    code, _, err = run("fit", sample_data, "--out", out, "--bank", "auto", "--ms", 1000)
    assert code == 0, err
    assert "--bank auto: --bank " in err
    chosen = err.split("--bank auto: --bank ")[1].split()[0]
    assert panda_edge.load(out).bundle.manifest.segmentation.bank == chosen


def test_no_test_picture_is_read(run: Run, sample_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_BANKS", {"exact": (settings_for("exact"), None)})
    shutil.copytree(sample_data, tmp_path / "data")
    first = json.loads(run("choose", tmp_path / "data", "--ms", 1000, "--json")[1])
    for picture in [*(tmp_path / "data" / "test").rglob("*.png"), *(tmp_path / "data").glob("ground_truth/*/*.png")]:
        picture.write_bytes(b"no picture")
    again = json.loads(run("choose", tmp_path / "data", "--ms", 1000, "--json")[1])
    for one, other in zip(first["candidates"], again["candidates"], strict=True):
        assert (one["name"], one["image"], one["pixel"]) == (other["name"], other["image"], other["pixel"])


def refused(result: tuple[int, str, str], what: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.strip().splitlines()[-1].startswith("error: ")
    assert what in err, err
    assert "Traceback" not in err


def test_mistakes_are_one_line(run: Run, sample_data: Path, normal_images: list[Path], tmp_path: Path) -> None:
    few, same = tmp_path / "few", tmp_path / "same"
    few.mkdir()
    same.mkdir()
    for i, image in enumerate(normal_images):
        shutil.copy(normal_images[0], same / f"{i}.png")
        if i < 5:
            shutil.copy(image, few)
    refused(run("choose", few), "5 normal pictures; choosing needs at least 12")
    refused(run("choose", same), "1 normal pictures; choosing needs at least 12")
    refused(run("choose", sample_data, "--ms", 0), "--ms 0: expected a number above 0")
    for pixels in ("0", "-4", "nan", "inf"):
        refused(run("choose", sample_data, "--smallest-defect", pixels), f"--smallest-defect {pixels}: expected")
    refused(run("choose", sample_data, "--fpr", 2), "--fpr 2: expected a false-alarm rate above 0 and below 1")
    refused(run("choose", sample_data, "--seed", "-1"), "--seed")
    refused(run("choose", sample_data, "--largest-defect", 0), "--largest-defect 0: expected pixels, above 0")
    refused(
        run("choose", sample_data, "--smallest-defect", 30, "--largest-defect", 30),
        "--largest-defect 30: expected pixels, more than --smallest-defect 30",
    )
    refused(run("choose", sample_data, "--ms", 0.001), "no candidate takes at most 0.001 ms a picture; the fastest")
    refused(run("choose", sample_data, "--bank-mb", 0.0001), "no candidate fits: --max-bank-mb 0.0001: too small")
    refused(run("choose", sample_data, "--plot", tmp_path / "x.pdf"), "ends in .png or .svg")
    refused(run("choose", sample_data, "--device-speed", few / "none.json"), "expected what `panda-edge bench")
    refused(run("fit", few, "--out", tmp_path / "x.panda", "--bank", "auto"), "choosing needs at least 12")
    refused(
        run("fit", few, "--out", tmp_path / "x.panda", "--bank", "auto", "--average", 3),
        "--average does nothing with --bank auto",
    )
    assert not (tmp_path / "x.panda").exists()


def test_a_slower_device(run: Run, sample_data: Path, tmp_path: Path) -> None:
    said = {
        "stages_ms": {"preprocess": 500.0, "backbone": 500.0},
        "tiles": None,
        "model": {"backbone": "tiny", "precision": "float32", "height": 64, "width": 64},
    }
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(said))
    refused(
        run("choose", sample_data, "--ms", 30, "--device-speed", file), "no candidate takes at most 30 ms a picture"
    )
    for change, what in (({"tiles": {"count": 4}}, "of a bundle of tiles"), ({"stages_ms": {}}, "expected what")):
        file.write_text(json.dumps({**said, **change}))
        refused(run("choose", sample_data, "--device-speed", file), what)
    file.write_text(json.dumps({**said, "model": {**said["model"], "backbone": "resnet18"}}))  # type: ignore[dict-item]
    refused(run("choose", sample_data, "--device-speed", file), "of backbone resnet18, not tiny")
