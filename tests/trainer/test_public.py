"""`panda_train.fit`, `evaluate` and `choose`: the commands, as a program calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import panda_train
from panda_edge.bundle.manifest import read_manifest
from panda_edge.errors import PandaError


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_to_import_it_costs_no_torch() -> None:
    assert run("import sys, panda_train; print('torch' in sys.modules, 'numpy' in sys.modules)") == "False False\n"


def test_the_functions_are_there_whatever_was_imported() -> None:
    code = """
import importlib, sys
for first in ("panda_train.fitting", "panda_train.evaluation.metrics", "panda_train.choosing.paint"):
    for name in [name for name in sys.modules if name.partition(".")[0] == "panda_train"]:
        del sys.modules[name]  # what it imports of others is there already, which takes seconds
    importlib.import_module(first)
    import panda_train
    from panda_train import choose, evaluate, fit
    from panda_train.fitting import FitOptions
    print(*(f.__module__ for f in (fit, evaluate, choose, panda_train.fit, panda_train.choose)))
"""
    assert run(code).split() == ["panda_train.public"] * 15


def test_fit_then_evaluate(sample_data: Path, tmp_path: Path, commands: Path) -> None:
    out = tmp_path / "parts.panda"
    # A gaussian bank takes a minute.
    manifest = panda_train.fit(str(sample_data), str(out), bank="coreset", device="cpu")
    assert manifest == read_manifest(out)
    assert manifest.segmentation.bank == "coreset"
    figures = panda_train.evaluate(out, sample_data, threads=2, fpr=0.3)
    command = [commands / "panda-train", "evaluate", out, sample_data, "--json", "--fpr", "0.3"]
    printed = json.loads(subprocess.run([*command, "--threads", "2"], capture_output=True, check=True).stdout)
    assert printed["image_auroc"] == pytest.approx(figures["image_auroc"], abs=1e-3)
    assert printed["normal_images"] == figures["normal_images"]


def test_fit_writes_what_the_command_writes(sample_data: Path, tmp_path: Path, commands: Path) -> None:
    panda_train.fit(sample_data, tmp_path / "ours.panda", bank="coreset", device="cpu")
    asked = ["fit", sample_data, "--out", tmp_path / "theirs.panda", "--bank", "coreset", "--device", "cpu"]
    subprocess.run([commands / "panda-train", *asked], capture_output=True, check=True)
    made = [tmp_path / "ours.panda", tmp_path / "theirs.panda"]
    ours, theirs = (
        {file.relative_to(bundle): file.read_bytes() for file in bundle.rglob("*") if file.is_file()} for bundle in made
    )
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_mistakes_are_ours(sample_data: Path, tmp_path: Path) -> None:
    for call in (
        lambda: panda_train.fit(sample_data, tmp_path / "x.panda", bank="exakt"),
        lambda: panda_train.fit(tmp_path / "none", tmp_path / "x.panda"),
        lambda: panda_train.evaluate(tmp_path / "none.panda", sample_data),
        lambda: panda_train.choose(sample_data, ms=-1),
    ):
        with pytest.raises(PandaError):
            call()
