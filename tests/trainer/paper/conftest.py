"""A made CIFAR-10, class folders and a small network for the paper's protocol."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from panda_train import backbones
from panda_train.adapt import fisher
from panda_train.paper import features as paper_features
from panda_train.paper import run as paper_run
from panda_train.paper.options import PaperOptions
from small_paper import CLASSES, FAST, TEST, TRAIN, picture, small_backbone


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CIFAR-10 as torchvision has it on disk: pickled batches, labels in turns."""
    root = tmp_path_factory.mktemp("cifar10")
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    random = np.random.default_rng(0)
    batches = {f"data_batch_{i}": TRAIN * 10 // 5 for i in range(1, 6)} | {"test_batch": TEST * 10}
    for name, count in batches.items():
        labels = [i % 10 for i in range(count)]
        data = np.stack([picture(label, random).transpose(2, 0, 1).ravel() for label in labels])
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": labels}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASSES)}))
    return root


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cat and dog as class folders: other pictures than CIFAR-10's of these names."""
    root = tmp_path_factory.mktemp("folders")
    random = np.random.default_rng(1)
    for part, count in (("train", TRAIN), ("test", TEST)):
        for number, name in ((0, "cat"), (9, "dog")):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                Image.fromarray(picture(number, random)).save(root / part / name / f"{i:02d}.png")
    return root


@pytest.fixture(autouse=True)
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small network in the default one's place, few natural crops, and torchvision without its checksums."""
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(backbones, "load", lambda name, weights=None, adapt_from=None: small_backbone())
    monkeypatch.setattr(paper_features, "PRETRAINING_IMAGES", 24)
    for comparator in ("deep_svdd", "mhrot"):  # with few epochs
        whole = getattr(paper_run, comparator)
        monkeypatch.setattr(paper_run, comparator, partial(whole, epochs=2))
    for files in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, files, [[name, None] for name, _ in getattr(CIFAR10, files)])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": None})


@pytest.fixture
def options(tmp_path: Path) -> PaperOptions:
    network = small_backbone()
    diagonal = [torch.rand_like(parameter) for parameter in network.adaptable.parameters()]
    fisher.save(tmp_path / "fisher.pt", network, diagonal, source="test", images=1)
    return PaperOptions(
        classes=("cat",), input_size=32, fisher=tmp_path / "fisher.pt", exposed=3, adapt=FAST, methods=("dn2",)
    )
