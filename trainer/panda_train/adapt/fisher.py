"""The Fisher information's diagonal of a backbone's adaptable part (Eq. 4), for PANDA-EWC.

F_i = E over images x of E over classes y ~ p(y|x) of (∂ log p(y|x) / ∂θ_i)²

That is the true Fisher: the class is drawn from the model's own softmax, so that no labels are needed. Where the user
has labelled images of the pre-training task, their labels take the place of the drawn ones (the empirical Fisher).
Squares are of single images' gradients, not of a mini-batch's mean gradient, which would be smaller by about the
batch size.
"""

import copy
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, repeat
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from panda_edge.builder.progress import Progress, silent
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.printable import printable
from panda_train.adapt import checkpoint
from panda_train.adapt.activations import frozen_activations
from panda_train.adapt.distributed import Workers
from panda_train.backbones import Backbone
from panda_train.data import natural_images

BATCHES, BATCH = 100, 32
"""Mini-batches of the pre-training task that the paper takes, and images in one."""


def diagonal(
    logits: Callable[[Tensor], Tensor],
    parameters: Sequence[Tensor],
    activations: Iterable[Tensor],
    labels: Iterable[int] | None = None,
    seed: int = 0,
) -> list[Tensor]:
    """Mean over images of the squared gradient of the log-likelihood, one tensor a parameter, in their order.

    logits: (1, C, h, w) → (1, classes), a function of `parameters`, which want gradients. activations: one image
    each, (C, h, w). labels: the images' classes; by default drawn from the softmax.
    """
    generator = torch.Generator().manual_seed(seed)
    sums = [torch.zeros_like(parameter) for parameter in parameters]
    images = 0
    for activation, given in zip(activations, repeat(None) if labels is None else labels, strict=False):
        log_likelihoods = F.log_softmax(logits(activation[None])[0], dim=0)
        # Drawn on the CPU: so the classes are the same whatever device computes.
        shares = log_likelihoods.detach().exp().cpu()
        label = int(torch.multinomial(shares, 1, generator=generator)) if given is None else given
        gradients = torch.autograd.grad(log_likelihoods[label], list(parameters))
        for total, gradient in zip(sums, gradients, strict=True):
            total.addcmul_(gradient, gradient)
        images += 1
    return [total / max(1, images) for total in sums]


def of_backbone(
    backbone: Backbone, frames: Iterable[np.ndarray], labels: Iterable[int] | None = None, seed: int = 0
) -> list[Tensor]:
    """The diagonal of `backbone.adaptable`, in the order of its parameters; frames uint8 (H, W, 3) each."""
    # Channels last: single images go several times faster through depthwise convolutions on a CPU.
    head = copy.deepcopy(backbone.adaptable).to(memory_format=torch.channels_last).requires_grad_(True)

    def logits(activation: Tensor) -> Tensor:
        result: Tensor = backbone.classifier(head(activation)[0])
        return result

    return diagonal(logits, list(head.parameters()), _activations(backbone, frames), labels, seed)


def _activations(backbone: Backbone, frames: Iterable[np.ndarray]) -> Iterator[Tensor]:
    device = next(backbone.parameters()).device
    iterator = iter(frames)
    while chunk := list(islice(iterator, BATCH)):
        yield from frozen_activations(backbone, np.stack(chunk)).to(device)


def default_file(backbone: Backbone) -> Path:
    """Where a backbone's diagonal is kept: in the user's cache folder, by its weights' hash and where it is cut."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "panda-edge" / f"fisher-{backbone.name}-{backbone.weights_sha256[:12]}-from{backbone.split}.pt"


def load_or_make(
    backbone: Backbone, file: Path | None = None, workers: Workers | None = None, progress: Progress = silent
) -> list[Tensor]:
    """The diagonal in `file`; without one, that at `default_file`, made there first where it is not (minutes).

    With several processes, the first makes it. Raises PandaError as `load` does: a file that was named must be there.
    """
    if file is not None:
        return load(file, backbone)
    workers = workers or Workers()
    file = default_file(backbone)
    if workers.is_rank_zero and not file.exists():
        print(
            f"no Fisher diagonal of {backbone.name} yet: made now, once, and kept at {printable(file)}", file=sys.stderr
        )
        compute(backbone, file, progress=progress)
    workers.wait()
    return load(file, backbone)


def compute(
    backbone: Backbone,
    file: Path,
    root: Path | None = None,
    input_size: int = 224,
    batches: int = BATCHES,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Tensor]:
    """The diagonal on labelled images of the pre-training task, or on photographs that come with the installation; kept
    in `file`.

    root: ImageNet's class folders; in the order of their names they are the classifier's classes. None for the
    photographs, with classes that are drawn. Raises PandaError.
    """
    labels: list[int] | None = None
    if root is None:
        images = batches * BATCH
        frames = progress(natural_images.crops(images, input_size, input_size, seed), "Fisher diagonal", images)
        source = "photographs of scikit-image and scikit-learn, drawn classes"
    else:
        chosen = _labelled(root, backbone, batches * BATCH, seed)
        images, labels = len(chosen), [label for _, label in chosen]
        crop = Preprocessing.paper_crop(input_size, input_size)
        frames = (crop.apply(path) for path, _ in progress(chosen, "Fisher diagonal", images))
        source = f"labelled images of {root.name}"
    values = of_backbone(backbone, frames, labels, seed=seed)
    save(file, backbone, values, source=source, images=images)
    return values


def _labelled(root: Path, backbone: Backbone, most: int, seed: int) -> list[tuple[Path, int]]:
    """Images below class folders with their classes, drawn at random. Raises PandaError."""
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []
    classes = backbone.classifier.out_features
    if len(folders) != classes:
        raise PandaError(f"{root}: {len(folders)} class folders; {backbone.name} was trained on {classes} classes")
    images = [(path, label) for label, folder in enumerate(folders) for path in sorted(folder.iterdir())]
    return [images[number] for number in np.random.default_rng(seed).permutation(len(images))[:most]]


def save(file: Path, backbone: Backbone, values: Sequence[Tensor], source: str, images: int) -> None:
    """Write a diagonal with what it belongs to."""
    checkpoint.save(
        file,
        {
            "weights_sha256": backbone.weights_sha256,
            "source": source,
            "images": images,
            "diagonal": [value.cpu().contiguous() for value in values],
        },
    )


def load(file: Path, backbone: Backbone) -> list[Tensor]:
    """A diagonal that `save` wrote. Raises PandaError where it is absent or another backbone's."""
    if not file.exists():
        raise PandaError(f"no Fisher diagonal at {file}: run `panda-train fisher --backbone {backbone.name}` first")
    content = checkpoint.read(file)
    if content.get("weights_sha256") != backbone.weights_sha256:
        raise PandaError(f"{file} is the Fisher diagonal of other weights; compute it anew with `panda-train fisher`")
    values = content["diagonal"]
    expected = [parameter.shape for parameter in backbone.adaptable.parameters()]
    if [value.shape for value in values] != expected or not all(bool((v >= 0).all()) for v in values):
        raise PandaError(f"{file} does not fit the adaptable part of {backbone.name}; compute it anew")
    return list(values)
