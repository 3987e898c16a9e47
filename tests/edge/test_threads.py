"""One detector, many threads: each call gives what it gives alone, in threads, in asyncio, and in a forked child."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import panda_edge
from bank_choice import settings_for
from panda_edge.builder.steps.leave_one_out import LeaveOneOutRecipe
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.tiling import Tiling
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from tiny import TinyBackbone

THREADS, CALLS = 8, 192


@pytest.fixture(scope="module")
def images(sample_data: Path) -> list[Path]:
    return sorted((sample_data / "test").rglob("*.png"))


@pytest.fixture(scope="module")
def tiled_images(tmp_path_factory: pytest.TempPathFactory, texture: Callable[..., np.ndarray]) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(4):
        Image.fromarray(texture(160, 200, seed)).save(folder / f"{seed}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def tiled_bundle(tiled_images: list[Path]) -> Path:
    out = tiled_images[0].parent.with_name("tiled.panda")
    preprocessing = Preprocessing(64, 64, tiles=Tiling(0.25, 1.0))
    bank = settings_for(average=1, level_weights=(1.0, 1.0, 1.0))
    options = ExportOptions({"name": "dn2"}, bank, (LeaveOneOutRecipe(),))
    export_bundle(out, TinyBackbone(), tiled_images, preprocessing, options)
    return out


def same(found: panda_edge.Result, alone: panda_edge.Result) -> bool:
    if (found.heatmap is None) != (alone.heatmap is None) or found.score != alone.score:
        return False
    return found.heatmap is None or alone.heatmap is None or np.array_equal(found.heatmap, alone.heatmap)


@pytest.mark.parametrize("threads", [1, 2])
def test_eight_threads_get_what_one_gets(any_bundle: Path, images: list[Path], threads: int) -> None:
    detector = panda_edge.load(any_bundle, threads=threads)
    alone = [detector.segment(image) for image in images]
    asked = [i % len(images) for i in range(CALLS)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda i: detector.segment(images[i]), asked))
    assert sum(same(result, alone[i]) for result, i in zip(found, asked, strict=True)) == CALLS


def test_every_way_in_at_once(exact_bundle: Path, images: list[Path]) -> None:
    detector = panda_edge.load(exact_bundle, threads=2)
    alone = [detector.segment(image) for image in images]
    ways = [
        lambda: [detector.segment(image) for image in images],
        lambda: [detector.detect(image) for image in images],
        lambda: list(detector.segment_batch(images, 3)),
        lambda: list(detector.detect_batch(images, 3)),
        lambda: list(detector.segment_stream(images)),
    ]
    with ThreadPoolExecutor(2 * len(ways)) as pool:
        runs = [run.result() for run in [pool.submit(way) for way in ways * 4]]
    for run in runs:
        assert [result.score for result in run] == pytest.approx([result.score for result in alone], rel=1e-4)


def test_tiles_by_threads(tiled_bundle: Path, tiled_images: list[Path]) -> None:
    detector = panda_edge.load(tiled_bundle, threads=2)
    alone = [detector.segment(image) for image in tiled_images]
    asked = [i % len(tiled_images) for i in range(4 * THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda i: detector.segment(tiled_images[i]), asked))
    assert all(same(result, alone[i]) for result, i in zip(found, asked, strict=True))


def test_asyncio(exact_bundle: Path, images: list[Path]) -> None:
    detector = panda_edge.load(exact_bundle, threads=1)

    async def all_at_once() -> list[panda_edge.Result]:
        return await asyncio.gather(*(asyncio.to_thread(detector.segment, image) for image in images * 3))

    found = asyncio.run(all_at_once())
    assert [result.score for result in found] == [detector.segment(image).score for image in images] * 3


_FORKING = """
import os, sys
import panda_edge
what, bundle, image = sys.argv[1:]
detector = panda_edge.load(bundle, threads=2)
score = detector.segment(image).score
child = os.fork()
if child == 0:
    if what == "use":
        assert detector.segment(image).score == score
        with open(os.path.join(bundle, "model.onnx"), "rb"):
            pass
    elif what == "reload":
        detector = panda_edge.load(bundle, threads=2)
        assert detector.segment(image).score == score
    elif what == "drop":
        del detector
    elif what == "grandchild":
        detector.segment(image)
        if (other := os.fork()) == 0:
            assert detector.segment(image).score == score
            sys.exit(0)
        assert os.waitpid(other, 0)[1] == 0
    print("child", what, end=" ")
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert detector.segment(image).score == score
print("parent")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("what", ["use", "reload", "drop", "exit", "grandchild"])
def test_a_forked_child_does_not_hang(what: str, exact_bundle: Path, images: list[Path]) -> None:
    run_forking(what, exact_bundle, images[0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_searches_tiles(tiled_bundle: Path, tiled_images: list[Path]) -> None:
    run_forking("use", tiled_bundle, tiled_images[0])


def run_forking(what: str, bundle: Path, image: Path) -> None:
    """In a process of its own, with the child in its group, so that one that hangs can be ended with it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _FORKING, what, str(bundle), str(image)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, said = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        pytest.fail(f"{what}: the forked child hangs")
    assert (process.returncode, out) == (0, f"child {what} parent\n"), said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_refuses_another_model(exact_bundle: Path, tmp_path: Path, images: list[Path]) -> None:
    """It opens the model anew, which may be another one by then."""
    code = """
import os, sys
import panda_edge
bundle, image = sys.argv[1:]
detector = panda_edge.load(bundle, threads=1)
detector.segment(image)
with open(os.path.join(bundle, "model.onnx"), "r+b") as file:
    file.seek(200)
    file.write(b"other")
if os.fork() == 0:
    try:
        detector.segment(image)
    except panda_edge.BundleError as error:
        print(error)
    sys.exit(0)
os.wait()
"""
    bundle = shutil.copytree(exact_bundle, tmp_path / "copy.panda")
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle), str(images[0])], capture_output=True, text=True, timeout=120
    )
    assert "sha256 is not the manifest's" in done.stdout, done.stderr
