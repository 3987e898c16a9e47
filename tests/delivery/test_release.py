"""A release: one version, a changelog that has it, metadata that PyPI takes, workflows that call what is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from delivery.release import problems

import panda_edge

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def project(folder: Path, version: str, log: str) -> Path:
    (folder / "edge" / "panda_edge").mkdir(parents=True)
    (folder / "edge" / "panda_edge" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(log)
    return folder


def test_a_release_that_is_ready(tmp_path: Path) -> None:
    log = "# Changelog\n\n## Unreleased\n\n## 0.2.0 – 2027-01-31\n\n### Added\n- A thing.\n"
    assert problems("v0.2.0", project(tmp_path, "0.2.0", log)) == []


@pytest.mark.parametrize(
    ("tag", "log", "said"),
    [
        ("v0.3.0", "## Unreleased\n\n## 0.2.0 – 2027-01-31\n- A thing.\n", "expected v0.2.0"),
        ("v0.2.0", "## Unreleased\n\n- A thing.\n", "expected a section"),
        ("v0.2.0", "## Unreleased\n\n## 0.2.0\n- A thing.\n", "expected a section"),
        ("v0.2.0", "## Unreleased\n\n## 0.2.0 – 2027-01-31\n", "says what changed"),
        ("v0.2.0", "## Unreleased\n- Left.\n\n## 0.2.0 – 2027-01-31\n- A thing.\n", "left under Unreleased"),
    ],
)
def test_one_that_is_not(tag: str, log: str, said: str, tmp_path: Path) -> None:
    found = problems(tag, project(tmp_path, "0.2.0", log))
    assert any(said in line for line in found), found


def test_the_version_stands_once() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert metadata["project"]["dynamic"] == ["version"]
    assert metadata["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "panda_edge.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", panda_edge.__version__)


def test_classifiers_are_pypis() -> None:
    known = pytest.importorskip("trove_classifiers", reason="needs trove-classifiers: pip install 'panda-edge[dev]'")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not set(project["classifiers"]) - known.classifiers


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_what_is_there(path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML: pip install 'panda-edge[test]'")
    jobs = yaml.safe_load(path.read_text())["jobs"]
    steps = [step for job in jobs.values() for step in job.get("steps", ())]
    lines = [step["run"] for step in steps if "run" in step]
    assert [job["uses"] for job in jobs.values() if "uses" in job and not (ROOT / job["uses"]).exists()] == []
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in lines:
        for target in re.findall(r"\bmake (\w+)", line):
            assert target in targets
        for module in re.findall(r"python -m (\w+(?:\.\w+)*)", line):
            assert (ROOT / f"{module.replace('.', '/')}.py").exists()
        for script in re.findall(r"bash (\S+)", line):
            assert (ROOT / script).exists()


def test_only_the_publishing_job_may_speak_to_pypi() -> None:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML: pip install 'panda-edge[test]'")
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    assert (jobs["publish"]["needs"], jobs["build"]["needs"]) == ("build", "test")
