"""Networks of timm: what the device computes is timm's own forward pass; weights, names and outputs are checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from panda_edge.bundle.manifest import read_manifest
from panda_edge.bundle.model import Model
from panda_edge.errors import PandaError
from panda_train import backbones
from panda_train.fitting import FitOptions, fit
from panda_train.resolution import Resolution

timm = pytest.importorskip("timm", reason="needs timm: pip install panda-edge[timm]")
safetensors = pytest.importorskip("safetensors.torch", reason="needs safetensors, which comes with timm")

VIT, CONVOLUTIONS = "test_vit.r160_in1k", "test_convnext.r160_in1k"


def weights_of(name: str, file: Path, seed: int = 0) -> tuple[torch.nn.Module, Path]:
    """timm's own model with random weights, and a file of these."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = timm.create_model(name, pretrained=False).eval()
    safetensors.save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
    return model, file


@pytest.mark.parametrize("name", [VIT, CONVOLUTIONS])
def test_a_bundle_computes_timms_own_forward_pass(
    name: str, sample_data: Path, odd_image: Path, tmp_path: Path
) -> None:
    model, file = weights_of(name, tmp_path / "weights.safetensors")
    bundle = tmp_path / "x.panda"
    fit(
        sample_data,
        bundle,
        FitOptions(backbone=f"timm:{name}", weights=file, device="cpu", resolution=Resolution(input_size="160")),
    )
    manifest = read_manifest(bundle)
    assert manifest.backbone["name"] == f"timm:{name}"
    assert manifest.backbone["licence"] == "apache-2.0"
    assert manifest.backbone["source"] == f"timm, timm/{name}"
    frames = np.asarray(Image.open(odd_image).convert("RGB").resize((160, 160)))[None]
    features = Model(bundle / "model.onnx", 1).run(frames)
    config = model.pretrained_cfg
    x = torch.from_numpy((frames / 255 - config["mean"]) / config["std"]).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        last, maps = model.forward_intermediates(x, norm=name == VIT)
        embedding = model.forward_head(last, pre_logits=True).numpy()
    taken = maps[-1:] if name == VIT else [maps[2], maps[1], maps[0]]  # strides 16, 8, 4 of 4, 8, 16, 32
    assert [level.stride for level in manifest.levels] == ([16] if name == VIT else [16, 8, 4])
    np.testing.assert_allclose(features.embedding, embedding, atol=1e-4 * np.abs(embedding).max())
    for level, own in zip(features.levels, taken, strict=True):
        # The same rows in another order: the order is what tests of the graph hold.
        rows = own[0].permute(1, 2, 0).reshape(-1, own.shape[1]).numpy()
        by_first = level[0][np.argsort(level[0][:, 0])], rows[np.argsort(rows[:, 0])]
        np.testing.assert_allclose(by_first[0][:, 0], by_first[1][:, 0], atol=1e-4 * np.abs(rows).max())
        np.testing.assert_allclose(level[0].mean(0), rows.mean(0), atol=1e-4 * np.abs(rows).max())


def test_blocks_and_strides_are_chosen(tmp_path: Path) -> None:
    _, vit = weights_of(VIT, tmp_path / "vit.safetensors")
    blocks = backbones.load_fixed(f"timm:{VIT}", vit, ("3", "6"), (160, 160))
    assert [(level.stride, level.channels) for level in blocks.levels] == [(16, 128)]  # side by side
    _, file = weights_of(CONVOLUTIONS, tmp_path / "convolutions.safetensors")
    four = backbones.load_fixed(f"timm:{CONVOLUTIONS}", file, ("4", "8", "16", "32"), (160, 160))
    assert [level.stride for level in four.levels] == [32, 16, 8, 4]
    with pytest.raises(PandaError, match="has blocks 1 to 6, not 7"):
        backbones.load_fixed(f"timm:{VIT}", vit, ("7",), (160, 160))
    with pytest.raises(PandaError, match="has strides 4, 8, 16, 32, not 5"):
        backbones.load_fixed(f"timm:{CONVOLUTIONS}", file, ("5",), (160, 160))
    with pytest.raises(PandaError, match="takes multiples of 16"):
        backbones.load_fixed(f"timm:{VIT}", vit, (), (150, 150))


def test_a_folder_of_weights_and_another_size(tmp_path: Path) -> None:
    weights_of(VIT, tmp_path / "model.safetensors")
    network = backbones.load_fixed(f"timm:{VIT}", tmp_path, (), (160, 160))
    larger = backbones.at_size(network, 192, 160)
    with torch.inference_mode():
        assert larger(torch.zeros(1, 3, 192, 160))[1][0].shape == (1, 64, 12, 10)
    assert backbones.at_size(network, 160, 160) is network


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    _, file = weights_of(CONVOLUTIONS, tmp_path / "weights.safetensors")
    with pytest.raises(PandaError, match="the weights are not those of test_vit") as raised:
        backbones.load_fixed(f"timm:{VIT}", file, (), (160, 160))
    assert "\n" not in str(raised.value)
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(PandaError, match="is not a safetensors file"):
        backbones.load_fixed(f"timm:{VIT}", file, (), (160, 160))


def test_names_that_timm_does_not_know() -> None:
    with pytest.raises(PandaError, match="timm has no model 'resnet19'; there are"):
        backbones.load_fixed("timm:resnet19")
    with pytest.raises(PandaError, match=r"timm has no weights 'resnet18\.nobodys'; there are a1_in1k"):
        backbones.load_fixed("timm:resnet18.nobodys")


def test_weights_that_cannot_be_fetched_are_said_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*_: object) -> str:
        raise OSError("no route to the hub")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    with pytest.raises(PandaError, match=r"cannot fetch the weights of test_vit.*elsewhere and give --weights FILE"):
        backbones.load_fixed(f"timm:{VIT}", None, (), (160, 160))


def test_side_by_side_joins_levels_of_equal_stride() -> None:
    pair = backbones.load_fixed("efficientnet-lite0+efficientnet-lite0")
    single = backbones.load("efficientnet-lite0")
    assert [(level.stride, level.channels) for level in pair.levels] == [
        (level.stride, 2 * level.channels) for level in single.levels
    ]
    frames = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        embedding, levels = pair(pair.normalise(frames))
        own_embedding, own_levels = single(single.normalise(frames))
    assert torch.equal(embedding, torch.cat([own_embedding] * 2, 1))
    assert torch.equal(levels[0], torch.cat([own_levels[0]] * 2, 1))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "no backbone 'nothing'; there are efficientnet-lite0"),
        ("efficientnet-lite0+nothing", "no backbone 'nothing'"),
    ],
)
def test_refused_before_torch(name: str, words: str) -> None:
    with pytest.raises(PandaError, match=words):
        backbones.check(name)


def test_outputs_and_weights_where_they_do_nothing(tmp_path: Path) -> None:
    with pytest.raises(PandaError, match=r"--outputs is for timm:NAME and FILE\.onnx"):
        backbones.check("resnet18", None, ("4",))
    with pytest.raises(PandaError, match="--weights is for one network"):
        backbones.check("efficientnet-lite0+resnet18", tmp_path)


def test_what_adapts_needs_a_network_with_parts(sample_data: Path, tmp_path: Path) -> None:
    with pytest.raises(PandaError, match="used as it is: leave out --method"):
        fit(sample_data, tmp_path / "x.panda", FitOptions(method="panda-early", backbone=f"timm:{VIT}"))
