"""The scores of adapted networks, against what is computed by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from panda_edge.errors import PandaError
from panda_train import backbones
from panda_train.adapt import (
    AdaptedBackbone,
    Source,
    adapt,
    embeddings,
    store,
    unadapted,
    whiten,
)
from panda_train.adapt.adapted import _ROWS, _to_nearest, neighbour_scale
from panda_train.adapt.methods import checkpoints_of
from small_adaptation import FAST, IMAGES


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
