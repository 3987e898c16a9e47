"""Flat search and heat maps: every level against scalar, scalar against float64 numpy, scipy and torch.

Tolerance: float32 sums of d differences are off by far less than 1e-5 relative at the dimensions used here.
Where equality must be exact, the values are small integers, whose squared distances are exact in float32.
"""

import numpy as np
import pytest

from panda_edge import _kernel, kernel

RELATIVE = 1e-5


def squared_distances(queries, bank):
    """(Q, N) float64, from differences."""
    with np.errstate(invalid="ignore"):
        return ((queries[:, None, :].astype(np.float64) - bank[None].astype(np.float64)) ** 2).sum(-1)


def expected_topk(queries, bank, k):
    exact = squared_distances(queries, bank)
    exact[np.isnan(exact)] = np.inf
    order = np.argsort(exact, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(exact, order, 1), order


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_topk_equals_float64_numpy_at_every_dimension(level, dtype):
    for d in range(1, 98):
        rng = np.random.default_rng(d)
        queries = rng.normal(size=(5, d)).astype(np.float32)
        bank = rng.normal(size=(23, d)).astype(dtype)
        distances, indices = kernel.topk(queries, bank, 4)
        wanted, _ = expected_topk(queries, bank, 4)
        found = np.take_along_axis(squared_distances(queries, bank), indices, 1)
        np.testing.assert_allclose(distances, wanted, rtol=RELATIVE, err_msg=f"{d} dimensions")
        np.testing.assert_allclose(found, wanted, rtol=RELATIVE, err_msg=f"{d} dimensions")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("q", "n", "k", "threads"), [(1, 1, 1, 1), (3, 7, 7, 2), (17, 300, 5, 3), (40, 1000, 100, 2)])
def test_topk_on_integers_is_exact_with_ties_to_the_lowest_index(level, q, n, k, threads, dtype):
    rng = np.random.default_rng(n)
    queries = rng.integers(-3, 4, size=(q, 3)).astype(np.float32)
    bank = rng.integers(-3, 4, size=(n, 3)).astype(dtype)  # 343 different points: many ties
    distances, indices = kernel.topk(queries, bank, k, threads=threads)
    wanted, order = expected_topk(queries, bank, k)
    np.testing.assert_array_equal(distances, wanted.astype(np.float32))
    np.testing.assert_array_equal(indices, order)


def test_topk_does_not_cancel_far_from_the_origin(level):
    bank = (1000.0 + np.eye(8) * 1e-3).astype(np.float32)
    distances, indices = kernel.topk(bank, bank, 2)
    wanted, _ = expected_topk(bank, bank, 2)
    np.testing.assert_array_equal(indices[:, 0], np.arange(8))
    np.testing.assert_allclose(distances, wanted, rtol=RELATIVE, atol=0)


def test_topk_nan_counts_as_infinity_and_k_is_capped_at_the_bank(level):
    bank = np.array([[np.nan, 0], [3, 4], [0, 0], [np.inf, 0]], np.float32)
    distances, indices = kernel.topk(np.zeros((1, 2), np.float32), bank, 99)
    np.testing.assert_array_equal(distances, [[0, 25, np.inf, np.inf]])
    np.testing.assert_array_equal(indices, [[2, 1, 0, 3]])


def test_topk_halves_of_every_kind(level):
    bank = np.arange(2**16, dtype=np.uint16).view(np.float16)[:, None]  # every half there is, subnormals included
    distances, indices = kernel.topk(np.zeros((1, 1), np.float32), bank, len(bank), threads=2)
    wanted, order = expected_topk(np.zeros((1, 1)), bank, len(bank))
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(distances[finite], wanted[finite], rtol=RELATIVE, atol=1e-45)


def test_topk_of_no_queries(level):
    distances, indices = kernel.topk(np.empty((0, 4), np.float32), np.ones((3, 4), np.float32), 2)
    assert distances.shape == indices.shape == (0, 2)


