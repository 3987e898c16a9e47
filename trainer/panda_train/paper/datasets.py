"""The data sets of the paper's protocol: one class is normal, all others are anomalous at test.

`cifar10`, `cifar100` and `fashion-mnist` are read in torchvision's on-disk formats where those lie in the folder; and
these and all others as class folders, `train/<class>` and `test/<class>`. `mvtec` is a folder of categories, each in
MVTec layout, whose own defects are the anomalies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_edge.errors import DataError
from panda_edge.images.listing import images_below
from panda_edge.images.reading import ImageLike
from panda_train.data.folders import open_dataset

NAMES = ("cifar10", "cifar100", "fashion-mnist", "cats-vs-dogs", "dior", "birds", "flowers", "wbc", "mvtec")

# CIFAR-100's 100 fine classes → its 20 coarse ones.
COARSE = (
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7,
    6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10,
    16, 4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16,
    12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
)  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """A data set whose classes take turns at being normal. train, test: the images of each class, by its name.

    For `mvtec` the anomalies of a category are its own: `defects`, by category; elsewhere None.
    """

    classes: tuple[str, ...]
    train: dict[str, Sequence[ImageLike]]
    test: dict[str, Sequence[ImageLike]]
    defects: dict[str, Sequence[ImageLike]] | None = None


def open_protocol(name: str, root: Path) -> Protocol:
    """Raises DataError: unknown name, or a folder in none of the layouts."""
    if name not in NAMES:
        raise DataError(f"no data set {name!r} in the paper's protocol; there are {', '.join(NAMES)}")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the data set's with --data")
    if name == "mvtec":
        return _mvtec(root)
    on_disk: dict[str, tuple[str, Callable[[Path], Protocol]]] = {
        "cifar10": ("cifar-10-batches-py", _cifar10),
        "cifar100": ("cifar-100-python", _cifar100),
        "fashion-mnist": ("FashionMNIST/raw", _fashion_mnist),
    }
    if name in on_disk and (root / on_disk[name][0]).is_dir():
        try:
            return on_disk[name][1](root)
        except RuntimeError as error:  # torchvision's, for a file that is missing or has another checksum
            raise DataError(f"{root / on_disk[name][0]}: not torchvision's {name} ({error}); fetch it again") from error
    return _class_folders(root)


def _class_folders(root: Path) -> Protocol:
    train: dict[str, Sequence[ImageLike]]
    test: dict[str, Sequence[ImageLike]]
    train, test = ({f.name: _images(f) for f in _folders(root / part)} for part in ("train", "test"))
    if not train or train.keys() != test.keys():
        raise DataError(f"{root}: expected class folders train/<class> and test/<class>, the same in both")
    return Protocol(tuple(train), train, test)


def _mvtec(root: Path) -> Protocol:
    datasets = {folder.name: open_dataset(folder) for folder in _folders(root) if (folder / "train" / "good").is_dir()}
    if not datasets:
        raise DataError(f"{root}: no category in MVTec layout (CATEGORY/train/good) in it")
    return Protocol(
        tuple(datasets),
        {name: dataset.train for name, dataset in datasets.items()},
        {name: [s.path for s in dataset.test if not s.anomalous] for name, dataset in datasets.items()},
        {name: [s.path for s in dataset.test if s.anomalous] for name, dataset in datasets.items()},
    )


def _cifar10(root: Path) -> Protocol:
    from torchvision.datasets import CIFAR10

    train, test = CIFAR10(str(root), train=True), CIFAR10(str(root), train=False)
    return _from_arrays(train.classes, train.data, train.targets, test.data, test.targets)


def _cifar100(root: Path) -> Protocol:
    from torchvision.datasets import CIFAR100

    train, test = CIFAR100(str(root), train=True), CIFAR100(str(root), train=False)
    coarse = np.array(COARSE)
    names = [f"coarse{number:02d}" for number in range(20)]
    return _from_arrays(names, train.data, coarse[train.targets], test.data, coarse[test.targets])


def _fashion_mnist(root: Path) -> Protocol:
    from torchvision.datasets import FashionMNIST

    train, test = FashionMNIST(str(root), train=True), FashionMNIST(str(root), train=False)
    names = [name.replace("/", "-") for name in train.classes]
    return _from_arrays(names, train.data.numpy(), train.targets, test.data.numpy(), test.targets)


def _from_arrays(
    names: Sequence[str], train: np.ndarray, train_labels: object, test: np.ndarray, test_labels: object
) -> Protocol:
    of_train, of_test = np.asarray(train_labels), np.asarray(test_labels)
    return Protocol(
        tuple(names),
        {name: list(train[of_train == number]) for number, name in enumerate(names)},
        {name: list(test[of_test == number]) for number, name in enumerate(names)},
    )


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")) if root.is_dir() else []


def _images(folder: Path) -> Sequence[ImageLike]:
    return images_below(folder)
