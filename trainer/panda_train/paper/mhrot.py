"""MHRot (Hendrycks et al., NeurIPS 2019, section 4), a comparator of the paper that learns from normal pixels alone.

A network is trained to tell how a normal image was turned (4 quarters), shifted up or down (by 8 of 32 pixels or not)
and to the side (likewise), with a head for each; of an image that is not normal it tells less surely. The published
network is a WRN-16-4; here it is a small one of three convolutions, so that a class takes minutes without a GPU.
"""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from panda_train.paper.deep_svdd import SIDE

EPOCHS = 200
_BATCH = 128
_RATE = 1e-3
_SHIFT = 8
_SHIFTS = (0, -_SHIFT, _SHIFT)
HEADS = (4, len(_SHIFTS), len(_SHIFTS))
TRANSFORMS = tuple(itertools.product(*(range(size) for size in HEADS)))
"""Quarters turned, and the numbers of the shifts down and to the side."""


def mhrot(normal: np.ndarray, queries: np.ndarray, seed: int = 0, epochs: int = EPOCHS) -> np.ndarray:
    """Less the sum, over all transforms and heads, of the probability given to the right answer: float64 (Q,).

    normal, queries: uint8 (N, 32, 32, 3).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network()
        _train(network, _tensor(normal), epochs)
    network.eval()
    with torch.no_grad():
        scores = [_sureness(network, part) for part in torch.split(_tensor(queries), _BATCH)]
    result: np.ndarray = -torch.cat(scores).double().numpy()
    return result


def transformed(images: Tensor, transform: tuple[int, ...]) -> Tensor:
    """Images (B, 3, H, W) turned, then shifted; what comes in at a border is mirrored."""
    quarters, down, aside = transform
    padded = F.pad(torch.rot90(images, quarters, dims=(2, 3)), (_SHIFT,) * 4, mode="reflect")
    top, left = _SHIFT - _SHIFTS[down], _SHIFT - _SHIFTS[aside]
    return padded[:, :, top : top + images.shape[2], left : left + images.shape[3]]


def _train(network: nn.Module, images: Tensor, epochs: int) -> None:
    optimizer = torch.optim.Adam(network.parameters(), _RATE)
    answers = torch.tensor(TRANSFORMS)
    for _ in range(epochs):
        for numbers in torch.split(torch.randperm(len(images)), _BATCH):
            drawn = torch.randint(len(TRANSFORMS), (len(numbers),))
            shown = [transformed(images[i : i + 1], TRANSFORMS[t]) for i, t in zip(numbers, drawn, strict=True)]
            heads = torch.split(network(torch.cat(shown)), list(HEADS), dim=1)
            loss = torch.stack(
                [F.cross_entropy(head, answers[drawn, number]) for number, head in enumerate(heads)]
            ).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def _sureness(network: nn.Module, images: Tensor) -> Tensor:
    total = torch.zeros(len(images))
    for transform in TRANSFORMS:
        heads = torch.split(network(transformed(images, transform)), list(HEADS), dim=1)
        total += sum(head.softmax(dim=1)[:, answer] for head, answer in zip(heads, transform, strict=True))
    return total


def _network() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * (SIDE // 8) ** 2, sum(HEADS)))


def _tensor(images: np.ndarray) -> Tensor:
    """float32 (N, 3, 32, 32), -1 … 1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
