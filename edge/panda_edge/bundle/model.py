"""The backbone as the device runs it: an onnxruntime session from frames to features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from panda_edge.errors import BundleError, PandaError
from panda_edge.system import usable_processors

MAX_THREADS = 256  # what the kernels take

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "rocm": "ROCMExecutionProvider",
}
_OWN_MEMORY = ("cuda", "tensorrt", "rocm")  # what they compute lies in a GPU's memory


@dataclass(frozen=True)
class Features:
    """What the backbone gives for a batch of B frames, all float32.

    embedding: (B, D); levels: coarse first, each (B, cells, channels) in nested order. score: (B,), where the graph
    itself scores images (manifest field `detection.scoring`), else None.
    """

    embedding: np.ndarray
    levels: tuple[np.ndarray, ...]
    score: np.ndarray | None = None

    def score_of(self, image: int) -> float | None:
        """The graph's score of one image of the batch, None where it gives none."""
        return None if self.score is None else float(self.score[image])


class Model:
    """model.onnx in an onnxruntime session.

    frames: uint8 (B, height, width, 3) RGB, any B ≥ 1; normalisation is inside the graph. bound: whether outputs are
    copied from the provider's memory straight into the arrays that `run` gives (onnxruntime's IO binding); None for
    where that memory is a GPU's.
    """

    def __init__(self, path: Path, threads: int, provider: str = "cpu", bound: bool | None = None) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle session threads must sleep: the search runs on the same cores between two sessions' runs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # its errors are raised, too, and become our one line
        try:
            self._session = ort.InferenceSession(str(path), options, providers=_provider_list(provider))
        except PandaError:
            raise
        except Exception as error:  # onnxruntime raises many types, none of them public
            raise BundleError(f"{path}: onnxruntime cannot load it ({' '.join(str(error).split())[:200]})") from error
        if PROVIDERS[provider] not in (kept := self._session.get_providers()):
            raise PandaError(
                f"the {provider} provider does not start here, onnxruntime would compute with {', '.join(kept)}; "
                f"install what {provider} needs (driver and libraries), or choose --provider cpu"
            )
        self.outputs = tuple(output.name for output in self._session.get_outputs())
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or not self.outputs or self.outputs[0] != "embedding":
            raise BundleError(
                f"{path}: {len(inputs)} inputs, outputs {', '.join(self.outputs)[:200]}; "
                "expected frames, then embedding and the levels"
            )
        # A sequence, a map, text or halves would fail later, in whoever reckons with them.
        odd = [out.name for out in self._session.get_outputs() if out.type != "tensor(float)"]
        if odd or inputs[0].type != "tensor(uint8)":
            raise BundleError(
                f"{path}: takes {inputs[0].type} and gives {', '.join(odd)[:200] or 'floats'} in a type of its own; "
                "expected uint8 frames and float32 outputs, export the bundle again"
            )
        self._input = inputs[0].name
        shapes = [out.shape[1:] for out in self._session.get_outputs()]
        known = all(isinstance(side, int) for shape in shapes for side in shape)  # a user's own graph may not say
        wanted = provider in _OWN_MEMORY if bound is None else bound
        self._shapes = shapes if wanted and known else None

    def run(self, frames: np.ndarray) -> Features:
        """Features of a batch of frames. Raises PandaError where the model fails, or gives NaN or too few."""
        try:
            embedding, *levels = found = self._outputs_of(frames)
        except Exception as error:  # as above
            raise BundleError(f"the model failed ({' '.join(str(error).split())[:200]})") from error
        score = levels.pop() if self.outputs[-1] == "score" else None
        shapes = [output.shape for output in found]
        if any(shape[:1] != (len(frames),) for shape in shapes) or (score is not None and score.ndim != 1):
            raise PandaError(
                f"the model's outputs are {str(shapes)[:200]} of {len(frames)} frames; expected a row of each output "
                "for each frame, and one number as its score; export the bundle again"
            )
        if not np.isfinite(embedding).all() or (score is not None and not np.isfinite(score).all()):
            raise PandaError("the model's output is not finite; its weights are damaged, export the bundle again")
        return Features(embedding, tuple(levels), score)

    def _outputs_of(self, frames: np.ndarray) -> list[np.ndarray]:
        if self._shapes is None:
            return list(self._session.run(self.outputs, {self._input: frames}))
        # New arrays each time: a stream's next frame runs while this one's features are searched.
        found = [np.empty((len(frames), *shape), np.float32) for shape in self._shapes]
        frames = np.ascontiguousarray(frames)
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._input, frames)
        for name, array in zip(self.outputs, found, strict=True):
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return found


def default_threads() -> int:
    """The processors this process may use, at most MAX_THREADS."""
    return min(usable_processors(), MAX_THREADS)


def checked_threads(threads: int | None) -> int:
    """The number of threads asked for; None is every processor. Raises PandaError."""
    if threads is None:
        return default_threads()
    if not 1 <= threads <= MAX_THREADS:
        raise PandaError(f"threads is {threads}; give 1 to {MAX_THREADS}")
    return threads


def _provider_list(name: str) -> list[Any]:
    available = ort.get_available_providers()
    if name not in PROVIDERS:
        raise PandaError(f"unknown provider {name!r}; expected one of {', '.join(PROVIDERS)}")
    if PROVIDERS[name] not in available:
        here = ", ".join(short for short, full in PROVIDERS.items() if full in available)
        raise PandaError(f"this onnxruntime has no {name} provider (it has {here}); install a build that has it")
    return [PROVIDERS[name]] if name == "cpu" else [PROVIDERS[name], PROVIDERS["cpu"]]
