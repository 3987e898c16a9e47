"""Features of a protocol's images, each class's computed once and kept."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from panda_edge.builder.progress import Progress
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import ImageLike
from panda_train.adapt import Adapted, StoredActivations, embeddings, keep, store
from panda_train.adapt.adaptation import PRETRAINING_IMAGES
from panda_train.adapt.objectives import embed
from panda_train.backbones import Backbone
from panda_train.data import augment, natural_images, outliers
from panda_train.paper.datasets import Protocol
from panda_train.paper.options import PaperOptions


class Features:
    """Activations of each class's images, computed once and kept in files."""

    def __init__(
        self, backbone: Backbone, protocol: Protocol, options: PaperOptions, folder: Path, progress: Progress
    ) -> None:
        self.backbone = backbone
        self.protocol = protocol
        self._options = options
        # The name is as it was before the cut could be chosen, so that activations kept then are still found.
        cut = "" if options.adapt_from is None else f"-from{backbone.split}"
        self._folder = folder / f"{backbone.name}-{backbone.weights_sha256[:12]}-{options.input_size}{cut}"
        self.exposure_digest = _digest(options.exposure) if options.exposure else None
        self.progress = progress
        self.preprocessing = Preprocessing.paper_crop(options.input_size, options.input_size)
        # Of the class at hand: panda-early trains just as panda-ses, and is its last checkpoint.
        self.checkpoints: dict[str, Adapted] = {}
        self._opened: dict[str, StoredActivations] = {}
        self._embedded: dict[int, Tensor] = {}
        self._pretraining: tuple[StoredActivations, Tensor] | None = None

    def train(self, name: str) -> StoredActivations:
        return self._stored(f"train-{name}", self.images(self.protocol.train[name], self._options.train_images))

    def test(self, name: str) -> StoredActivations:
        return self._stored(f"test-{name}", self.images(self.protocol.test[name], self._options.test_images))

    def defects(self, name: str) -> StoredActivations:
        assert self.protocol.defects is not None
        return self._stored(f"defects-{name}", self.images(self.protocol.defects[name], self._options.test_images))

    def embedded(self, source: StoredActivations, embedding: str) -> np.ndarray:
        """Pretrained embeddings of a stored set, float32 (N, D), `raw` or of unit length."""
        if id(source) not in self._embedded:
            self._embedded[id(source)] = embeddings(self.backbone.adaptable, source, unit=False)
        return embed(self._embedded[id(source)], embedding != "raw").numpy()

    def exposed(self, normal: str) -> list[str]:
        """The classes whose training images panda-oe sees as outliers: those that follow the normal one."""
        classes = self.protocol.classes
        position = classes.index(normal)
        return [classes[(position + 1 + i) % len(classes)] for i in range(self._options.exposed)]

    def exposure(self) -> StoredActivations:
        return self._stored(f"exposure-{self.exposure_digest}", self._options.exposure)

    def views(self, name: str, count: int, seed: int) -> list[StoredActivations]:
        """Augmented copies of a class's training images, `count` of each."""
        images = self.images(self.protocol.train[name], self._options.train_images)
        copies = augment.copies(enumerate(map(self.preprocessing.apply, images)), count, seed)
        shown = self.progress(copies, f"views-{name}", count * len(images))
        file = f"views-{name}-{len(images)}-{count}-seed{seed}"
        return self._kept(file, shown, count * len(images)).views(count)

    def made(self, name: str, kind: str, seed: int) -> StoredActivations:
        """Outliers made of a class's training images, one of each."""
        images = self.images(self.protocol.train[name], self._options.train_images)
        made = outliers.made(enumerate(map(self.preprocessing.apply, images)), kind, seed)
        shown = self.progress(made, f"{kind}-{name}", len(images))
        return self._kept(f"outliers-{kind}-{name}-{len(images)}-seed{seed}", shown, len(images))

    def pretraining(self) -> tuple[StoredActivations, Tensor]:
        """Natural crops with the classes that the backbone itself gives them; made once."""
        if self._pretraining is not None:
            return self._pretraining
        size = self._options.input_size
        frames = natural_images.crops(PRETRAINING_IMAGES, size, size, self._options.adapt.seed)
        stored = store(self.backbone, frames, PRETRAINING_IMAGES)
        with torch.no_grad():
            values = embeddings(self.backbone.adaptable, stored, unit=False)
            classes = self.backbone.classifier(values.to(self._options.device)).argmax(dim=1).cpu()
        self._pretraining = stored, classes
        return self._pretraining

    @staticmethod
    def images(images: Sequence[ImageLike], limit: int | None) -> Sequence[ImageLike]:
        return images[:limit] if limit else images

    def _stored(self, name: str, images: Sequence[ImageLike]) -> StoredActivations:
        frames = (self.preprocessing.apply(image) for image in self.progress(images, name, len(images)))
        return self._kept(f"{name}-{len(images)}", frames, len(images))

    def _kept(self, name: str, frames: Iterable[np.ndarray], count: int) -> StoredActivations:
        if name not in self._opened:
            self._opened[name] = keep(self.backbone, frames, count, self._folder / f"{name}.npy")
        return self._opened[name]


def _digest(images: Sequence[Path]) -> str:
    """Of the images' contents, in their order."""
    whole = hashlib.sha256()
    for image in images:
        whole.update(hashlib.sha256(image.read_bytes()).digest())
    return whole.hexdigest()[:12]
