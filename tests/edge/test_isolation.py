"""The device side runs where nothing of the workstation is installed, and costs little to import."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import panda_edge
from each_command import EACH_COMMAND

WORKSTATION = (
    "torch", "torchvision", "onnx", "onnxscript", "sklearn", "skimage", "scipy", "matplotlib", "faiss", "cv2",
    "panda_export", "panda_train",
)  # fmt: skip

# A process in which those cannot be imported runs each of the commands given as JSON on its command line.
ISOLATED = f"""
import json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {WORKSTATION!r}:
            raise ModuleNotFoundError(f"no module named {{name}}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize("kind", ["exact", "hnsw", "kmeans"])
def test_the_commands_run_on_a_device(
    made_bundles: dict[str, Path], odd_image: Path, tmp_path: Path, kind: str
) -> None:
    bundle, image = str(made_bundles[kind]), str(odd_image)
    commands = [
        ["info", bundle, "--json"],
        ["verify", bundle, "--json"],
        ["detect", bundle, image, "--json"],
        ["segment", bundle, image, "--out", str(tmp_path / "maps"), "--json"],
        ["bench", bundle, "--frames", "3", "--json"],
    ]
    code = ISOLATED + "commands = json.loads(sys.argv[1])" + EACH_COMMAND
    done = subprocess.run([sys.executable, "-c", code, json.dumps(commands)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(commands)
    assert len(list((tmp_path / "maps").glob("[!.]*"))) == 2


def test_no_file_of_the_device_imports_a_workstations_packages() -> None:
    for file in sorted(Path(panda_edge.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found = {name.partition(".")[0] for name in names} & set(WORKSTATION)
            assert not found, f"{file}: imports {', '.join(found)}"


def test_the_isolation_isolates() -> None:
    for module in ("torch", "onnx", "sklearn.cluster", "panda_train"):
        code = ISOLATED + f"import {module}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "ModuleNotFoundError" in done.stderr


def test_an_import_pulls_in_nothing_heavy() -> None:
    # What is imported, not how long it takes: a time would fail on a busy machine.
    code = "import sys, panda_edge; panda_edge.PandaError; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert not imported & {"numpy", "onnxruntime", "PIL", "hnswlib", "typer", "rich", "av", *WORKSTATION[:-2]}
    assert "panda_edge.stream" not in done.stdout.split()


def test_the_public_names() -> None:
    assert set(panda_edge.__all__) <= {*dir(panda_edge), "Detector", "FrameOptions", "Result", "load", "watch"}
    for name in panda_edge.__all__:
        assert getattr(panda_edge, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'segmenter'"):
        _ = panda_edge.segmenter
    assert issubclass(panda_edge.BundleError, panda_edge.PandaError)
    assert issubclass(panda_edge.ImageError, panda_edge.PandaError)
    assert issubclass(panda_edge.DataError, panda_edge.PandaError)
