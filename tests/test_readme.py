"""README's commands work as pasted, and it stays short."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT, blocks, run_bash

README = ROOT / "README.md"


@pytest.fixture(scope="module")
def pasted(tmp_path_factory: pytest.TempPathFactory, commands: Path) -> Path:
    """A folder in which all of README's shell lines have been run, in order."""
    folder = tmp_path_factory.mktemp("readme")
    for block in blocks(README, "bash"):
        run_bash(block.text, folder, commands)
    return folder


def test_shell_lines_leave_what_they_promise(pasted: Path) -> None:
    assert [bundle.stem for bundle in pasted.glob("*.panda")] == ["parts"]
    assert (pasted / "check.html").is_file()
    tested = list((pasted / "parts" / "test" / "hole").rglob("*.png"))
    assert len(list((pasted / "maps").rglob("*_overlay.png"))) == len(tested) > 0


def test_python_lines_work(pasted: Path) -> None:
    (block,) = blocks(README, "python")
    done = subprocess.run([sys.executable, "-c", block.text], cwd=pasted, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    score, threshold, *shape = done.stdout.split()
    assert float(score) > 0
    assert float(threshold) > 0
    assert shape == ["(224,", "224)"]


def test_the_other_commands_are_what_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    named = re.findall(r"`make ([\w-]+)`", README.read_text(encoding="utf-8"))
    assert named
    for target in named:
        assert f"make {target}" in ci


def test_it_is_a_page() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 100
