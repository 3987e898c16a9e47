"""A fresh virtual environment with the base install alone: what a device has."""

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    not os.environ.get("PANDA_TEST_INSTALL"),
    reason="installs into a fresh virtual environment from the package index; PANDA_TEST_INSTALL=1 runs it",
)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a virtual environment that holds `pip install .` and nothing else."""
    home = tmp_path_factory.mktemp("device")
    venv.create(home, with_pip=True)
    install = [home / "bin" / "python", "-m", "pip", "install", "--quiet", ROOT]
    subprocess.run(install, check=True)
    return home / "bin"


def test_nothing_of_the_workstation_is_installed(device: Path) -> None:
    listed = subprocess.run([device / "pip", "list", "--format=json"], check=True, capture_output=True, text=True)
    names = {entry["name"].lower() for entry in json.loads(listed.stdout)}
    assert {"panda-edge", "numpy", "onnxruntime", "pillow", "typer"} <= names
    assert not names & {
        "torch",
        "torchvision",
        "onnx",
        "onnxscript",
        "scikit-learn",
        "scikit-image",
        "scipy",
        "hnswlib",
    }


def test_the_bundle_runs(device: Path, bundle: Path, sample_data: Path, tmp_path: Path) -> None:
    def panda_edge(*arguments: str | Path) -> list[dict[str, object]]:
        done = subprocess.run([device / "panda-edge", *arguments, "--json"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    (report,) = panda_edge("verify", bundle)
    assert report["ok"]
    images = sample_data / "test" / "hole"
    results = panda_edge("segment", bundle, images, "--out", tmp_path / "maps")
    assert len(results) == len(list(images.iterdir()))
    assert all(Path(str(result["overlay"])).is_file() for result in results)
    (figures,) = panda_edge("bench", bundle, images, "--frames", "10")
    assert float(str(figures["fps"])) > 0


def test_a_graph_is_refused_in_one_line(device: Path, made_bundles: dict[str, Path]) -> None:
    done = subprocess.run([device / "panda-edge", "verify", made_bundles["hnsw"]], capture_output=True, text=True)
    assert done.returncode == 2
    assert "panda-edge[hnsw]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_training_is_refused_in_one_line(device: Path) -> None:
    done = subprocess.run([device / "panda-train", "--help"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "panda-edge[train]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_import_is_light(device: Path) -> None:
    # What is imported, not how long it takes: a time would fail on a busy machine.
    code = "import sys, panda_edge; print([m for m in ('numpy', 'onnxruntime', 'PIL', 'typer') if m in sys.modules])"
    done = subprocess.run([device / "python", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
