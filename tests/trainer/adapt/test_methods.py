"""Adaptation's objectives and methods: what each does to the weights, and what it refuses."""

import copy
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch

from panda_edge.errors import PandaError
from panda_train import backbones
from panda_train.adapt import (
    AdaptedBackbone,
    Source,
    StoredActivations,
    adapt,
    store,
    verdict,
)
from panda_train.adapt.collapse import Look, effective_rank, look
from panda_train.adapt.exposed_weight import fit_weight
from panda_train.adapt.objectives import Compactness, ElasticPull, Joint, OutlierExposure
from small_adaptation import FAST, IMAGES, SIZE, weights


@pytest.mark.parametrize("unit", [False, True])
class TestObjectives:
    def test_compactness_is_the_sum_of_squared_distances(self, unit: bool) -> None:
        embedding, centre = torch.randn(6, 4), torch.randn(4)
        expected = sum(((row / (row.norm() if unit else 1) - centre) ** 2).sum() for row in embedding)
        torch.testing.assert_close(Compactness(centre, unit).loss([embedding], []), expected)

    def test_joint_adds_the_classes_of_the_pre_training_images(self, unit: bool) -> None:
        centre, classifier = torch.randn(4), torch.nn.Linear(4, 3)
        normal, others, labels, places = torch.randn(5, 4), torch.randn(3, 4), torch.tensor([2, 0, 1, 1]), [3, 0, 1]
        objective = Joint(centre, unit, classifier, labels, weight=0.5)
        logits = classifier(others)
        classification = sum(logits[row].logsumexp(0) - logits[row, labels[place]] for row, place in enumerate(places))
        expected = Compactness(centre, unit).loss([normal], []) + 0.5 * classification
        found = objective.loss([normal, others], [torch.arange(5), torch.tensor(places)])
        torch.testing.assert_close(found, expected)
        assert objective.parameters() == list(classifier.parameters())

    def test_outlier_exposure_is_logistic_regression(self, unit: bool) -> None:
        objective = OutlierExposure(torch.randn(4), torch.tensor(0.7), unit)
        normal, exposed = torch.randn(5, 4), torch.randn(3, 4)
        together = torch.cat([normal, exposed])
        logits = together / (together.norm(dim=1, keepdim=True) if unit else 1) @ objective.weight + 0.7
        labels = torch.tensor([0.0] * 5 + [1.0] * 3)
        expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        torch.testing.assert_close(objective.loss([normal, exposed], []), expected)


def test_elastic_pull_adds_the_gradient_of_its_penalty() -> None:
    parameter, fisher = torch.nn.Parameter(torch.randn(7)), torch.rand(7)
    start = parameter.detach().clone()
    pull = ElasticPull([parameter], [fisher], strength=3.0)
    with torch.no_grad():
        parameter.add_(torch.randn(7))
    parameter.grad = torch.ones(7)
    pull.add_gradient()
    moved = parameter.detach().requires_grad_(True)
    (1.5 * (fisher * (moved - start) ** 2).sum()).backward()
    assert moved.grad is not None
    torch.testing.assert_close(parameter.grad, moved.grad + 1)


