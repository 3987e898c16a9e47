"""Outliers made from the normal frames themselves, so that outlier exposure needs no foreign data.

`cut`: a piece of the frame, jittered in colour and sometimes turned, pasted elsewhere on it (CutPaste, Li et al., CVPR
2021). `tiles`: the frame in 4 × 4 tiles, in another order and some of them turned, so that parts are normal and their
arrangement is not. `turned`: the frame by a quarter, a half or three quarters. `made`: these three in turn.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from PIL import Image, ImageEnhance

from panda_edge.errors import PandaError

_PIECE = (0.02, 0.15)  # area of a piece, of the frame's
_PIECE_ASPECT = (0.3, 1 / 0.3)
_JITTER = 0.1  # largest change of a piece's brightness, contrast and saturation
_TURN = 45  # degrees, of a piece
_SIDE = 4  # tiles a side


def check_kind(kind: str) -> None:
    """Raises PandaError."""
    if kind not in KINDS:
        raise PandaError(f"--outliers {kind!r}; expected one of {', '.join(KINDS)}")


def made(numbered: Iterable[tuple[int, np.ndarray]], kind: str, seed: int) -> Iterator[np.ndarray]:
    """An outlier of each frame, uint8 (H, W, 3); one depends on kind, seed, number and frame alone."""
    for number, frame in numbered:
        make = _MAKERS[tuple(_MAKERS)[number % len(_MAKERS)] if kind == "made" else kind]
        yield np.ascontiguousarray(make(frame, np.random.default_rng([seed, number])))


def cut(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A piece of the frame pasted elsewhere on it, jittered, and in half of the cases turned."""
    height, width = frame.shape[:2]
    area, aspect = rng.uniform(*_PIECE) * height * width, np.exp(rng.uniform(*np.log(_PIECE_ASPECT)))
    rows, columns = (int(np.clip(side, 2, limit - 1)) for side, limit in (
        (np.sqrt(area / aspect), height), (np.sqrt(area * aspect), width)))  # fmt: skip
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    piece = Image.fromarray(frame[top : top + rows, left : left + columns])
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        piece = enhance(piece).enhance(rng.uniform(1 - _JITTER, 1 + _JITTER))
    angle = rng.uniform(-_TURN, _TURN) if rng.random() < 0.5 else 0.0
    shape = Image.new("L", piece.size, 255).rotate(angle, expand=True)
    piece = piece.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    whole = Image.fromarray(frame)
    at = (int(rng.integers(width - columns + 1)), int(rng.integers(height - rows + 1)))
    whole.paste(piece, at, shape)
    return np.asarray(whole)


def tiles(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The frame's 4 × 4 tiles in another order, each turned by a half or not; sides are multiples of 4."""
    height, width = frame.shape[0] // _SIDE, frame.shape[1] // _SIDE
    parts = [frame[y * height : (y + 1) * height, x * width : (x + 1) * width]
             for y in range(_SIDE) for x in range(_SIDE)]  # fmt: skip
    order = rng.permutation(len(parts))
    shuffled = [parts[i][::-1, ::-1] if rng.random() < 0.5 else parts[i] for i in order]
    return np.block([[[shuffled[y * _SIDE + x]] for x in range(_SIDE)] for y in range(_SIDE)])


def turned(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The frame by a quarter, a half or three quarters; by a half alone where it is not square."""
    quarters = int(rng.integers(1, 4)) if frame.shape[0] == frame.shape[1] else 2
    return np.rot90(frame, quarters)


_MAKERS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "cut": cut, "tiles": tiles, "turned": turned,
}  # fmt: skip
KINDS = ("made", *_MAKERS)
