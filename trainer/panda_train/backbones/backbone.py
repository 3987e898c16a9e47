"""What a backbone is: consecutive stages, cut in two where adaptation begins.

    frames ─ frozen ─► activation ─ adaptable ─► embedding ─ classifier ─► ImageNet logits
                 └─► fine levels         └─► coarse levels

The frozen part never changes, so training runs it once and keeps its activations, and a graph with several
adapted heads (PANDA-SES) holds it once. The adaptable part is the paper's "layers 3 & 4" (section 3.2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from panda_train.backbones.strides import INPUT_MULTIPLE, STRIDES


@dataclass(frozen=True)
class Level:
    """One feature map of the pyramid: `channels` values at every `stride`-th pixel of the input."""

    stride: int
    channels: int


@dataclass(frozen=True)
class Stages:
    """An architecture, before it is cut: what the builders of this package return.

    `levels` names the stage whose output is the pyramid level of a stride; `split` is the first adaptable stage;
    `mean` and `std` are on the 0-255 scale, in RGB order.
    """

    stages: Sequence[nn.Module]
    classifier: nn.Linear
    levels: Mapping[int, tuple[int, int]]  # stage index -> (stride, channels)
    split: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Part(nn.Module):
    """Consecutive stages, some of whose outputs are levels of the pyramid."""

    def __init__(self, stages: Sequence[nn.Module], tapped: Sequence[bool]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self._tapped = tuple(tapped)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last stage's output and the levels on the way, coarse first, each (B, C, h, w)."""
        levels: list[Tensor] = []
        for stage, tapped in zip(self.stages, self._tapped, strict=True):
            x = stage(x)
            if tapped:
                levels.insert(0, x)
        return x, levels


class AdaptablePart(Part):
    """The stages that adaptation trains, and the average pooling after them."""

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Activation (B, C, h, w) → embedding (B, D), and the levels on the way, coarse first."""
        x, levels = super().forward(x)
        return x.mean(dim=(2, 3)), levels

    def until_last_level(self) -> Part:
        """The stages, shared, up to the last that is a level; none where no level lies behind the frozen part."""
        end = max((index + 1 for index, tapped in enumerate(self._tapped) if tapped), default=0)
        return Part(list(self.stages)[:end], self._tapped[:end])


class Backbone(nn.Module):
    """A pretrained network in evaluation mode: `frozen`, then `adaptable`, then `classifier`.

    BatchNorm statistics stay those of the pre-training, also during adaptation (section 3.2): `train()` is
    therefore without effect. `split`: the stage where the adaptable part begins; `last_level`: the stage whose
    output is the coarsest level.
    """

    frozen: Part
    adaptable: AdaptablePart
    classifier: nn.Linear

    def __init__(self, name: str, parts: Stages, weights_sha256: str, facts: Mapping[str, str]) -> None:
        super().__init__()
        tapped = [index in parts.levels for index in range(len(parts.stages))]
        self.name = name
        self.split = parts.split
        self.last_level = max(parts.levels)
        self.frozen = Part(parts.stages[: parts.split], tapped[: parts.split])
        self.adaptable = AdaptablePart(parts.stages[parts.split :], tapped[parts.split :])
        self.classifier = parts.classifier
        self.embedding_size = parts.classifier.in_features
        self.levels = tuple(Level(*parts.levels[index]) for index in sorted(parts.levels, reverse=True))
        self.mean = parts.mean
        self.std = parts.std
        self.weights_sha256 = weights_sha256
        self.facts = dict(facts)  # for the manifest: licence, source
        if tuple(level.stride for level in self.levels) != STRIDES:
            raise ValueError(f"{name}: levels at strides {[level.stride for level in self.levels]}, not {STRIDES}")
        super().train(False)
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "Backbone":
        return self

    @property
    def adapted_levels(self) -> int:
        """How many of the levels, counted from the coarse end, come from the adaptable part."""
        return sum(self.adaptable._tapped)

    def normalise(self, frames: Tensor) -> Tensor:
        """uint8 frames (B, H, W, 3) → float32 (B, 3, H, W), normalised as in the pre-training."""
        mean = torch.tensor(self.mean, device=frames.device)
        scale = 1 / torch.tensor(self.std, device=frames.device)
        return ((frames.float() - mean) * scale).permute(0, 3, 1, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Normalised float32 (B, 3, H, W) → embedding (B, D) and levels [stride 16, 8, 4], each (B, C, h, w)."""
        if x.shape[2] % INPUT_MULTIPLE or x.shape[3] % INPUT_MULTIPLE:
            raise ValueError(f"input is {x.shape[2]}x{x.shape[3]}; both must be multiples of {INPUT_MULTIPLE}")
        activation, fine = self.frozen(x)
        embedding, coarse = self.adaptable(activation)
        return embedding, coarse + fine
