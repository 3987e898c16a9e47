"""Whether a picture can be judged at all: frozen, black, overexposed or blurred ones are never called normal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from PIL import Image

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.selftest import read_selftest
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.quality import QualityRange, measure_quality
from panda_edge.stream.frame import Frame

# How far beyond the normal pictures' own range a picture must lie. Wide: an odd product is to be judged, not excused.
_OF_BRIGHTNESS, _OF_CONTRAST, _OF_DETAIL = 0.25, 0.1, 0.6
_OF_DETAIL_OF_FEW = 0.4  # where only the self-test's three pictures tell what is normal
_MANY = 20
_LARGE = 16_000_000  # pixels, from which only its hash is kept of a picture
_STRIP = 256  # rows that are hashed at once
_REPEATS = 2  # a frozen picture has come at least so many times again

FROZEN_AFTER = 1.0  # seconds


@dataclass
class _Last:
    picture: Image.Image | bytes  # of a large one the hash
    number: int
    since: float
    repeats: int = 0


class PictureCheck:
    """Says of each frame why it cannot be judged. Holds the last picture of each source."""

    def __init__(self, normal: QualityRange, preprocessing: Preprocessing, frozen_after: float = FROZEN_AFTER) -> None:
        """normal: of pictures as `preprocessing` brings them to the model's input. frozen_after: seconds for which a
        camera may show the very same pixels; 0 for ever."""
        self._normal = normal
        self._preprocessing = preprocessing
        self._frozen_after = frozen_after
        self._last: dict[str, _Last] = {}

    def renew(self, normal: QualityRange, preprocessing: Preprocessing) -> None:
        """Judge by another bundle's normal pictures from now on."""
        self._normal, self._preprocessing = normal, preprocessing

    def reason(self, frame: Frame, live: bool) -> str | None:
        """Why the frame cannot be judged, in words that begin with `damaged`, `frozen`, `black`, `overexposed`, `flat`
        or `blurred`; None where it can."""
        opened = frame.picture.opened
        if opened is None:
            return f"damaged: {frame.picture.problem}"
        return self._frozen(frame, opened.image, live) or self._beyond(opened.image)

    def _frozen(self, frame: Frame, image: Image.Image, live: bool) -> str | None:
        if not self._frozen_after:
            return None
        last = self._last.get(frame.source)
        arrived = frame.picture.arrived
        picture = image if image.width * image.height <= _LARGE else _hash(image)
        if last is None or not _same(last.picture, picture):
            self._last[frame.source] = _Last(picture, frame.number, arrived)
            return None
        last.repeats += 1
        if last.repeats < _REPEATS or (live and arrived - last.since < self._frozen_after):
            return None
        return f"frozen: the very pixels of frame {last.number}, {last.repeats} times since"

    def _beyond(self, image: Image.Image) -> str | None:
        found, normal = measure_quality(image, self._preprocessing), self._normal
        if found.brightness < _OF_BRIGHTNESS * normal.brightness_low:
            return f"black: brightness {found.brightness:.1f}, normal pictures from {normal.brightness_low:.1f}"
        if found.burnt_out > (1 + normal.burnt_out_high) / 2:
            return f"overexposed: {found.burnt_out:.0%} burnt out, normal pictures up to {normal.burnt_out_high:.0%}"
        if found.contrast < _OF_CONTRAST * normal.contrast_low:
            return f"flat: contrast {found.contrast:.1f}, normal pictures from {normal.contrast_low:.1f}"
        share = _OF_DETAIL if normal.images >= _MANY else _OF_DETAIL_OF_FEW
        if found.detail < share * normal.detail_low:
            return f"blurred: detail {found.detail:.3f}, normal pictures from {normal.detail_low:.3f}"
        return None


def normal_range(bundle: Bundle) -> QualityRange:
    """What the bundle's normal pictures showed; of a bundle that does not say, its self-test's. Raises BundleError."""
    if bundle.manifest.normal_pictures is not None:
        return bundle.manifest.normal_pictures
    whole = Preprocessing(bundle.manifest.preprocessing.height, bundle.manifest.preprocessing.width)
    frames = read_selftest(bundle).frames
    normal = QualityRange.of([measure_quality(Image.fromarray(frame), whole) for frame in frames])
    if bundle.manifest.preprocessing.tiles is not None:  # a tile says nothing of the whole picture's detail
        return replace(normal, contrast_low=0.0, detail_low=0.0)
    return normal


def _hash(image: Image.Image) -> bytes:
    """Of size, mode and pixels, taken in strips."""
    digest = hashlib.blake2b(f"{image.size} {image.mode}".encode())
    for top in range(0, image.height, _STRIP):
        digest.update(image.crop((0, top, image.width, min(top + _STRIP, image.height))).tobytes())
    return digest.digest()


def _same(one: Image.Image | bytes, other: Image.Image | bytes) -> bool:
    if isinstance(one, bytes) or isinstance(other, bytes):
        return one == other
    if one is other:
        return True
    if one.size != other.size or one.mode != other.mode:
        return False
    # A row from the middle tells nearly all pictures apart, at a hundredth of the cost.
    row = (0, one.height // 2, one.width, one.height // 2 + 1)
    return one.crop(row).tobytes() == other.crop(row).tobytes() and one.tobytes() == other.tobytes()
