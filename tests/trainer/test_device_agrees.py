"""What a device says of an image is what torch says of it on the workstation, for every method that a bundle can hold.

The scores are worked out here anew, in float64 and from the paper's formulas, with the adapted torch modules alone;
the device's come from the exported graph in onnxruntime and the kernels. They may differ by TOLERANCE relative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import panda_edge
from bank_choice import settings_for
from panda_edge.images.preprocessing import Preprocessing
from panda_export import export
from panda_train import backbones
from panda_train.adapt import AdaptConfig, adaptation, fisher, trained_images
from panda_train.adapt.adaptation import Adaptation, AdaptOptions
from panda_train.backbones import Backbone
from panda_train.backbones.backbone import Stages
from panda_train.data.sample import make_sample
from panda_train.fitting import FitOptions, fit
from panda_train.resolution import Resolution

TOLERANCE = 1e-4
RIDGES = {"whitened": 0.1, "rooted": 1.0}  # of whitening, in shares of the mean variance
SIDE = 64
CONFIG = AdaptConfig("panda-early", steps=6, batch=8, learning_rate=0.5, clip=0.1, every=1, watch=3)

# method, --embedding, --distance
CASES = (
    ("dn2", "raw", "knn"),
    ("dn2", "raw", "centre"),
    ("dn2", "unit", "knn"),
    ("dn2", "whitened", "knn"),
    ("dn2", "rooted", "knn"),
    ("dn2", "rooted", "centre"),
    ("panda-early", "raw", "knn"),
    ("panda-early", "unit", "centre"),
    ("panda-early", "whitened", "knn"),
    ("panda-ses", "unit", "knn"),
    ("panda-ses", "unit", "centre"),
    ("panda-ewc", "unit", "knn"),
    ("panda-msc", "unit", "knn"),
    ("panda-msc", "whitened", "knn"),
    ("panda-msc", "rooted", "knn"),
    ("panda-oe", "unit", "none"),
    ("panda-oe", "unit", "knn"),
    ("panda-oe", "raw", "knn"),
    ("jo", "unit", "knn"),
)


def small_backbone() -> Backbone:
    """A backbone of the real ones' build (frozen and adaptable part, BatchNorm), with few random weights."""

    def stage(channels_in: int, channels_out: int, stride: int) -> nn.Module:
        norm = nn.BatchNorm2d(channels_out)
        norm.running_mean = 0.1 * torch.randn(channels_out)
        norm.running_var = 0.5 + torch.rand(channels_out)
        convolution = nn.Conv2d(channels_in, channels_out, 5, stride, padding=2, bias=False)
        return nn.Sequential(convolution, norm, nn.ReLU6())

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stages = [stage(3, 8, 4), stage(8, 12, 2), stage(12, 16, 2), stage(16, 24, 2)]
        parts = Stages(
            stages=stages,
            classifier=nn.Linear(24, 10),
            levels={0: (4, 8), 1: (8, 12), 2: (16, 16)},
            split=2,
            mean=(127.0, 120.0, 110.0),
            std=(40.0, 41.0, 42.0),
        )
        return Backbone("small", parts, weights_sha256="0" * 64, facts={})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 normal images and 10 to test, 80 × 80 pixels, so that they are resized to the input."""
    return make_sample(
        tmp_path_factory.mktemp("agree") / "brick", texture="brick", train_images=24, test_images=2, size=80
    )


@pytest.fixture(scope="module")
def exposure(tmp_path_factory: pytest.TempPathFactory, texture: Callable[..., np.ndarray]) -> Path:
    """16 colourful outliers."""
    folder = tmp_path_factory.mktemp("exposed")
    for number in range(16):
        Image.fromarray(texture(70, 90, seed=number)).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def diagonal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Fisher diagonal of the small backbone, positive and uneven."""
    file = tmp_path_factory.mktemp("fisher") / "diagonal.pt"
    backbone = small_backbone()
    values = [torch.rand_like(parameter) * 1e-3 for parameter in backbone.adaptable.parameters()]
    fisher.save(file, backbone, values, source="test", images=1)
    return file


