"""A video of the sample's pictures: a line with a part a frame, most of them good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from panda_edge.errors import DataError, PandaError, missing
from panda_edge.whole_file import whole_file

_FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".avi": "avi"}
_FRAMES_A_SECOND = 5
_ROUNDS = 3  # how often each good picture comes
_GOOD_TO_A_DEFECT = 9


def check_video(video: Path) -> Any:
    """The module that encodes. Raises PandaError where it is missing, or where the file's suffix names no container."""
    if video.suffix.lower() not in _FORMATS:
        raise DataError(f"--video {video}: expected a name that ends in {', '.join(_FORMATS)}")
    try:
        import av
    except ImportError as error:
        raise missing("--video needs PyAV", "video") from error
    return av


def write_sample_video(root: Path, video: Path, seed: int = 0) -> None:
    """Write the test pictures of a sample to a video file, whole or not at all, five frames a second.

    Every good picture comes three times, in random order, and after every nine of them a defective one. The same
    arguments give the same frames. Raises PandaError.
    """
    av = check_video(video)
    container_format = _FORMATS[video.suffix.lower()]
    try:
        with whole_file(video) as part, av.open(str(part), "w", format=container_format) as container:
            # Of every FFmpeg's own encoders, at little loss: a codec's noise is not to be what is found.
            stream = container.add_stream("mpeg4", rate=_FRAMES_A_SECOND, options={"qmin": "2", "qmax": "2"})
            shown = [_even(path) for path in _shown(root, np.random.default_rng(seed))]
            stream.width, stream.height, stream.pix_fmt = *shown[0].size, "yuv420p"
            for picture in shown:
                container.mux(stream.encode(av.VideoFrame.from_image(picture)))
            container.mux(stream.encode())
    except OSError as error:  # av's own errors among them
        raise PandaError(f"{video}: cannot be written ({error.strerror or error}); choose another file") from error


def _even(path: Path) -> Image.Image:
    """A picture, less a row or column where their number is odd: colours are at half the resolution."""
    with Image.open(path) as image:
        return image.convert("RGB").crop((0, 0, image.width // 2 * 2, image.height // 2 * 2))


def _shown(root: Path, random: np.random.Generator) -> list[Path]:
    """The pictures in the order in which they are shown."""
    test = sorted((root / "test").rglob("*.png"))
    good = [path for path in test if path.parent.name == "good"]
    defective = [path for path in test if path.parent.name != "good"]
    shown: list[Path] = []
    for _ in range(_ROUNDS):
        for number, index in enumerate(random.permutation(len(good)).tolist(), 1):
            shown.append(good[index])
            if number % _GOOD_TO_A_DEFECT == 0:
                shown.append(defective[int(random.integers(len(defective)))])
    return shown
