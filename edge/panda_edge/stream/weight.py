"""What frames weigh in memory, so that queues are bounded by it, and large pictures made light."""

from __future__ import annotations

from dataclasses import replace

from panda_edge.images.reading import OpenedImage
from panda_edge.images.shrunk import shrunk
from panda_edge.stream.frame import Outcome, Picture

_BYTES = {"L": 1}  # of a pixel in Pillow's memory; RGB takes four


def picture_bytes(picture: Picture) -> int:
    """Bytes of its pixels and of the file that they came in."""
    pixels = 0
    if picture.opened is not None:
        image = picture.opened.image
        pixels = image.width * image.height * _BYTES.get(image.mode, 4)
    return pixels + len(picture.encoded or b"")


def outcome_bytes(outcome: Outcome) -> int:
    """Bytes of its picture and heat map."""
    result = outcome.result
    mapped = 0 if result is None or result.heatmap is None else result.heatmap.nbytes
    return picture_bytes(outcome.frame.picture) + mapped


def lightened(outcome: Outcome, side: int, keep_file: bool) -> Outcome:
    """The outcome with a picture of at most `side` pixels a side, to be looked at. keep_file: with its encoded file."""
    picture = outcome.frame.picture
    if picture.opened is None or max(picture.opened.image.size) <= side:
        return outcome
    small = OpenedImage(shrunk(picture.opened.image, side), picture.opened.full_size)
    light = replace(picture, opened=small, encoded=picture.encoded if keep_file else None)
    return replace(outcome, frame=replace(outcome.frame, picture=light))
