"""Comparators that learn from pixels: Deep SVDD and MHRot, on small made pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from panda_train.evaluation.metrics import auroc
from panda_train.paper import deep_svdd, mhrot


def bars(count: int, upright: bool, seed: int) -> np.ndarray:
    """Bright where a bar lies in the upper left, uint8 (N, 32, 32, 3); flat or upright, noisy."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, 32, 32, 3))
    for image in images:
        at = rng.integers(4, 8)
        image[at : at + 5, 4:28] += 150
    return (images.transpose(0, 2, 1, 3) if upright else images).astype(np.uint8)


@pytest.mark.parametrize("method", ["deep_svdd", "mhrot"])
def test_tells_other_pictures(method: str) -> None:
    normal = bars(48, upright=False, seed=0)
    queries = np.concatenate([bars(20, upright=False, seed=1), bars(20, upright=True, seed=2)])
    if method == "mhrot":
        scores = mhrot.mhrot(normal, queries, epochs=12)
    else:
        scores = deep_svdd.deep_svdd(normal, queries, epochs=20)
    found = auroc(scores, np.arange(40) >= 20)
    assert found is not None
    assert found > 0.8
    assert scores.dtype == np.float64


def test_same_seed_same_scores_and_no_trace_in_torchs_own() -> None:
    normal, queries = bars(16, upright=False, seed=0), bars(4, upright=True, seed=1)
    before = torch.get_rng_state()
    first, again, other = (deep_svdd.deep_svdd(normal, queries, seed=seed, epochs=2) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_deep_svdd_is_the_distance_to_the_mean_before_training() -> None:
    normal, queries = bars(16, upright=False, seed=0), bars(4, upright=True, seed=1)
    scores = deep_svdd.deep_svdd(normal, queries, seed=3, epochs=0)
    torch.manual_seed(3)
    network = deep_svdd._network()
    with torch.no_grad():
        centre = deep_svdd._away_from_zero(network(deep_svdd._normalised(normal)).mean(dim=0))
        expected = (network.eval()(deep_svdd._normalised(queries)) - centre).square().sum(dim=1)
    np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-2)
    assert float(centre.abs().min()) >= 0.1 - 1e-6


def test_a_network_without_biases() -> None:
    assert not any("bias" in name for name, _ in deep_svdd._network().named_parameters())


def test_transforms_turn_then_shift() -> None:
    images = torch.arange(2 * 3 * 32 * 32, dtype=torch.float32).reshape(2, 3, 32, 32)
    assert len(set(mhrot.TRANSFORMS)) == 36
    assert torch.equal(mhrot.transformed(images, (0, 0, 0)), images)
    assert torch.equal(mhrot.transformed(images, (1, 0, 0)), torch.rot90(images, 1, dims=(2, 3)))
    down = mhrot.transformed(images, (0, 2, 0))
    assert torch.equal(down[:, :, 8:], images[:, :, :-8])
    left = mhrot.transformed(images, (0, 0, 1))
    assert torch.equal(left[..., :-8], images[..., 8:])
    mirrored = images[:, :, 1:9].flip(2)
    assert torch.equal(down[:, :, :8], mirrored)
