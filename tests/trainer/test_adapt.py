"""Adaptation: objectives, the loop, what is kept; on a small random network, so that it takes seconds."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from panda_edge.errors import PandaError
from panda_train import backbones
from panda_train.adapt import (
    AdaptConfig,
    Adapted,
    AdaptedBackbone,
    RecomputedActivations,
    Source,
    StoredActivations,
    adapt,
    embeddings,
    keep,
    store,
    unadapted,
    verdict,
    whiten,
)
from panda_train.adapt.adapted import _ROWS, _to_nearest, neighbour_scale
from panda_train.adapt.batches import draw
from panda_train.adapt.collapse import effective_rank, look
from panda_train.adapt.exposed_weight import fit_weight
from panda_train.adapt.methods import checkpoints_of
from panda_train.adapt.objectives import Compactness, ElasticPull, OutlierExposure
from panda_train.backbones.resnet import build

IMAGES, SIZE = 40, 32
FAST = AdaptConfig("panda-early", steps=12, batch=8, learning_rate=0.5, watch=4)


@pytest.fixture(scope="module")
def backbone() -> backbones.Backbone:
    return backbones.untrained("resnet18")


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (IMAGES, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def normal(backbone: backbones.Backbone, frames: np.ndarray) -> Source:
    return Source(store(backbone, frames, IMAGES), IMAGES)


def weights(adapted: Adapted) -> torch.Tensor:
    return torch.cat([parameter.flatten() for parameter in adapted.heads[-1].parameters()])


class TestActivations:
    def test_stored_equal_recomputed(self, backbone: backbones.Backbone, frames: np.ndarray, normal: Source) -> None:
        recomputed = RecomputedActivations(backbone, frames)
        indices = np.array([3, 39, 0, 17])
        torch.testing.assert_close(normal.activations.batch(indices), recomputed.batch(indices), rtol=1e-5, atol=1e-5)

    def test_training_on_either_ends_the_same(
        self, backbone: backbones.Backbone, frames: np.ndarray, normal: Source
    ) -> None:
        stored = adapt(backbone, normal, FAST)
        recomputed = adapt(backbone, Source(RecomputedActivations(backbone, frames), IMAGES), FAST)
        torch.testing.assert_close(weights(stored), weights(recomputed), rtol=1e-4, atol=1e-6)

    def test_too_large_for_memory_go_to_a_file_with_the_same_content(
        self, backbone: backbones.Backbone, frames: np.ndarray, normal: Source, tmp_path: Path
    ) -> None:
        everything = np.arange(IMAGES)
        for spilled in (
            store(backbone, frames, IMAGES, limit=1),
            store(backbone, frames, IMAGES, file=tmp_path / "kept.npy"),
        ):
            assert isinstance(spilled._array, np.memmap)
            assert torch.equal(spilled.batch(everything), normal.activations.batch(everything))

    def test_kept_in_a_file_they_are_made_once(
        self, backbone: backbones.Backbone, frames: np.ndarray, normal: Source, tmp_path: Path
    ) -> None:
        def stopped() -> Iterator[np.ndarray]:
            yield from frames[:20]
            raise KeyboardInterrupt

        file = tmp_path / "new" / "cats-40.npy"
        with pytest.raises(KeyboardInterrupt):
            keep(backbone, stopped(), IMAGES, file)
        assert not file.exists()
        expected = normal.activations.batch(np.arange(IMAGES))
        for given in (iter(frames), stopped()):  # the second is not asked for a frame
            kept = keep(backbone, given, IMAGES, file)
            assert isinstance(kept._array, np.memmap)
            assert torch.equal(kept.batch(np.arange(IMAGES)), expected)
        assert [path.name for path in file.parent.iterdir()] == ["cats-40.npy"]
        held = StoredActivations.joined([kept, kept.in_memory()])
        assert not isinstance(kept.in_memory()._array, np.memmap)
        assert torch.equal(held.batch(np.arange(2 * IMAGES)), torch.cat([expected, expected]))

    def test_count_must_be_the_announced_one(self, backbone: backbones.Backbone, frames: np.ndarray) -> None:
        with pytest.raises(ValueError, match="40 frames came, 39 were announced"):
            store(backbone, frames, 39)


class TestDraw:
    def test_an_epoch_shows_each_image_once(self) -> None:
        seen = np.concatenate([draw(0, 0, step, 40, 8) for step in range(5)])
        assert sorted(seen) == list(range(40))

    def test_depends_on_step_group_and_seed_alone(self) -> None:
        assert np.array_equal(draw(1, 0, 7, 40, 8), draw(1, 0, 7, 40, 8))
        assert not np.array_equal(draw(1, 0, 7, 40, 8), draw(2, 0, 7, 40, 8))
        assert not np.array_equal(draw(1, 0, 7, 40, 8), draw(1, 1, 7, 40, 8))

    def test_batch_larger_than_the_set(self) -> None:
        assert sorted(draw(0, 0, 3, 5, 8)) == list(range(5))


class TestObjectives:
    def test_compactness_is_the_sum_of_squared_distances(self) -> None:
        embedding, centre = torch.randn(6, 4), torch.randn(4)
        expected = sum(((row - centre) ** 2).sum() for row in embedding)
        torch.testing.assert_close(Compactness(centre, unit=False).loss([embedding], []), expected)

    def test_outlier_exposure_is_logistic_regression(self) -> None:
        objective = OutlierExposure(torch.randn(4), torch.tensor(0.7), unit=False)
        normal, exposed = torch.randn(5, 4), torch.randn(3, 4)
        logits = torch.cat([normal, exposed]) @ objective.weight + 0.7
        labels = torch.tensor([0.0] * 5 + [1.0] * 3)
        expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        torch.testing.assert_close(objective.loss([normal, exposed], []), expected)

    def test_elastic_pull_adds_the_gradient_of_its_penalty(self) -> None:
        parameter = torch.nn.Parameter(torch.randn(7))
        fisher = torch.rand(7)
        pull = ElasticPull([parameter], [fisher], strength=3.0)
        with torch.no_grad():
            parameter.add_(torch.randn(7))
        parameter.grad = torch.ones(7)
        pull.add_gradient()
        moved = parameter.detach().requires_grad_(True)
        (1.5 * (fisher * (moved - pull.anchors[0]) ** 2).sum()).backward()
        assert moved.grad is not None
        torch.testing.assert_close(parameter.grad, moved.grad + 1)
        assert pull.penalty() == pytest.approx(float(1.5 * (fisher * (moved.detach() - pull.anchors[0]) ** 2).sum()))


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


class TestSes:
    def test_checkpoints_are_at_fixed_intervals_and_the_end(self) -> None:
        config = replace(FAST, method="panda-ses", batch=8, every=2)
        assert checkpoints_of(config, images=40, steps=25) == [10, 20, 25]

    @pytest.mark.parametrize("knn", [1, 3])
    def test_score_is_the_largest_ratio_of_neighbour_distances(
        self, backbone: backbones.Backbone, normal: Source, frames: np.ndarray, knn: int
    ) -> None:
        adapted = adapt(backbone, normal, replace(FAST, method="panda-ses", every=1))
        x = backbone.normalise(torch.from_numpy(frames[:5]))
        with torch.no_grad():
            asked = [torch.nn.functional.normalize(h(backbone.frozen(x)[0])[0], dim=1).double() for h in adapted.heads]
            score = AdaptedBackbone(backbone, adapted, knn=knn)(x)[2]
        ratios = []
        for head, queries in zip(adapted.heads, asked, strict=True):
            bank = embeddings(head, normal.activations, unit=True).double()
            own = (bank[:, None] - bank[None]).square().sum(dim=2).sort(dim=1).values[:, 1 : knn + 1]
            near = (queries[:, None] - bank[None]).square().sum(dim=2).sort(dim=1).values[:, :knn]
            ratios.append(near.mean(dim=1) / own.mean())
        torch.testing.assert_close(score.double(), torch.stack(ratios).amax(dim=0), rtol=1e-3, atol=1e-3)

    def test_scales_of_more_images_than_are_compared_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
        whole = neighbour_scale(values, 2)
        monkeypatch.setattr("panda_train.adapt.adapted._ROWS", 7)
        assert neighbour_scale(values, 2) == pytest.approx(whole, rel=1e-12)

    def test_a_large_bank_is_compared_a_few_rows_at_a_time(self) -> None:
        generator = torch.Generator().manual_seed(0)
        bank, queries = (torch.randn(n, 6, generator=generator) for n in (2 * _ROWS + 7, 5))
        queries[0] = bank[-1] + 1e-4  # a near one, in the last part
        largest = [0]

        class Watching(TorchDispatchMode):
            def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                result = function(*args, **(kwargs or {}))
                if isinstance(result, torch.Tensor):
                    largest[0] = max(largest[0], result.numel())
                return result

        with Watching():
            got = _to_nearest(queries, bank, 3)
        assert largest[0] == 5 * _ROWS * 6
        squared = (queries.double()[:, None] - bank.double()[None]).square().sum(dim=2)
        torch.testing.assert_close(got.double(), squared.sort(dim=1).values[:, :3].mean(dim=1), rtol=1e-5, atol=0)
        nearest = _to_nearest(queries, bank, 1)[0]
        torch.testing.assert_close(nearest.double(), squared[0].min(), rtol=1e-6, atol=0)

    def test_more_embeddings_than_a_graph_should_hold(
        self, backbone: backbones.Backbone, normal: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adapted = adapt(backbone, normal, replace(FAST, method="panda-ses", every=1))
        monkeypatch.setattr("panda_train.adapt.adapted._MOST_BANK_BYTES", 1000)
        with pytest.raises(PandaError, match="use --distance centre"):
            AdaptedBackbone(backbone, adapted)
        assert AdaptedBackbone(backbone, adapted, "ses-centre").has_score

    def test_another_methods_checkpoints(self, backbone: backbones.Backbone, normal: Source) -> None:
        with pytest.raises(PandaError, match="needs the checkpoints of panda-ses"):
            AdaptedBackbone(backbone, adapt(backbone, normal, replace(FAST, steps=1)), score="ses-knn")

    def test_score_by_the_centre_is_the_largest_ratio_over_checkpoints(
        self, backbone: backbones.Backbone, normal: Source, frames: np.ndarray
    ) -> None:
        adapted = adapt(backbone, normal, replace(FAST, method="panda-ses", every=1))
        assert len(adapted.heads) == len(adapted.scales) == len(adapted.steps) == 3
        x = backbone.normalise(torch.from_numpy(frames[:5]))
        with torch.no_grad():
            activation = backbone.frozen(x)[0]
            ratios = []
            for head, centre, scale in zip(adapted.heads, adapted.centres, adapted.scales, strict=True):
                embedding = torch.nn.functional.normalize(head(activation)[0], dim=1)
                ratios.append(((embedding - torch.from_numpy(centre)) ** 2).sum(dim=1) / float(scale))
            expected = torch.stack(ratios).amax(dim=0)
            score = AdaptedBackbone(backbone, adapted, "ses-centre")(x)[2]
        torch.testing.assert_close(score, expected)

    def test_scales_are_the_mean_distance_of_the_training_images(
        self, backbone: backbones.Backbone, normal: Source
    ) -> None:
        adapted = adapt(backbone, normal, replace(FAST, method="panda-ses", every=1))
        own = embeddings(adapted.heads[0], normal.activations, unit=True).numpy()
        assert adapted.scales[0] == pytest.approx(np.square(own - adapted.centres[0]).sum(axis=1).mean(), rel=1e-5)

    @pytest.mark.parametrize("score", ["ses-knn", "ses-centre"])
    @pytest.mark.parametrize("shade", [0, 90])
    def test_images_that_are_all_alike(
        self, backbone: backbones.Backbone, frames: np.ndarray, shade: int, score: str
    ) -> None:
        plain = np.full_like(frames, shade)
        config = replace(FAST, method="panda-ses", every=1)
        adapted = adapt(backbone, Source(store(backbone, plain, IMAGES), IMAGES), config)
        with torch.no_grad():
            same, other = (
                AdaptedBackbone(backbone, adapted, score)(backbone.normalise(torch.from_numpy(images[:5])))[2]
                for images in (plain, frames)
            )
        assert float(same.max()) < 4
        assert float(other.min()) > 1e3
        assert bool(torch.isfinite(other).all())


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


class TestScores:
    def test_centre_of_the_unadapted(self, backbone: backbones.Backbone, normal: Source, frames: np.ndarray) -> None:
        raw = embeddings(backbone.adaptable, normal.activations, unit=False).numpy()
        model = AdaptedBackbone(backbone, unadapted(backbone, "raw", raw), score="centre")
        with torch.no_grad():
            embedding, levels, score = model(backbone.normalise(torch.from_numpy(frames)))
        np.testing.assert_allclose(embedding.numpy(), raw, rtol=1e-4, atol=1e-5)
        expected = np.square(raw - raw.mean(axis=0)).sum(axis=1)
        np.testing.assert_allclose(score.numpy(), expected, rtol=1e-3)
        assert [level.shape[1] for level in levels] == [level.channels for level in backbone.levels]

    def test_whitening_makes_the_covariance_unit(self) -> None:
        generator = np.random.default_rng(0)
        values = (generator.standard_normal((4000, 6)) @ generator.standard_normal((6, 6))).astype(np.float32)
        whitening = whiten(values, ridge=0.0)
        white = (values - whitening.mean) @ whitening.matrix
        np.testing.assert_allclose(np.cov(white.T), np.eye(6), atol=1e-2)

    def test_whitening_by_few_images_is_that_by_the_whole_covariance(self) -> None:
        values = np.random.default_rng(0).standard_normal((9, 20)).astype(np.float32)
        covariance = np.cov(values.T.astype(np.float64))
        metric = np.linalg.inv(covariance + 0.3 * covariance.diagonal().mean() * np.eye(20))
        whitening = whiten(values, ridge=0.3)
        np.testing.assert_allclose(whitening.matrix @ whitening.matrix.T, metric, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(whitening.mean, values.mean(axis=0), rtol=1e-5)
        assert np.isfinite(whiten(np.ones((3, 8), np.float32)).matrix).all()  # images that are all alike

    def test_whitened_embedding_comes_out_of_the_model(
        self, backbone: backbones.Backbone, normal: Source, frames: np.ndarray
    ) -> None:
        raw = embeddings(backbone.adaptable, normal.activations, unit=False).numpy()
        adapted = unadapted(backbone, "whitened", raw)
        with torch.no_grad():
            embedding, _ = AdaptedBackbone(backbone, adapted)(backbone.normalise(torch.from_numpy(frames)))
        assert np.abs(embedding.numpy().mean(axis=0)).max() < 1e-2

    @pytest.mark.parametrize("name", ["resnet18", "efficientnet-lite0"])
    def test_pyramid_is_the_pretrained_or_the_adapted_one(self, name: str) -> None:
        network = backbones.untrained(name)
        frames = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
        adapted = adapt(network, Source(store(network, frames, 16), 16), replace(FAST, steps=3))
        x = network.normalise(torch.from_numpy(frames[:2]))
        with torch.no_grad():
            before = network(x)[1]
            pretrained, changed = (
                AdaptedBackbone(network, adapted, pyramid=p)(x)[1] for p in ("pretrained", "adapted")
            )
        assert all(torch.equal(a, b) for a, b in zip(before, pretrained, strict=True))
        different = [not torch.equal(a, b) for a, b in zip(before, changed, strict=True)]
        assert different == [index < network.adapted_levels for index in range(3)]

    def test_exposure_score_needs_its_method(self, backbone: backbones.Backbone, normal: Source) -> None:
        with pytest.raises(PandaError, match="needs panda-oe"):
            AdaptedBackbone(backbone, adapt(backbone, normal, replace(FAST, steps=1)), score="exposure")


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


class TestResume:
    def test_goes_on_where_it_stopped(self, backbone: backbones.Backbone, normal: Source, tmp_path: Path) -> None:
        undisturbed = adapt(backbone, normal, replace(FAST, method="panda-ses", every=1))
        state = tmp_path / "state.pt"

        class Killed(Exception):
            pass

        def kill(step: int, total: int) -> None:
            if step == 7:
                raise Killed

        config = replace(FAST, method="panda-ses", every=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("panda_train.adapt.loop.SAVE_SECONDS", 0.0)
            with pytest.raises(Killed):
                adapt(backbone, normal, config, state_file=state, on_step=kill)
        resumed = adapt(backbone, normal, config, state_file=state)
        assert torch.equal(weights(resumed), weights(undisturbed))
        assert resumed.looks == undisturbed.looks
        assert resumed.steps == undisturbed.steps
        assert np.array_equal(resumed.centres, undisturbed.centres)

    def test_another_cut_is_refused(
        self, backbone: backbones.Backbone, normal: Source, frames: np.ndarray, tmp_path: Path
    ) -> None:
        state = tmp_path / "state.pt"
        adapt(backbone, normal, replace(FAST, steps=1), state_file=state)
        network = backbones.untrained("resnet18")
        deeper = backbones.Backbone("resnet18", replace(build("resnet18"), split=4), network.weights_sha256)
        with pytest.raises(PandaError, match="other settings"):
            adapt(deeper, Source(store(deeper, frames, IMAGES), IMAGES), replace(FAST, steps=1), state_file=state)

    def test_other_settings_are_refused(self, backbone: backbones.Backbone, normal: Source, tmp_path: Path) -> None:
        state = tmp_path / "state.pt"
        adapt(backbone, normal, replace(FAST, steps=1), state_file=state)
        with pytest.raises(PandaError, match="other settings"):
            adapt(backbone, normal, replace(FAST, steps=2), state_file=state)

    def test_damaged_state_is_refused(self, backbone: backbones.Backbone, normal: Source, tmp_path: Path) -> None:
        state = tmp_path / "state.pt"
        state.write_bytes(b"half a file")
        with pytest.raises(PandaError, match="not a checkpoint"):
            adapt(backbone, normal, FAST, state_file=state)
