"""What a frame's search costs in memory: the first frame takes what it needs, the next ones nothing."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from panda_edge import _kernel, kernel

KERNEL = Path(__file__).parents[2] / "edge" / "kernel"
GRID = (3, 4)
CHANNELS = (20, 12, 7)


def pyramids(random, *lead):
    cells = [GRID[0] * GRID[1] * 4**depth for depth in range(len(CHANNELS))]
    return [random.normal(size=(*lead, n, c)).astype(np.float32) for n, c in zip(cells, CHANNELS, strict=True)]


def searches(threads):
    """The searches of a frame, as functions of a random generator."""
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(9, 33)).astype(np.float32)
    gallery = kernel.PyramidSearch([level.astype(np.float16) for level in pyramids(random, 9)], GRID, threads)
    means = kernel.MeanSearch([random.normal(size=(11, c)).astype(np.float16) for c in CHANNELS], GRID, threads)

    def exact(random):
        _, similar = kernel.topk(random.normal(size=(1, 33)), embeddings, 5, threads)
        return gallery.nearest(pyramids(random), similar[0])[0]

    cells, channels = GRID[0] * GRID[1], sum(CHANNELS)
    factors = kernel.pack_factors(np.tril(random.normal(size=(cells, channels, channels))), triangular=True)
    mean = random.normal(size=(cells, channels)).astype(np.float32)

    def gaussian(random):
        x = random.normal(size=mean.shape)
        return kernel.gaussian_distance(x, mean, factors, channels, triangular=True, threads=threads).reshape(GRID)

    flat = kernel.FlatSearch(random.normal(size=(150, 20)).astype(np.float16), threads)

    return {
        "exact": exact,
        "flat": lambda random: flat.nearest(random.normal(size=(90, 20)))[0].reshape(9, 10),
        "gaussian": gaussian,
        "epsilon": lambda random: gallery.nearest(pyramids(random), epsilon=0.2)[0],
        "means": lambda random: means.nearest(pyramids(random))[0],
    }


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", ["exact", "epsilon", "means", "gaussian", "flat"])
def test_further_frames_take_no_memory(level, kind, threads):
    search, random = searches(threads)[kind], np.random.default_rng(1)

    def frame():
        return kernel.render_heatmap(np.sqrt(search(random)), 48, 64, 2.0)

    with ThreadPoolExecutor(1) as fresh:  # a thread without scratch memory of earlier tests
        before = _kernel.allocations()
        first = fresh.submit(frame).result()
        settled = _kernel.allocations()
        others = [fresh.submit(frame).result() for _ in range(5)]
        assert _kernel.allocations() == settled
    assert settled > before, "the counter counts"
    assert all(np.isfinite(other).all() and (other != first).any() for other in others)


def test_the_workspace_grows_with_what_is_asked_for(level):
    random = np.random.default_rng(2)
    gallery = kernel.PyramidSearch(pyramids(random, 9), GRID)
    query = pyramids(random)
    gallery.nearest(query, [3])
    before = _kernel.allocations()
    gallery.nearest(query, [4])
    assert _kernel.allocations() == before
    expected = gallery.nearest(query)
    assert _kernel.allocations() > before
    before = _kernel.allocations()
    again, fewer = gallery.nearest(query), gallery.nearest(query, [3, 1])
    assert _kernel.allocations() == before
    np.testing.assert_array_equal(again, expected)
    assert (fewer[0] >= expected[0]).all()


def test_threads_do_not_share_scratch_memory():
    random = np.random.default_rng(3)
    bank = random.normal(size=(500, 16)).astype(np.float32)
    queries = [random.normal(size=(n, 16)) for n in (1, 40, 7, 300)]
    expected = [kernel.topk(query, bank, 9) for query in queries]
    wrong = []

    def work(query, answer):
        for _ in range(50):
            found = kernel.topk(query, bank, 9)
            if not all(np.array_equal(a, b) for a, b in zip(found, answer, strict=True)):
                wrong.append(len(query))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(queries, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


EACH_FRAME = [
    "topk",
    "pyramid",
    "cell_search",
    "plain",
    "screen",
    "reach",
    "quantise",
    "workspace",
    "gaussian",
    "heatmap",
]
EACH_FRAME += ["pool", "dispatch", "flat", "flat_integers", "project"]


@pytest.mark.parametrize("name", EACH_FRAME)
def test_what_runs_each_frame_takes_memory_by_the_counted_functions_only(name):
    (file,) = KERNEL.rglob(f"{name}.c")
    text = file.read_text()
    assert re.findall(r"\b(?:malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup)\s*\(", text) == []


def test_instruction_set_files_take_no_memory():
    files = [*KERNEL.rglob("kernels_*.c"), *KERNEL.rglob("columns_*.c"), *KERNEL.rglob("*.h")]
    assert len(files) > 8
    for file in files:
        assert not re.search(r"\b(?:\w*alloc|strdup)\s*\(", file.read_text()) or file.name == "memory.h", file.name