def test_topk_reads_a_read_only_memory_map(tmp_path, level):
    bank = np.random.default_rng(0).normal(size=(50, 9)).astype(np.float16)
    np.save(tmp_path / "bank.npy", bank)
    mapped = np.load(tmp_path / "bank.npy", mmap_mode="r")
    for got, wanted in zip(kernel.topk(bank[:3], mapped, 3), kernel.topk(bank[:3], bank, 3), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("queries", "bank", "k", "threads", "error", "words"),
    [
        (np.ones((2, 3)), np.ones((4, 5), np.float32), 1, 1, ValueError, "queries: got length 3 on axis 1, expected 5"),
        (np.ones((2, 3)), np.ones((4, 3)), 1, 1, TypeError, "bank: got items of format 'd'"),
        (np.ones((2, 3)), np.ones((4, 3), ">f4"), 1, 1, TypeError, "bank: got items of format"),
        (np.ones((2, 3)), np.ones((3, 4), np.float32).T, 1, 1, ValueError, "ascontiguousarray"),
        (np.ones((2, 3)), np.ones((4, 6), np.float32)[:, ::2], 1, 1, ValueError, "ascontiguousarray"),
        (np.ones((2, 3)), np.ones(3, np.float32), 1, 1, ValueError, "bank: got 1 dimensions, expected 2"),
        (np.ones((2, 3)), np.ones((0, 3), np.float32), 1, 1, ValueError, "k: got 0"),
        (np.ones((2, 0)), np.ones((3, 0), np.float32), 1, 1, ValueError, "k: got 1"),
        (np.ones((2, 3)), np.ones((4, 3), np.float32), 0, 1, ValueError, "k: got 0"),
        (np.ones((2, 3)), np.ones((4, 3), np.float32), -1, 1, ValueError, "k: got -1"),
        (np.ones((2, 3)), np.ones((4, 3), np.float32), 1, 0, ValueError, "threads: got 0"),
        (np.ones((2, 3)), np.ones((4, 3), np.float32), 1, 10**6, ValueError, "threads: got 1000000"),
    ],
)
def test_topk_refuses(queries, bank, k, threads, error, words):
    with pytest.raises(error, match=words):
        kernel.topk(queries, bank, k, threads=threads)


def test_the_binding_checks_outputs_and_alignment():
    queries, bank = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)
    distances, indices = np.empty((2, 1), np.float32), np.empty((2, 1), np.int64)
    with pytest.raises(ValueError, match="distances: got length 2 on axis 0, expected 1"):
        _kernel.topk(queries[:1], bank, 1, 1, distances, indices)
    with pytest.raises(TypeError, match="indices: got items of format 'i', expected int64"):
        _kernel.topk(queries, bank, 1, 1, distances, indices.astype(np.int32))
    frozen = distances.copy()
    frozen.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        _kernel.topk(queries, bank, 1, 1, frozen, indices)
    shifted = np.frombuffer(bytes(4 * 3 * 4 + 1), np.uint8)[1:].view(np.float32).reshape(4, 3)
    with pytest.raises(ValueError, match="not aligned"):
        _kernel.topk(queries, shifted, 1, 1, distances, indices)
    with pytest.raises(TypeError):
        _kernel.topk(queries, None, 1, 1, distances, indices)


def test_an_unknown_level_is_refused_by_name(monkeypatch):
    import subprocess
    import sys

    with pytest.raises(ValueError, match="scalar"):
        _kernel.force_simd("mmx")
    code = (
        "from panda_edge import errors\nfrom panda_edge import kernel\n"
        "try: kernel.simd_level()\nexcept errors.PandaError as e: print(e)"
    )
    monkeypatch.setenv("PANDA_SIMD", "sse9")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "PANDA_SIMD=sse9" in said
    assert "scalar" in said
    monkeypatch.setenv("PANDA_SIMD", "scalar")
    code = "from panda_edge import kernel; print(kernel.simd_level())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "scalar\n"


@pytest.mark.parametrize(
    ("shape", "out", "sigma"),
    [((56, 56), (224, 224), 4.0), ((1, 1), (5, 7), 4.0), ((3, 5), (3, 5), 1.5), ((7, 2), (100, 33), 0.0),
     ((56, 28), (20, 30), 2.0), ((4, 9), (2, 61), 6.0)],
)  # fmt: skip
def test_heatmap_equals_torch_and_scipy(level, shape, out, sigma):
    torch = pytest.importorskip("torch")
    ndimage = pytest.importorskip("scipy.ndimage")
    distances = np.random.default_rng(1).random(shape, np.float32)
    double = torch.from_numpy(distances.astype(np.float64))[None, None]
    up = torch.nn.functional.interpolate(double, size=out, mode="bilinear", align_corners=False)[0, 0].numpy()
    wanted = ndimage.gaussian_filter(up, sigma) if sigma else up
    got = kernel.render_heatmap(distances, *out, sigma)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_heatmap_of_a_constant_is_that_constant(level):
    np.testing.assert_allclose(kernel.render_heatmap(np.full((5, 6), 3.0), 40, 50, 4.0), 3.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("distances", "out"), [(np.ones(3), (4, 4)), (np.ones((0, 3)), (4, 4)), (np.ones((2, 2)), (0, 4))]
)
def test_heatmap_refuses(distances, out):
    with pytest.raises(ValueError, match="expected"):
        kernel.render_heatmap(distances, *out, 1.0)


def test_the_binding_refuses_bands_outside_the_map():
    map_, weights, out = np.ones((3, 3), np.float32), np.ones((2, 2), np.float32), np.empty((2, 2), np.float32)
    good = np.zeros(2, np.int64)
    for bad in (np.array([0, 2]), np.array([-1, 0]), np.array([0, 2**62])):
        with pytest.raises(ValueError, match="leaves the 3 input positions"):
            _kernel.resample(map_, weights, bad, weights, good, out)
        with pytest.raises(ValueError, match="leaves the 3 input positions"):
            _kernel.resample(map_, weights, good, weights, bad, out)
