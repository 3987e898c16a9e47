"""Mean-shifted contrastive loss: against the paper's formula in plain loops, its batches, and adaptation with it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from panda_edge.errors import PandaError
from panda_train import backbones
from panda_train.adapt import AdaptConfig, Adapted, Run, Source, StoredActivations, adapt, config_of, embeddings, store
from panda_train.adapt.batches import TwoViews, draw
from panda_train.adapt.objectives import MeanShifted
from panda_train.data import augment

IMAGES, SIZE = 40, 32
FAST = AdaptConfig("panda-msc", steps=6, batch=8, learning_rate=0.02, clip=0.0, views=3, watch=3)


def literal_loss(
    first: Tensor, second: Tensor, centre: Tensor, temperature: float, angular: float, metric: Tensor | None = None
) -> Tensor:
    """The formula, one pair of views after another, from raw embeddings (N, D)."""

    def direction(embedding: Tensor) -> Tensor:
        shifted = embedding / embedding.norm() - centre
        if metric is not None:
            shifted = shifted @ metric
        return shifted / shifted.norm()

    views = [*first, *second]
    total = torch.zeros((), dtype=first.dtype)
    for i, view in enumerate(views):
        partner = (i + len(first)) % len(views)
        numerator = torch.exp(direction(view) @ direction(views[partner]) / temperature)
        denominator = torch.zeros((), dtype=first.dtype)
        for j, other in enumerate(views):
            if j != i:
                denominator = denominator + torch.exp(direction(view) @ direction(other) / temperature)
        total = total - torch.log(numerator / denominator) - angular * (view / view.norm()) @ centre
    return total


@pytest.mark.parametrize(("images", "temperature", "angular"), [(1, 0.25, 1.0), (5, 0.25, 1.0), (4, 0.07, 0.0)])
@pytest.mark.parametrize("whitened", [False, True])
def test_loss_and_gradient_are_the_formulas(images: int, temperature: float, angular: float, whitened: bool) -> None:
    generator = torch.Generator().manual_seed(images)
    first, second = (torch.randn(images, 6, generator=generator).double().requires_grad_(True) for _ in range(2))
    centre = 0.3 * torch.randn(6, generator=generator).double()
    metric = torch.randn(6, 4, generator=generator).double() if whitened else None
    expected = literal_loss(first, second, centre, temperature, angular, metric)
    found = MeanShifted(centre, temperature, angular, metric).loss([first, second], [])
    torch.testing.assert_close(found, expected)
    gradients = (torch.autograd.grad(loss, [first, second]) for loss in (found, expected))
    for mine, literal in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, literal)


def test_two_images_whose_views_agree_and_lie_opposite() -> None:
    """θ is 1 with the other view and −1 with both of the other image."""
    centre, away = torch.tensor([0.8, 0.0]), torch.tensor([[0.8, 0.6], [0.8, -0.6]])
    loss = MeanShifted(centre, temperature=0.5, angular=1.0).loss([3 * away, away], [])
    each = -math.log(math.exp(2) / (math.exp(2) + 2 * math.exp(-2))) - 0.64
    assert float(loss) == pytest.approx(4 * each, rel=1e-6)


class TestBatches:
    def test_two_different_views_of_the_same_images(self) -> None:
        views = [StoredActivations(np.full((IMAGES, 1, 1, 1), view, np.float32)) for view in range(4)]
        batches = TwoViews(views, IMAGES, seed=3, batch=8)
        pairs = set()
        for step in range(120):
            (first, numbers), (second, same) = batches.of_step(step)
            assert np.array_equal(numbers, same)
            assert np.array_equal(numbers, draw(3, 0, step, IMAGES, 8))
            pairs.add(tuple(float(source.batch(numbers)[0]) for source in (first, second)))
        assert pairs == {(a, b) for a in range(4) for b in range(4) if a != b}

    def test_depend_on_step_and_seed_alone(self) -> None:
        views = [StoredActivations(np.zeros((IMAGES, 1, 1, 1), np.float32)) for _ in range(8)]

        def chosen(seed: int) -> list[tuple[int, int]]:
            batches = TwoViews(views, IMAGES, seed, 8)
            return [tuple(views.index(source) for source, _ in batches.of_step(step)) for step in range(9)]  # type: ignore[misc]

        assert chosen(0) == chosen(0) != chosen(1)

    def test_views_share_the_array(self) -> None:
        stored = StoredActivations(np.arange(12, dtype=np.float32).reshape(6, 1, 1, 2))
        even, odd = stored.views(2)
        assert even.batch(np.arange(3)).flatten().tolist() == [0, 1, 4, 5, 8, 9]
        assert odd.batch(np.array([2])).flatten().tolist() == [10, 11]
        assert np.shares_memory(odd._array, stored._array)


@pytest.fixture(scope="module")
def backbone() -> backbones.Backbone:
    return backbones.untrained("resnet18")


@pytest.fixture(scope="module")
def normal(backbone: backbones.Backbone) -> Source:
    frames = np.random.default_rng(0).integers(0, 256, (IMAGES, SIZE, SIZE, 3), dtype=np.uint8)
    kept = store(backbone, augment.copies(enumerate(frames), FAST.views, seed=0), FAST.views * IMAGES)
    return Source(store(backbone, frames, IMAGES), IMAGES, views=kept.views(FAST.views))


def weights(adapted: Adapted) -> Tensor:
    return torch.cat([parameter.flatten() for parameter in adapted.heads[-1].parameters()])


class TestAdaptation:
    def test_lowers_its_loss(self, backbone: backbones.Backbone, normal: Source) -> None:
        """Below what it is where all images have one direction."""
        adapted = adapt(backbone, normal, replace(FAST, steps=20, learning_rate=0.5, clip=0.05, watch=1, angular=0.0))
        losses = [look.loss for look in adapted.looks[1:] if look.loss is not None]
        assert np.mean(losses[-10:]) < math.log(15) - 0.04 < losses[0]
        assert (adapted.method, adapted.score, len(adapted.heads)) == ("panda-msc", "knn", 1)

    def test_the_angular_loss_draws_to_the_centre(self, backbone: backbones.Backbone, normal: Source) -> None:
        with_it, without = (adapt(backbone, normal, replace(FAST, angular=angular)) for angular in (30.0, 0.0))
        assert with_it.looks[-1].s_t < without.looks[-1].s_t
        assert with_it.looks[-1].s_t < with_it.looks[0].s_t

    def test_angles_after_whitening_lead_elsewhere(self, backbone: backbones.Backbone, normal: Source) -> None:
        whitened = adapt(backbone, normal, replace(FAST, whiten_loss=True))
        assert not torch.equal(weights(whitened), weights(adapt(backbone, normal, FAST)))

    def test_killed_it_goes_on_to_the_same_weights(
        self, backbone: backbones.Backbone, normal: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        undisturbed, state = adapt(backbone, normal, FAST), tmp_path / "state.pt"
        monkeypatch.setattr("panda_train.adapt.loop.SAVE_SECONDS", 0.0)

        def kill(step: int, total: int) -> None:
            if step == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            adapt(backbone, normal, FAST, run=Run(state_file=state, on_step=kill))
        resumed = adapt(backbone, normal, FAST, run=Run(state_file=state))
        assert torch.equal(weights(resumed), weights(undisturbed))
        with pytest.raises(PandaError, match="other settings"):
            adapt(backbone, normal, replace(FAST, temperature=0.3), run=Run(state_file=state))

    def test_a_pull_keeps_the_weights(self, backbone: backbones.Backbone, normal: Source) -> None:
        ones = [torch.ones_like(parameter) for parameter in backbone.adaptable.parameters()]
        start = torch.cat([parameter.flatten() for parameter in backbone.adaptable.parameters()])
        squared_norm = float(embeddings(backbone.adaptable, normal.activations, unit=False).square().sum(dim=1).mean())
        slow = replace(FAST, learning_rate=0.002)
        free = weights(adapt(backbone, normal, slow))
        held = weights(adapt(backbone, normal, replace(slow, pull=True, ewc=100 * squared_norm), fisher=ones))
        assert float((held - start).norm()) < 0.5 * float((free - start).norm())

    def test_refused(self, backbone: backbones.Backbone, normal: Source) -> None:
        with pytest.raises(PandaError, match="panda-msc compares directions; give --embedding unit or whitened"):
            replace(FAST, embedding="raw")
        with pytest.raises(PandaError, match="--views 1; a contrastive loss compares at least 2"):
            replace(FAST, views=1)
        with pytest.raises(PandaError, match="--temperature 0"):
            replace(FAST, temperature=0)
        with pytest.raises(PandaError, match="panda-msc needs the Fisher diagonal"):
            adapt(backbone, normal, replace(FAST, pull=True))
        with pytest.raises(ValueError, match="0 were given"):
            adapt(backbone, replace(normal, views=()), FAST)
        with pytest.raises(PandaError, match="normal images alone"):
            adapt(backbone, normal, FAST, others=normal)


def test_a_methods_own_defaults_give_way_to_what_is_given() -> None:
    own, given = config_of("panda-msc", clip=None), config_of("panda-msc", clip=0.5, batch=16)
    assert (own.clip, own.batch) == (0.0, 64)
    assert (given.clip, given.batch, given.learning_rate) == (0.5, 16, own.learning_rate)
    assert config_of("panda-early", clip=None) == AdaptConfig("panda-early")
