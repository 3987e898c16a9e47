"""torchvision's residual networks: the paper's backbones (ResNet-152; Wide-ResNet-50-2 for segmentation).

Their stem and layers 1 and 2 are frozen, layers 3 and 4 adapted (section 3.2); layers 1, 2, 3 are the levels.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import nn
from torchvision import models

from panda_edge.errors import PandaError
from panda_train.backbones.backbone import Stages

FACTS = {"licence": "BSD-3-Clause", "source": "torchvision, IMAGENET1K_V1"}


def build(name: str) -> Stages:
    """The architecture with random weights."""
    net = models.get_model(name, weights=None)
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
    layers = [net.layer1, net.layer2, net.layer3, net.layer4]
    wide = [_output_channels(layer) for layer in layers]
    return Stages(
        stages=[stem, *layers],
        classifier=net.fc,
        levels={3: (16, wide[2]), 2: (8, wide[1]), 1: (4, wide[0])},
        split=3,
        mean=(255 * 0.485, 255 * 0.456, 255 * 0.406),
        std=(255 * 0.229, 255 * 0.224, 255 * 0.225),
    )


def _output_channels(layer: nn.Module) -> int:
    return [module for module in layer.modules() if isinstance(module, nn.BatchNorm2d)][-1].num_features


def default_weights(name: str) -> Path:
    """torchvision's ImageNet checkpoint (the first published, as in the paper), downloaded once into torch's cache.

    Raises PandaError where it cannot be fetched.
    """
    url: str = models.get_model_weights(name)["IMAGENET1K_V1"].url
    target = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        expected = target.stem.rsplit("-", 1)[1]  # the file's name ends in the first digits of its sha256
        try:
            torch.hub.download_url_to_file(url, str(target), hash_prefix=expected, progress=False)
        except (URLError, OSError, RuntimeError) as error:
            raise PandaError(
                f"cannot fetch the weights of {name} ({error}); download {url} elsewhere and give --weights FILE"
            ) from error
    return target


_STEM = {"conv1": "stages.0.0", "bn1": "stages.0.1", "fc": "classifier"}


def rename(tensors: Mapping[str, object], parts: Stages) -> dict[str, str]:
    """torchvision's tensor names → names under `stages` and `classifier`."""
    names = {}
    for key in tensors:
        top, _, rest = key.partition(".")
        if top in _STEM:
            names[key] = f"{_STEM[top]}.{rest}"
        elif top.startswith("layer") and top[5:] in "1234":
            names[key] = f"stages.{top[5:]}.{rest}"
    return names