@dataclass(frozen=True)
class Fitted:
    """A bundle with what torch has of it. adapted: None where `fit` exported the backbone as it was. images: those in
    the bank."""

    bundle: Path
    backbone: Backbone
    adapted: Adaptation | None
    images: list[Path]


Fit = Callable[..., Fitted]


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: Path, exposure: Path, diagonal: Path) -> Fit:
    """`fit`, watched."""
    kept: dict[str, object] = {}
    adapt_to = adaptation.adapt_to
    export_bundle = export.export_bundle

    def watched_adaptation(*arguments: object) -> Adaptation:
        kept["adapted"] = adapt_to(*arguments)  # type: ignore[arg-type]
        return kept["adapted"]  # type: ignore[return-value]

    def watched_export(out: Path, backbone: object, images: list[Path], *more: object, **options: object) -> object:
        kept["images"] = list(images)
        return export_bundle(out, backbone, images, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(adaptation, "adapt_to", watched_adaptation)
    monkeypatch.setattr(export, "export_bundle", watched_export)
    monkeypatch.setattr(adaptation, "PRETRAINING_IMAGES", 32)

    def call(
        method: str,
        embedding: str,
        distance: str,
        backbone: Backbone | None = None,
        folder: Path = data,
        config: AdaptConfig = CONFIG,
        **options: object,
    ) -> Fitted:
        kept.clear()
        network = backbone or small_backbone()
        monkeypatch.setattr(backbones, "load", lambda name, weights=None, adapt_from=None: network)
        adapt_options = AdaptOptions(
            replace(config, embedding=embedding),
            exposure=exposure if method == "panda-oe" else None,
            fisher=diagonal,
            distance=distance,
        )
        out = tmp_path / "x.panda"
        fit(
            folder,
            out,
            FitOptions(
                method,
                resolution=Resolution(str(SIDE)),
                device="cpu",
                bank=settings_for(neighbors=4),
                adapt=adapt_options,
                **options,
            ),  # type: ignore[arg-type]
        )
        return Fitted(out, network, kept.get("adapted"), kept["images"])  # type: ignore[arg-type]

    return call


def torch_scores(made: Fitted, method: str, embedding: str, distance: str, queries: list[Path]) -> np.ndarray:
    """Scores of images, float64 (N,), by torch and the paper's formulas."""
    heads: list[nn.Module] = [made.backbone.adaptable]
    if made.adapted is not None:
        heads = list(made.adapted.backbone.head.heads)
    bank, asked = (_embedded(made.backbone, heads, images, embedding) for images in (made.images, queries))
    if method == "panda-ses":  # section 3.2: the largest s(x) / mean s over the checkpoints
        assert len(heads) > 1
        ratios = []
        for of_bank, of_query in zip(bank, asked, strict=True):
            if distance == "knn":  # a training image is compared with the others: its third nearest is the last
                others = torch.cdist(of_bank, of_bank).square().sort(dim=1).values[:, 1:3]
                near = torch.cdist(of_query, of_bank).square().sort(dim=1).values[:, :2]
                ratios.append(near.mean(dim=1) / others.mean())
                continue
            centre = of_bank.mean(dim=0)
            own = (of_bank - centre).square().sum(dim=1).mean()
            ratios.append((of_query - centre).square().sum(dim=1) / own)
        return torch.stack(ratios).amax(dim=0).numpy()
    if method == "panda-oe":  # Eq. 5
        assert made.adapted is not None
        weight = made.adapted.backbone.head.weight.double()
        assert float(weight.norm()) > 0
        logits = (asked[0] @ weight).numpy()
        if distance == "none":
            return logits
        # Each in units of its spread over normal images that were not trained on.
        trained = trained_images(len(made.images))
        own, new = bank[0][:trained], bank[0][trained:]
        spread = _squared(own, new, embedding, "knn").std()
        return logits / (new @ weight).numpy().std() + _squared(bank[0], asked[0], embedding, "knn") / spread
    return _squared(bank[0], asked[0], embedding, distance)


def _embedded(backbone: Backbone, heads: list[nn.Module], images: list[Path], embedding: str) -> list[Tensor]:
    """ψ(x) of each head, float64 (N, D), or its root, of unit length where it is not raw."""
    frames = np.stack([Preprocessing(SIDE, SIDE).apply(path) for path in images])
    with torch.no_grad():
        activation = backbone.frozen(backbone.normalise(torch.from_numpy(frames)))[0]
        values = [head(activation)[0].double() for head in heads]
    if embedding == "rooted":
        values = [value.sqrt() for value in values]
    return values if embedding == "raw" else [value / value.norm(dim=1, keepdim=True) for value in values]


def _squared(bank: Tensor, queries: Tensor, embedding: str, distance: str) -> np.ndarray:
    """Squared distance to the centre, or its mean over the two nearest, as a Mahalanobis distance where whitened."""
    metric = torch.eye(bank.shape[1], dtype=torch.float64)
    if embedding in RIDGES:
        covariance = torch.cov(bank.T)
        metric = torch.linalg.inv(covariance + RIDGES[embedding] * covariance.diagonal().mean() * metric)
    others = bank.mean(dim=0, keepdim=True) if distance == "centre" else bank
    difference = queries[:, None] - others[None]
    squared = torch.einsum("qnd,de,qne->qn", difference, metric, difference)
    return squared.sort(dim=1).values[:, :2].mean(dim=1).numpy()


def images_to_test(data: Path) -> list[Path]:
    return sorted((data / "test").rglob("*.png"))


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Relative, of single images; a score near 0 (a logit may be) counts by the scores' own size."""
    scale = np.maximum(np.abs(expected), 0.1 * np.abs(expected).mean())
    return float((np.abs(found - expected) / scale).max())


@pytest.mark.slow
@pytest.mark.parametrize(("method", "embedding", "distance"), CASES)
def test_scores(
    fitted: Fit,
    data: Path,
    method: str,
    embedding: str,
    distance: str,
    record_property: Callable[[str, object], None],
) -> None:
    made = fitted(method, embedding, distance)
    queries = images_to_test(data)
    expected = torch_scores(made, method, embedding, distance, queries)
    detector = panda_edge.load(made.bundle, threads=1)
    found = np.array([detector.detect(path).embedding_distance for path in queries])
    assert len(np.unique(found)) == len(found)
    # A whitening or a centre has seen every stored image: only one held out is like a new one.
    seen = method != "dn2" or embedding in RIDGES or distance == "centre"
    assert (len(made.images) < 24) == seen
    difference = largest_difference(found, expected)
    record_property("largest relative difference", difference)
    print(f"{method} {embedding} {distance}: {difference:.1e}")
    assert difference < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("distance", ["knn", "centre"])
def test_ses_where_normal_images_are_nearly_alike(fitted: Fit, tmp_path: Path, exposure: Path, distance: str) -> None:
    """Their distances, and s_t, are then near float32's resolution of an embedding."""
    random = np.random.default_rng(0)
    (tmp_path / "plates").mkdir()
    for number in range(24):
        plate = 128 + random.integers(0, 2, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(plate).save(tmp_path / "plates" / f"{number}.png")
    made = fitted("panda-ses", "unit", distance, folder=tmp_path / "plates", held_out=0)
    detector = panda_edge.load(made.bundle, threads=1)
    plates, others = ([*sorted(folder.glob("*.png"))][:6] for folder in (tmp_path / "plates", exposure))
    found, expected = (
        np.array([detector.detect(path).embedding_distance for path in plates + others]),
        torch_scores(made, "panda-ses", "unit", distance, plates + others),
    )
    assert found[:6].max() < 10 < 500 < found[6:].min()
    np.testing.assert_allclose(found[:6], expected[:6], atol=1e-3)  # in units of s_t, which is 1 on average
    np.testing.assert_allclose(found[6:], expected[6:], rtol=TOLERANCE)
