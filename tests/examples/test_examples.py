"""Each example runs, gives the library's own numbers, and has at most 30 lines."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import panda_edge

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def parts(calibrated_bundles: dict[str, Path]) -> Path:
    return calibrated_bundles["exact"]


@pytest.fixture(scope="module")
def images(sample_data: Path) -> list[Path]:
    return sorted((sample_data / "test").rglob("*.png"))


def run(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_none_is_long() -> None:
    programs = [path for path in EXAMPLES.rglob("*") if path.suffix in (".py", ".cpp", ".yaml", ".conf", ".json")]
    assert len(programs) >= 8
    assert not {path.name: lines for path in programs if (lines := len(path.read_text().splitlines())) > 30}
    cells = json.loads((EXAMPLES / "first_steps.ipynb").read_text())["cells"]
    assert 0 < sum(len("".join(cell["source"]).splitlines()) for cell in cells if cell["cell_type"] == "code") <= 30


def test_the_table_names_each() -> None:
    said = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = {path.relative_to(EXAMPLES).parts[0] for path in EXAMPLES.rglob("*") if path.is_file()} - {"README.md"}
    assert [name for name in files - {"__pycache__"} if f"]({name})" not in said] == []
    links = [part.partition(")")[0] for part in said.split("](")[1:]]
    assert [link for link in links if not (EXAMPLES / link).exists()] == []


def test_cv2_loop(parts: Path, images: list[Path], tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="needs opencv-python: pip install 'panda-edge[test]'")
    for number, path in enumerate(images):
        shutil.copy(path, tmp_path / f"{number:03}.png")
    assert cv2.imread(str(tmp_path / "000.png")).shape == (64, 64, 3)
    lines = run("cv2_loop.py", parts, tmp_path / "%03d.png").splitlines()
    detector = panda_edge.load(parts)
    assert [line.split()[:2] for line in lines] == [
        [f"{found.score:.4f}", "anomalous" if found.anomalous else "normal"] for found in map(detector.detect, images)
    ]


def test_pandas_report(parts: Path, images: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="needs pandas: pip install 'panda-edge[test]'")
    folder = tmp_path / "test"
    shutil.copytree(images[0].parents[1], folder)
    (folder / "hole" / "cut.png").write_bytes(b"cut off")
    said = run("pandas_report.py", parts, folder, tmp_path / "report.csv")
    rows = list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))
    assert len(rows) == len(images) + 1
    assert [row["file"] for row in rows if row["error"]] == ["cut.png"]
    assert all(name in said for name in {path.parent.name for path in images})
    detector = panda_edge.load(parts)
    good = {(row["folder"], row["file"]): float(row["score"]) for row in rows if not row["error"]}
    assert good == {
        (path.parent.name, path.name): pytest.approx(detector.detect(path).score, rel=1e-4) for path in images
    }


@pytest.fixture
def served(parts: Path) -> Iterator[str]:
    pytest.importorskip("fastapi", reason="needs fastapi: pip install 'panda-edge[test]'")
    pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'panda-edge[test]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(command, cwd=EXAMPLES, env={**os.environ, "BUNDLE": str(parts)})
    until = time.monotonic() + 90
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/judge"
    finally:
        process.terminate()
        process.wait(30)


def post(address: str, content: bytes) -> tuple[int, dict]:
    request = urllib.request.Request(address, content, {"Content-Type": "image/png"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_fastapi_answers_64_at_once(served: str, parts: Path, images: list[Path]) -> None:
    detector = panda_edge.load(parts)
    asked = [images[i % len(images)] for i in range(64)]
    together = threading.Barrier(64)

    def ask(path: Path) -> tuple[int, dict]:
        together.wait()
        return post(served, path.read_bytes())

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(ask, asked))
    assert [status for status, _ in answers] == [200] * 64
    expected = {path: detector.segment(path).to_dict() for path in images}
    assert [answer["score"] for _, answer in answers] == pytest.approx([expected[path]["score"] for path in asked])
    status, said = post(served, b"no picture")
    assert (status, said["detail"][:24]) == (422, "image: not an image that")


def test_first_steps_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install 'panda-edge[test]'")
    ipython = pytest.importorskip("IPython.core.interactiveshell", reason="needs IPython: pip install ipython")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "settings"))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # the shell puts its own there
    monkeypatch.chdir(tmp_path)
    notebook = nbformat.read(EXAMPLES / "first_steps.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code), "strip its output"
    shell, shown = ipython.InteractiveShell(), []  # what a notebook's kernel runs and shows cells with
    shell.history_manager.enabled = False
    for cell in code:
        done = shell.run_cell(cell.source)
        done.raise_error()
        shown.append(shell.display_formatter.format(done.result)[0])
    assert any("image/png" in one for one in shown)
    auroc = float(shown[-1]["text/plain"].strip("()").split(",")[0])
    assert auroc > 0.5


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_from_cpp(parts: Path, images: list[Path], tmp_path: Path, library: Path, built: Path) -> None:
    program, features = tmp_path / "score", tmp_path / "features"
    source = [EXAMPLES / "score.cpp", built / "libpanda_edge.a", "-I", library.parent]
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread", "-lm"]
    subprocess.run(["c++", *source, *flags, "-o", program], check=True)
    detector = panda_edge.load(parts, threads=1)
    with features.open("wb") as file:
        for path in images:
            found = detector.features(np.asarray(Image.open(path).convert("RGB"))[None])
            for array in (found.embedding, *found.levels):
                file.write(array[0].tobytes())
    done = subprocess.run([program, parts, features], capture_output=True, text=True, check=True)
    expected = [detector.segment(path) for path in images]
    lines = [[float(number) for number in line.split()] for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == pytest.approx([one.score for one in expected], rel=1e-4)
    assert [line[1] for line in lines] == pytest.approx([one.p_value for one in expected], rel=1e-4)
    wrong = subprocess.run([program, tmp_path / "none.panda", features], capture_output=True, text=True)
    assert (wrong.returncode, wrong.stderr[:6]) == (2, "error:")
