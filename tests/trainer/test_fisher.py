"""The Fisher diagonal against per-image autograd by another route, and against its closed form."""

import copy
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn

from panda_edge.errors import PandaError
from panda_train import backbones
from panda_train.adapt import AdaptConfig, fisher
from panda_train.adapt.adaptation import AdaptOptions
from panda_train.data import natural_images
from panda_train.fitting import FitOptions, fit
from panda_train.resolution import Resolution

T = TypeVar("T")


def tiny(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4, 5)).eval()


def test_equals_per_sample_gradients_with_given_labels() -> None:
    network = tiny()
    images = torch.randn(12, 2, 4, 4)
    labels = torch.arange(12) % 5
    got = fisher.diagonal(network, list(network.parameters()), list(images), labels.tolist())

    weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
    buffers = dict(network.named_buffers())

    def loss(weights: dict[str, torch.Tensor], image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        logits = torch.func.functional_call(network, (weights, buffers), (image[None],))
        return nn.functional.cross_entropy(logits, label[None])

    per_sample = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(weights, images, labels)
    for diagonal, gradients in zip(got, per_sample.values(), strict=True):
        torch.testing.assert_close(diagonal, gradients.square().mean(dim=0))


def test_drawn_labels_approach_the_closed_form() -> None:
    # For logits W x the Fisher diagonal of W[c, d] is E[x_d² p_c (1 - p_c)].
    torch.manual_seed(1)
    layer = nn.Linear(4, 3, bias=False)
    image = torch.randn(4)
    p = torch.softmax(layer(image), dim=0).detach()
    expected = (p * (1 - p))[:, None] * image.square()[None]
    got = fisher.diagonal(layer, [layer.weight], [image] * 4000, seed=0)[0]
    torch.testing.assert_close(got, expected, rtol=0.08, atol=1e-3)


def test_is_not_the_square_of_the_mean_gradient() -> None:
    network = tiny()
    images = torch.randn(16, 2, 4, 4)
    single = fisher.diagonal(network, list(network.parameters()), list(images), seed=0)
    assert all(bool((value >= 0).all()) for value in single)
    assert sum(float(value.sum()) for value in single) > 0


def test_backbone_diagonal_is_kept_and_checked(tmp_path: Path) -> None:
    backbone = backbones.untrained("resnet18")
    file = tmp_path / "fisher.pt"
    values = fisher.compute(backbone, file, input_size=32, batches=1)
    assert [value.shape for value in values] == [p.shape for p in backbone.adaptable.parameters()]
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    for kept, value in zip(fisher.load(file, backbone), values, strict=True):
        assert torch.equal(kept, value)
    with pytest.raises(PandaError, match="of other weights"):
        fisher.load(file, backbones.untrained("resnet18", seed=1))
    with pytest.raises(PandaError, match="panda-train fisher"):
        fisher.load(tmp_path / "none.pt", backbone)


def test_natural_crops_are_seeded_and_varied() -> None:
    first, again = (np.stack(list(natural_images.crops(6, 48, 64, seed=3))) for _ in range(2))
    assert first.shape == (6, 48, 64, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert len({frame.tobytes() for frame in first}) == 6


def test_is_made_where_it_is_missing_and_then_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fisher, "compute", partial(fisher.compute, input_size=32, batches=1))
    backbone = backbones.untrained("resnet18")
    shown: list[str] = []

    def progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
        shown.append(f"{description}: {total}")
        return items

    made = fisher.load_or_make(backbone, progress=progress)
    file = fisher.default_file(backbone)
    assert file.parent == tmp_path / "panda-edge"
    assert shown == ["Fisher diagonal: 32"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"no Fisher diagonal of resnet18 yet: made now, once, and kept at {file}"
    expected = fisher.compute(backbone, tmp_path / "other.pt")  # what `panda-train fisher` writes
    again = fisher.load_or_make(backbone, progress=progress)
    assert all(torch.equal(a, b) for a, b in zip(made, again, strict=True))
    for a, c in zip(made, expected, strict=True):  # two runs on busy threads may sum in another order
        torch.testing.assert_close(a, c, rtol=1e-4, atol=1e-7)
    assert (len(shown), capsys.readouterr().err) == (1, "")


def test_fit_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], normal_images: list[Path]
) -> None:
    backbone = backbones.untrained("resnet18")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(backbones, "load", lambda *_: copy.deepcopy(backbone))
    monkeypatch.setattr(fisher, "compute", partial(fisher.compute, input_size=32, batches=1))
    (tmp_path / "images").mkdir()
    for number in range(20):
        with Image.open(normal_images[number % len(normal_images)]) as image:  # the second time mirrored: no copy
            turned = image if number < len(normal_images) else ImageOps.mirror(image)
            turned.save(tmp_path / "images" / f"{number:02d}.png")
    config = AdaptConfig("panda-ewc", steps=2, batch=8)
    options = FitOptions("panda-ewc", resolution=Resolution("32"), device="cpu", held_out=0, adapt=AdaptOptions(config))
    manifest = fit(tmp_path / "images", tmp_path / "x.panda", options)
    assert manifest is not None
    assert manifest.method["name"] == "panda-ewc"
    assert fisher.default_file(backbone).is_file()
    assert f"kept at {fisher.default_file(backbone)}" in capsys.readouterr().err


def test_a_named_file_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(PandaError, match=r"no Fisher diagonal at .*none\.pt"):
        fisher.load_or_make(backbones.untrained("resnet18"), tmp_path / "none.pt")
    assert not (tmp_path / "cache").exists()
