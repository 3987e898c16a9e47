"""Finds anomalous images, and the anomalous pixels in them, on a device without torch.

import panda_edge
detector = panda_edge.load("tile.panda")
result = detector.segment("part.jpg")      # or bytes, an open file, a PIL image, an array
result.anomalous, result.score, result.threshold, result.regions, result.mask
result.save("overlay.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from panda_edge.errors import BundleError, DataError, ImageError, PandaError

if TYPE_CHECKING:
    from panda_edge.detector import Detector, load
    from panda_edge.result import Result
    from panda_edge.stream.frame_options import FrameOptions
    from panda_edge.stream.watch import watch

__version__ = "0.1.0"
__all__ = [
    "BundleError",
    "DataError",
    "Detector",
    "FrameOptions",
    "ImageError",
    "PandaError",
    "Result",
    "__version__",
    "load",
    "watch",
]

_LAZY = {
    "Detector": "panda_edge.detector",
    "Result": "panda_edge.result",
    "FrameOptions": "panda_edge.stream.frame_options",
    "load": "panda_edge.detector",
    "watch": "panda_edge.stream.watch",
}


def __getattr__(name: str) -> Any:
    # onnxruntime and PIL are only paid for by those who load a bundle.
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'panda_edge' has no attribute {name!r}")
