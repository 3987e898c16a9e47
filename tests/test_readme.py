"""README's commands work as pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def pasted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all of README's shell lines have been run, in order."""
    folder = tmp_path_factory.mktemp("readme")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in blocks("bash"):
        script = f"set -euo pipefail\n{block}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return folder


def test_shell_lines_leave_what_they_promise(pasted: Path) -> None:
    bundles = ["cells", "cells2", "crop", "early", "fast", "large", "many", "more", "parts", "small"]
    assert sorted(p.stem for p in pasted.glob("*.panda")) == bundles
    assert list((pasted / "report").glob("*.html"))
    tested = list((pasted / "parts" / "test").rglob("*.png"))
    assert len(list((pasted / "maps").rglob("*_overlay.png"))) == len(tested)


def test_python_lines_work(pasted: Path) -> None:
    (lines,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", lines], cwd=pasted, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    score, threshold, *shape = done.stdout.split()
    assert float(score) > 0
    assert float(threshold) > 0
    assert shape == ["(224,", "224)"]


def test_the_other_commands_are_what_ci_runs() -> None:
    ci = (README.parent / ".ci" / "run").read_text(encoding="utf-8")
    named = re.findall(r"`make ([\w-]+)`", README.read_text(encoding="utf-8"))
    assert named
    for target in named:
        assert f"make {target}" in ci
