"""Exported networks that the tests of one run share: to trace one takes seconds, and most are the same few."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from made_once import made_once_in
from panda_edge.detector import MODEL_FILE

WriteOnnx = Callable[..., dict[str, float]]
_DIFFERENCES = "differences.json"


def once(write: WriteOnnx, root: Path) -> WriteOnnx:
    """`write_onnx` that does its work once for graphs that are the same in code, numbers and input, and copies its file
    for the others. root: a folder that all processes of the run share."""

    def call(graph: nn.Module, path: Path, *about: Any) -> dict[str, float]:
        def make(folder: Path) -> None:
            differences = write(graph, folder / MODEL_FILE, *about)
            (folder / _DIFFERENCES).write_text(json.dumps(differences))

        made = made_once_in(root, f"export-{identity(graph, *about)}", make)
        shutil.copy(made / MODEL_FILE, path)
        return dict(json.loads((made / _DIFFERENCES).read_text()))

    return call


def identity(graph: nn.Module, *about: Any) -> str:
    """A hash of what an export is made from: each module's code and plain attributes, every tensor, what it is told."""
    found = hashlib.sha256()
    for part in (*_described(graph.eval()), repr(about).encode()):
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()[:32]


def _described(graph: nn.Module) -> Iterator[bytes]:
    for name, module in graph.named_modules():
        kind = type(module)
        yield f"{name} {kind.__module__}.{kind.__qualname__} {module.extra_repr()}".encode()
        for owner in kind.__mro__:
            if issubclass(owner, nn.Module) and owner is not nn.Module:
                for method, value in vars(owner).items():
                    yield method.encode() + _code(value)
        for attribute, value in sorted(vars(module).items()):
            if not attribute.startswith("_"):
                yield attribute.encode() + _plain(value)
    for name, tensor in graph.state_dict().items():
        yield name.encode() + _plain(tensor)


def _plain(value: Any) -> bytes:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    if isinstance(value, Mapping):
        return b"".join(str(key).encode() + _plain(one) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return b"".join(map(_plain, value))
    return _code(value) if callable(value) else repr(value).encode()


def _code(value: Any) -> bytes:
    code = getattr(value, "__code__", None)
    return b"" if code is None else code.co_code + repr([one for one in code.co_consts if _says(one)]).encode()


def _says(constant: Any) -> bool:
    """Whether a constant's text is the same in every process: that of code within code has an address."""
    return constant is None or isinstance(constant, (bool, int, float, str, bytes, tuple))
