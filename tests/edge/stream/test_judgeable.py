"""What cannot be judged is called so, with its reason; what can be is not excused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from panda_edge.bundle.folder import open_bundle
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.quality import Quality, QualityRange, measure_quality
from panda_edge.stream import judgeable
from panda_edge.stream.frame import Frame
from panda_edge.stream.judgeable import PictureCheck, normal_range


@pytest.fixture
def check(pictures: list[Image.Image]) -> PictureCheck:
    frame = Preprocessing(64, 64)
    return PictureCheck(QualityRange.of([measure_quality(picture, frame) for picture in pictures]), frame)


def reason(check: PictureCheck, frame: Frame) -> str | None:
    found = check.reason(frame, live=False)
    return found and found.partition(":")[0]


def test_normal_and_anomalous_pictures_can_be_judged(
    check: PictureCheck, pictures: list[Image.Image], make_frame: Callable[..., Frame]
) -> None:
    assert [reason(check, make_frame(picture, i)) for i, picture in enumerate(pictures)] == [None] * len(pictures)


@pytest.mark.parametrize(
    ("expected", "spoil"),
    [
        ("black", lambda image: image.point(lambda value: value // 20)),
        ("overexposed", lambda image: image.point(lambda value: min(value * 8, 255))),
        ("flat", lambda image: Image.new("RGB", image.size, (120, 120, 120))),
        ("blurred", lambda image: image.filter(ImageFilter.GaussianBlur(6))),
    ],
)
def test_spoilt_pictures_cannot(
    check: PictureCheck,
    pictures: list[Image.Image],
    make_frame: Callable[..., Frame],
    expected: str,
    spoil: Callable[[Image.Image], Image.Image],
) -> None:
    found = check.reason(make_frame(spoil(pictures[0])), live=True)
    assert found is not None
    assert found.startswith(f"{expected}: ")
    assert "normal pictures" in found


def test_a_damaged_picture_says_what_is_wrong(check: PictureCheck, make_frame: Callable[..., Frame]) -> None:
    assert check.reason(make_frame(None, problem="x.png: truncated"), live=False) == "damaged: x.png: truncated"


def test_the_same_pixels_again_and_again_are_frozen(
    check: PictureCheck, pictures: list[Image.Image], make_frame: Callable[..., Frame]
) -> None:
    same = [pictures[0].copy() for _ in range(4)]
    found = [reason(check, make_frame(image, i + 1)) for i, image in enumerate([*same, pictures[1], pictures[0]])]
    assert found == [None, None, "frozen", "frozen", None, None]


def test_of_large_pictures_the_hash_alone_is_kept(
    check: PictureCheck,
    pictures: list[Image.Image],
    make_frame: Callable[..., Frame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judgeable, "_LARGE", 100)
    monkeypatch.setattr(judgeable, "_STRIP", 7)
    same = [pictures[0].copy() for _ in range(4)]
    found = [reason(check, make_frame(image, i + 1)) for i, image in enumerate([*same, pictures[1], pictures[0]])]
    assert found == [None, None, "frozen", "frozen", None, None]
    (last,) = check._last.values()
    assert isinstance(last.picture, bytes)


def test_a_camera_is_given_a_second(
    check: PictureCheck, pictures: list[Image.Image], make_frame: Callable[..., Frame]
) -> None:
    times = [i / 30 for i in range(60)]
    found = [check.reason(make_frame(pictures[0], i, at), live=True) for i, at in enumerate(times)]
    first = next(i for i, why in enumerate(found) if why)
    assert times[first] == pytest.approx(1.0, abs=1 / 30)
    assert all(found[first:])


def test_sources_are_told_apart_and_freezing_can_be_allowed(
    check: PictureCheck, pictures: list[Image.Image], make_frame: Callable[..., Frame]
) -> None:
    for i in range(6):
        source = "ab"[i % 2]
        assert check.reason(make_frame(pictures[i % 2], i, source=source), live=False) is None or i > 3
    patient = PictureCheck(normal_range_of(pictures), Preprocessing(64, 64), frozen_after=0)
    assert [patient.reason(make_frame(pictures[0], i), live=False) for i in range(9)] == [None] * 9


def normal_range_of(pictures: list[Image.Image]) -> QualityRange:
    return QualityRange.of([measure_quality(picture, Preprocessing(64, 64)) for picture in pictures])


def test_the_bundle_says_what_is_normal(bundle_path: Path) -> None:
    normal = normal_range(open_bundle(bundle_path))
    assert normal.images >= 1
    assert 10 < normal.brightness_low < 250
    assert normal.detail_low > 0


def test_quality_is_of_the_model_s_view(texture: Callable[..., np.ndarray]) -> None:
    small = Image.fromarray(texture(96, 128))
    large = small.resize((512, 384), Image.Resampling.BICUBIC)
    frame = Preprocessing(64, 64)
    one, other = measure_quality(small, frame), measure_quality(large, frame)
    for name in ("brightness", "contrast", "detail"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=0.15), name
    grey = measure_quality(small.convert("L"), frame)
    assert grey.brightness == pytest.approx(one.brightness, abs=1)
    darker = measure_quality(small.point(lambda value: value // 2), frame)
    assert darker.detail == pytest.approx(one.detail, rel=0.1)  # light is not sharpness
    assert measure_quality(Image.new("RGB", (64, 64), "white"), frame) == Quality(255.0, 0.0, 1.0, 0.0)
