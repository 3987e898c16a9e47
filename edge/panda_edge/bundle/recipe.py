"""The recipe in a manifest: how the bundle was made, so that `panda-edge extend` goes on in the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from panda_edge.bundle.fields import any_table, by_name, choice, number, optional, rows, table, text, whole

AUGMENTS = {"none": 1, "rotate": 12, "flip": 4}
"""How pictures are turned → how many copies of a picture go into the bank, itself among them, which is the first."""


@dataclass(frozen=True)
class Recipe:
    """What `fit` was asked, and what it found.

    Attributes:
        opset: Of the ONNX model.
        precision: Of the model that was kept, `float32` or `int8`.
        seed: Of every random choice.
        train_images: Pictures that the bank was made of, turned copies not counted.
        bank: What is kept of them (`panda_edge.banks.settings` reads it).
        steps: What was asked of the heat map's steps, in order (`panda_edge.builder.steps` reads them).
        max_abs_difference: Of each of the model's outputs, onnxruntime against torch.
        augment: The turned copies in the bank, a key of `AUGMENTS`.
        extended_by: Pictures of the bank that were added after `fit`.
        shrunk_to: What a limit of megabytes left of the bank, in words; '' without a limit.
    """

    opset: int
    precision: str
    seed: int
    train_images: int
    bank: dict[str, Any]
    steps: tuple[dict[str, Any], ...]
    max_abs_difference: dict[str, float]
    augment: str = "none"
    extended_by: int = 0
    shrunk_to: str = ""


read_recipe = table(
    Recipe,
    opset=whole(),
    precision=choice("float32", "int8"),
    seed=whole(0, 2**32 - 1),
    train_images=whole(0),
    bank=any_table(),
    steps=optional(rows(any_table()), ()),
    max_abs_difference=optional(by_name(r"\w+", "an output's name", number(0, 1e12)), {}),
    augment=choice(*AUGMENTS),
    extended_by=whole(0),
    shrunk_to=optional(text(), ""),
)
