"""What the frozen part gives for pictures, at two cuts at once, made by onnxruntime and kept in files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from panda_edge.bundle.model import Model, default_threads
from panda_export.onnx_file import write_onnx
from panda_train import backbones
from panda_train.adapt import StoredActivations
from panda_train.backbones import Backbone

SIDE = 224
_BATCH = 8


class _TwoCuts(nn.Module):
    """Frames → embedding, and what comes into two stages, channels last: (B, D), (B, h, w, C), (B, h, w, C)."""

    def __init__(self, backbone: Backbone, early: int, late: int) -> None:
        super().__init__()
        self.normalise = backbone.normalise
        self.stages = nn.ModuleList([*backbone.frozen.stages, *backbone.adaptable.stages])
        self.cuts = (early, late)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        x, found = self.normalise(frames), []
        for number, stage in enumerate(self.stages):
            if number in self.cuts:
                found.append(x.permute(0, 2, 3, 1))
            x = stage(x)
        return x.mean(dim=(2, 3)), *found


@dataclass(frozen=True)
class Kept:
    """early, late: activations at the two cuts; embeddings: raw, float32 (N, D)."""

    early: StoredActivations
    late: StoredActivations
    embeddings: np.ndarray


class Keeper:
    """Makes and keeps activations of the default backbone. cuts: the stages before which it is cut."""

    def __init__(self, folder: Path, early: int, late: int) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        graph = folder / f"cut-{early}-{late}.onnx"
        if not graph.exists():
            write_onnx(_TwoCuts(backbones.load(), early, late), graph, SIDE, SIDE, ("embedding", "early", "late"), {})
        self._model = Model(graph, int(os.environ.get("OMP_NUM_THREADS", default_threads())))

    def keep(self, name: str, frames: Iterable[np.ndarray], with_early: bool = True) -> Kept:
        """Of frames, uint8 (224, 224, 3); none is asked for where the files are."""
        files = {what: self._folder / f"{name}-{what}.npy" for what in ("early", "late", "embeddings")}
        if not files["embeddings"].exists():
            parts: dict[str, list[np.ndarray]] = {what: [] for what in files}
            iterator = iter(frames)
            while batch := list(islice(iterator, _BATCH)):
                found = self._model.run(np.stack(batch))
                parts["embeddings"].append(found.embedding)
                parts["late"].append(found.levels[1])
                parts["early"].append(found.levels[0] if with_early else found.levels[0][:, :1, :1, :1])
            for what in ("early", "late", "embeddings"):  # the last says that all are there
                unfinished = files[what].with_suffix(".part")
                with unfinished.open("wb") as stream:
                    np.save(stream, np.concatenate(parts[what]))
                os.replace(unfinished, files[what])
        early, late = (StoredActivations(np.load(files[what])) for what in ("early", "late"))
        return Kept(early, late, np.load(files["embeddings"]))