class TestEarly:
    def test_draws_normal_images_to_the_centre(self, backbone: backbones.Backbone, normal: Source) -> None:
        adapted = adapt(backbone, normal, FAST)
        assert [seen.step for seen in adapted.looks] == [0, 4, 8, 12]
        assert adapted.looks[-1].s_t < adapted.looks[0].s_t
        assert adapted.looks[-1].drift > 0

    def test_changes_neither_backbone_nor_batchnorm_statistics(
        self, backbone: backbones.Backbone, normal: Source
    ) -> None:
        before = copy.deepcopy(backbone.state_dict())
        adapted = adapt(backbone, normal, FAST)
        assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())
        after = adapted.heads[0].state_dict()
        running = [name for name in after if "running" in name]
        assert running
        assert all(torch.equal(after[name], before[f"adaptable.{name}"]) for name in running)
        moved = [name for name, value in after.items() if not torch.equal(value, before[f"adaptable.{name}"])]
        assert any("bn" in name for name in moved)
        assert any("conv" in name for name in moved)

    def test_gradient_clipping_bounds_a_step(self, backbone: backbones.Backbone, normal: Source) -> None:
        config = replace(FAST, steps=1, learning_rate=2.0, clip=1e-3, weight_decay=0.0)
        moved = weights(adapt(backbone, normal, config)) - torch.cat(
            [parameter.flatten() for parameter in backbone.adaptable.parameters()]
        )
        assert float(moved.norm()) == pytest.approx(2e-3, rel=1e-2)

    def test_same_seed_same_weights(self, backbone: backbones.Backbone, normal: Source) -> None:
        first, again, other = (weights(adapt(backbone, normal, replace(FAST, seed=seed))) for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_divergence_is_one_clear_line(self, backbone: backbones.Backbone, normal: Source) -> None:
        with pytest.raises(PandaError, match="smaller --learning-rate"):
            adapt(backbone, normal, replace(FAST, clip=0.0, learning_rate=1e30, embedding="raw"))

    def test_too_few_images(self, backbone: backbones.Backbone) -> None:
        few = Source(StoredActivations(np.zeros((5, 4, 4, 128), np.float32)), 5)
        with pytest.raises(PandaError, match="5 normal images are too few"):
            adapt(backbone, few, FAST)


class TestEwc:
    def test_strong_pull_keeps_the_weights_and_none_is_early(
        self, backbone: backbones.Backbone, normal: Source
    ) -> None:
        ones = [torch.ones_like(parameter) for parameter in backbone.adaptable.parameters()]
        start = torch.cat([parameter.flatten() for parameter in backbone.adaptable.parameters()])
        config = replace(FAST, clip=0.0, learning_rate=1e-4, embedding="raw")
        early = weights(adapt(backbone, normal, config))
        free = weights(adapt(backbone, normal, replace(config, method="panda-ewc", ewc=0.0), fisher=ones))
        held = weights(adapt(backbone, normal, replace(config, method="panda-ewc", ewc=3e3), fisher=ones))
        assert torch.equal(free, early)
        assert float((held - start).norm()) < 0.7 * float((early - start).norm())

    def test_needs_a_fisher_diagonal_that_fits(self, backbone: backbones.Backbone, normal: Source) -> None:
        config = replace(FAST, method="panda-ewc")
        with pytest.raises(PandaError, match="panda-train fisher"):
            adapt(backbone, normal, config)
        with pytest.raises(ValueError, match="of another backbone"):
            adapt(backbone, normal, config, fisher=[torch.zeros(3)])


class TestExposure:
    def test_separates_what_was_exposed(self, backbone: backbones.Backbone, normal: Source) -> None:
        bright = np.random.default_rng(1).integers(200, 256, (24, SIZE, SIZE, 3), dtype=np.uint8)
        config = replace(FAST, method="panda-oe", steps=40, clip=0.0, learning_rate=0.05)
        adapted = adapt(backbone, normal, config, others=Source(store(backbone, bright, 24), 24))
        assert adapted.weight is not None
        model = AdaptedBackbone(backbone, adapted)
        dull = np.random.default_rng(2).integers(0, 256, (8, SIZE, SIZE, 3), dtype=np.uint8)
        with torch.no_grad():
            exposed, unexposed = (
                model(backbone.normalise(torch.from_numpy(images)))[2] for images in (bright[:8], dull)
            )
        assert exposed.min() > unexposed.max()

    def test_w_starts_at_the_minimum_of_its_loss(self) -> None:
        generator = torch.Generator().manual_seed(0)
        normal = torch.nn.functional.normalize(torch.randn(30, 5, generator=generator) + 1, dim=1)
        exposed = torch.nn.functional.normalize(torch.randn(70, 5, generator=generator), dim=1)
        decay, prior = 1e-2, 6.0
        weight, bias = (v.double().requires_grad_(True) for v in fit_weight(normal, exposed, decay, prior))
        logits = torch.cat([normal, exposed]).double() @ weight + bias
        labels = torch.tensor([0.0] * 30 + [1.0] * 70, dtype=torch.float64)
        shares = torch.tensor([1 / 60] * 30 + [1 / 140] * 70, dtype=torch.float64)
        loss = (shares * torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")).sum()
        drawn_to = -prior * normal.double().mean(dim=0)
        (loss + decay / 2 * (weight - drawn_to).square().sum()).backward()
        torch.testing.assert_close(weight.grad, torch.zeros(5, dtype=torch.float64), atol=1e-5, rtol=0)
        torch.testing.assert_close(bias.grad, torch.zeros((), dtype=torch.float64), atol=1e-5, rtol=0)

    def test_where_nothing_is_learnt_the_prior_ranks_by_distance_to_the_centre(self) -> None:
        normal = torch.nn.functional.normalize(torch.randn(30, 5, generator=torch.Generator().manual_seed(0)), dim=1)
        weight, _ = fit_weight(normal, normal, decay=1e3, prior=6.0)
        distances = (normal - normal.mean(dim=0)).square().sum(dim=1)
        assert torch.equal((normal @ weight).argsort(), distances.argsort())

    def test_needs_outliers(self, backbone: backbones.Backbone, normal: Source) -> None:
        with pytest.raises(PandaError, match="--exposure DIR, or --outliers made"):
            adapt(backbone, normal, replace(FAST, method="panda-oe"))
        with pytest.raises(PandaError, match="normal images alone"):
            adapt(backbone, normal, FAST, others=normal)


def test_joint_objective_trains_with_labels(backbone: backbones.Backbone, normal: Source) -> None:
    config = replace(FAST, method="jo")
    with pytest.raises(PandaError, match="labelled"):
        adapt(backbone, normal, config, others=normal)
    labelled = Source(normal.activations, IMAGES, labels=torch.arange(IMAGES) % 1000)
    assert not torch.equal(
        weights(adapt(backbone, normal, config, others=labelled)), weights(adapt(backbone, normal, FAST))
    )


class TestCollapse:
    def test_effective_rank(self) -> None:
        axes = torch.cat([torch.eye(5), -torch.eye(5)])
        assert effective_rank(axes) == pytest.approx(5)
        assert effective_rank(torch.zeros(4, 3)) == 1
        assert effective_rank(torch.tensor([[1.0, 0], [-1, 0]])) == pytest.approx(1)

    def test_is_told_in_words(self) -> None:
        spread = torch.randn(20, 8)
        first = look(0, spread, spread, spread, torch.zeros(8))
        shrunk = look(50, spread * 0.1, spread * 0.1, spread, torch.zeros(8))
        assert verdict([first, shrunk]).startswith("features collapsed by step 50: spread 1%")
        assert verdict([first, first]).startswith("no collapse in 0 steps: distance to the centre 100%")

    def test_a_look_by_hand(self) -> None:
        held_out = torch.tensor([[2.0, 1.0], [2.0, 3.0], [5.0, 2.0]])  # about (3, 2), variances 6 / 3 and 2 / 3
        first_held_out = torch.tensor([[1.0, 1.0], [2.0, 2.0], [4.0, 2.0]])
        seen = look(7, torch.tensor([[3.0, 0.0], [0.0, 4.0]]), held_out, first_held_out, torch.tensor([1.0, 0.0]), 0.5)
        rank = 0.75**-0.75 * 0.25**-0.25
        assert astuple(seen) == pytest.approx((7, (4 + 17) / 2, (2 + 10 + 20) / 3, (2 + 2 + 4) / 3, rank, 1 / 10, 0.5))

    @pytest.mark.parametrize(
        ("spread", "rank", "said"),
        [
            (0.24, 4.0, "features collapsed by step 1: spread 24% and effective rank 100% of the start's; stop earlier "
             "(--steps 1) or use panda-ewc or panda-ses"),
            (1.0, 1.9, "features collapsed by step 1: spread 100% and effective rank 48%"),
            (0.25, 2.0, "no collapse in 1 steps: distance to the centre 50%, spread 25%, effective rank 50% of the"),
        ],
    )  # fmt: skip
    def test_what_is_a_collapse(self, spread: float, rank: float, said: str) -> None:
        looks = [Look(0, 2.0, 2.0, 1.0, 4.0, 0.0), Look(1, 1.0, 1.0, spread, rank, 0.1)]
        assert verdict(looks).startswith(said)
        nowhere = [replace(one, spread=0.0) for one in looks]
        assert "spread 0%" in verdict(nowhere)
