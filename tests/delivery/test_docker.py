"""The images' Dockerfile: what it copies is there, it keeps its promises, and hadolint finds nothing."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from panda_edge.stream.sinks import metrics

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "delivery" / "docker" / "Dockerfile"


def stages() -> dict[str, str]:
    """Instructions of each stage, by its name."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    parts = re.split(r"^FROM \S+ AS (\w[\w-]*)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("name", ["device", "workstation"])
def test_an_image_is_not_root_and_has_no_compiler(name: str) -> None:
    stage = stages()[name]
    assert re.findall(r"^USER (.+)$", stage, re.MULTILINE) == ["10001:10001"]
    assert not re.search(r"\b(gcc|g\+\+|build-essential)\b", stage)


def test_the_health_check_asks_what_watch_serves() -> None:
    device = stages()["device"]
    code = json.loads(re.search(r"HEALTHCHECK .*? CMD (\[.*\])", device)[1])[-1]  # type: ignore[index]
    ast.parse(code)
    command = json.loads(re.search(r"^CMD (\[.*\])$", device, re.MULTILINE)[1])  # type: ignore[index]
    port = command[command.index("--metrics") + 1].rpartition(":")[2]
    (asked,) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", code)
    assert asked == (port, "/healthz")
    assert b'"/healthz"' in Path(metrics.__file__).read_bytes()


def test_extras_are_in_pyproject() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = re.findall(r"^ARG EXTRAS=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert len(asked) == 2
    assert not {extra for line in asked for extra in line.split(",")} - known.keys()


def test_what_the_build_needs_is_let_through() -> None:
    """.dockerignore keeps all out but what is named."""
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, tool = pyproject["project"], pyproject["tool"]["setuptools"]
    needed = {"pyproject.toml", project["readme"], *project["license-files"], *tool["packages"]["find"]["where"]}
    assert needed <= set(kept)
    assert all((ROOT / name).exists() for name in kept)


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("needs hadolint: pip install 'panda-edge[dev]'")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
