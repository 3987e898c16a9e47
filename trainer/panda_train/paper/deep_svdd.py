"""Deep SVDD (Ruff et al., ICML 2018), a comparator of the paper that learns from the normal pixels alone.

A small network without biases is drawn to a fixed centre: its mean output before training. As published for CIFAR-10:
three convolutions of 5 × 5 with 32, 64 and 128 filters, BatchNorm without parameters, leaky ReLU and pooling, 128
outputs; contrast normalised by the absolute deviation; Adam, weight decay 1e-6, batches of 200, 150 epochs, a tenth of
the learning rate after the 50th. The published autoencoder that comes before is left out: weights begin at random.
"""

import numpy as np
import torch
from torch import Tensor, nn

SIDE = 32
EPOCHS = 150
_DROP_AFTER = 50
_BATCH = 200
_RATE = 1e-4
_DECAY = 1e-6
_FROM_ZERO = 0.1  # a coordinate of the centre near 0 could be reached by weights that are 0


def deep_svdd(normal: np.ndarray, queries: np.ndarray, seed: int = 0, epochs: int = EPOCHS) -> np.ndarray:
    """Squared distance to the centre, float64 (Q,). normal, queries: uint8 (N, 32, 32, 3)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, images = _network(), _normalised(normal)
        with torch.no_grad():
            centre = _away_from_zero(torch.cat([network(part) for part in torch.split(images, _BATCH)]).mean(dim=0))
        _train(network, images, centre, epochs)
    network.eval()
    with torch.no_grad():
        outputs = torch.cat([network(part) for part in torch.split(_normalised(queries), _BATCH)])
    distances: np.ndarray = (outputs - centre).square().sum(dim=1).double().numpy()
    return distances


def _train(network: nn.Module, images: Tensor, centre: Tensor, epochs: int) -> None:
    optimizer = torch.optim.Adam(network.parameters(), _RATE, weight_decay=_DECAY)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [_DROP_AFTER])
    for _ in range(epochs):
        for numbers in torch.split(torch.randperm(len(images)), _BATCH):
            optimizer.zero_grad()
            loss = (network(images[numbers]) - centre).square().sum(dim=1).mean()
            loss.backward()
            optimizer.step()
        scheduler.step()


def _network() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
        convolution = nn.Conv2d(inputs, outputs, 5, padding=2, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs, affine=False), nn.LeakyReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * (SIDE // 8) ** 2, 128, bias=False))


def _normalised(images: np.ndarray) -> Tensor:
    """Each image less its mean, over its mean absolute deviation: float32 (N, 3, 32, 32)."""
    values = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    values = values - values.mean(dim=(1, 2, 3), keepdim=True)
    return values / values.abs().mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)


def _away_from_zero(centre: Tensor) -> Tensor:
    moved = torch.where(centre < 0, -_FROM_ZERO, _FROM_ZERO)
    return torch.where(centre.abs() < _FROM_ZERO, moved, centre)
