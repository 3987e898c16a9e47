"""The report's pictures: whole images shrunken, and parts of them pixel by pixel, where the heat map was most wrong."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape

import numpy as np
from PIL import Image, ImageDraw

from panda_edge.detector import Detector
from panda_edge.images.reading import open_image
from panda_edge.printable import printable
from panda_edge.result import Result
from panda_edge.visualise.overlay import color_scale, outlined, overlay, tinted
from panda_train.data.mask_pixels import read_masks
from panda_train.evaluation.scored import Scored, ScoredImage, on_whole_image

_WORST = 6  # of each sort
_STRIP_SIDE = 240  # pixels
_LEAST_PART, _MOST_PART = 192, 768  # pixels a side of a part; only a larger region is shown smaller than it is
_MARGIN = 64  # pixels around a region
_MARK = "#d55e00"  # Okabe and Ito's vermilion

_Box = tuple[int, int, int, int]


def examples(scored: Scored, detector: Detector) -> list[str]:
    """HTML sections. Of a calibrated bundle: misses (anomalous pictures that are called normal), true regions that are
    not called although their picture is, and false alarms (normal pictures that are called anomalous). Then the
    decisions that were closest: found ones with the lowest scores, and normal ones with the highest.
    """
    by_score = sorted(scored.images, key=lambda image: image.score)
    anomalous = [image for image in by_score if image.sample.anomalous]
    normal = [image for image in reversed(by_score) if not image.sample.anomalous]
    if detector.decider is None:
        return [
            *_section("Anomalous pictures with the lowest scores", anomalous, _strip, detector),
            *_section("Normal pictures with the highest scores", normal, _strip, detector),
        ]
    missed = [image for image in anomalous if not image.anomalous]
    called = [image for image in anomalous if image.anomalous]
    alarms = [image for image in normal if image.anomalous]
    quiet = [image for image in normal if not image.anomalous]
    limit = detector.decider.pixel_threshold
    faint = [(image.faintest.peak, image) for image in called if image.faintest and image.faintest.peak <= limit]
    regions = [image for _, image in sorted(faint, key=lambda pair: pair[0])]
    return [
        f"<h2>Misses: {len(missed)} of {len(anomalous)} anomalous pictures</h2>",
        *_shown(missed, _missed, detector),
        *_section("Regions that are not called, in pictures that are", regions, _missed, detector),
        f"<h2>False alarms: {len(alarms)} of {len(normal)} normal pictures</h2>",
        *_shown(alarms, _alarm, detector),
        *_section("Found, and closest to being missed", called, _strip, detector),
        *_section("Called normal, and closest to a false alarm", quiet, _strip, detector),
    ]


def _section(
    title: str, images: list[ScoredImage], show: Callable[[ScoredImage, Detector], str], detector: Detector
) -> list[str]:
    """Some images under a heading; nothing without images."""
    return [f"<h2>{title}</h2>", *_shown(images, show, detector)] if images else []


def _shown(images: list[ScoredImage], show: Callable[[ScoredImage, Detector], str], detector: Detector) -> list[str]:
    """The worst images, and how many there are where these are not all."""
    note = [f'<p class="note">The worst {_WORST} of {len(images)}.</p>'] if len(images) > _WORST else []
    return [*note, *(show(image, detector) for image in images[:_WORST])]


def part_around(box: _Box, size: tuple[int, int]) -> _Box:
    """The part of an image of (width, height) to show around a box in it: square where the image allows it."""
    left, top, right, bottom = box
    side = max(right - left + 2 * _MARGIN, bottom - top + 2 * _MARGIN, _LEAST_PART)
    width, height = min(side, size[0]), min(side, size[1])
    x0 = min(max((left + right - width) // 2, 0), size[0] - width)
    y0 = min(max((top + bottom - height) // 2, 0), size[1] - height)
    return x0, y0, x0 + width, y0 + height


def _missed(image: ScoredImage, detector: Detector) -> str:
    """The true region of an image that its heat map says least of; the whole image where no mask tells."""
    if image.faintest is None:
        return _strip(image, detector)
    result = detector.segment(image.sample.path)
    left, top, right, bottom = box = image.faintest.box
    words = f"a region of {right - left}×{bottom - top} pixels at ({left}, {top})"
    return _part(image, result, detector, box, words, image.faintest.peak, read_masks(image.sample.masks))


def _alarm(image: ScoredImage, detector: Detector) -> str:
    """The highest peak of a normal image's heat map."""
    result = detector.segment(image.sample.path)
    if result.regions:
        (x, y), peak = result.regions[0].peak_at, result.regions[0].peak
    else:
        heatmap = on_whole_image(result)
        y, x = (int(i) for i in np.unravel_index(np.argmax(heatmap), heatmap.shape))
        peak = float(heatmap[y, x])
    return _part(image, result, detector, (x, y, x + 1, y + 1), f"the peak at ({x}, {y})", peak, None)


def _part(
    image: ScoredImage, result: Result, detector: Detector, box: _Box, words: str, peak: float, truth: np.ndarray | None
) -> str:
    """Where a part lies, the part in the image's own pixels, under the heat map, and with its true regions outlined."""
    picture = open_image(image.sample.path, white=detector.preprocessing.white).image
    x0, y0, x1, y1 = part = part_around(box, picture.size)
    here = slice(y0, y1), slice(x0, x1)
    pixels = np.asarray(picture.crop(part))
    threshold = None if result.decision is None else result.decision.pixel_threshold
    heat = tinted(pixels, on_whole_image(result)[here], color_scale(detector.bundle.manifest.segmentation), threshold)
    panels = [
        _jpeg(_marked(picture, part), f"where, in {picture.width}×{picture.height} pixels"),
        _jpeg(Image.fromarray(pixels), f"{x1 - x0}×{y1 - y0} pixels", _MOST_PART),
        _jpeg(Image.fromarray(heat), "heat map", _MOST_PART),
    ]
    if truth is not None:
        panels.append(_jpeg(Image.fromarray(outlined(pixels, truth[here])), "truth", _MOST_PART))
    said = f"{words}, heat {peak:.3g}"
    if threshold is not None:
        said += f", {'called' if peak > threshold else 'not called'} (above {threshold:.3g})"
    return _row(f"{_called(image)}: {said}", panels)


def _marked(picture: Image.Image, part: _Box) -> Image.Image:
    """The whole picture, small, with the part framed."""
    scale = _STRIP_SIDE / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    x0, y0, x1, y1 = (round(edge * scale) for edge in part)
    ImageDraw.Draw(small).rectangle((x0 - 2, y0 - 2, x1 + 1, y1 + 1), outline=_MARK, width=2)
    return small


def _strip(image: ScoredImage, detector: Detector) -> str:
    """Image, heat map, called pixels and true pixels side by side."""
    path = image.sample.path
    result = detector.segment(path)
    picture = open_image(path, white=detector.preprocessing.white).image
    called = np.zeros((picture.height, picture.width), dtype=bool)
    if result.decision is not None:
        called = np.nan_to_num(result.heatmap_on_image(), nan=-np.inf) > result.decision.pixel_threshold
    truth = read_masks(image.sample.masks) if image.sample.masks else np.zeros_like(called)
    scale = color_scale(detector.bundle.manifest.segmentation)
    heat = overlay(picture, result, scale)  # no larger than 2048 pixels a side; its caption is cut off
    heat = heat.crop((0, 0, heat.width, round(heat.width * picture.height / picture.width)))
    panels = (
        ("image", picture),
        ("heat map", heat),
        ("called", Image.fromarray(called)),
        ("truth" if image.sample.masks or not image.sample.anomalous else "truth unknown", Image.fromarray(truth)),
    )
    return _row(_called(image), [_jpeg(panel, label) for label, panel in panels])


def _called(image: ScoredImage) -> str:
    """The image's name, what it is called, and by which score."""
    verdict = "" if image.anomalous is None else ("called anomalous, " if image.anomalous else "called normal, ")
    p_value = "" if image.p_value is None else f", p = {image.p_value:.2g}"
    name = printable(f"{image.sample.kind}/{image.sample.path.name}")
    return f"{name}: {verdict}score {image.score:.3g}{p_value}"


def _row(name: str, panels: list[str]) -> str:
    return f'<div class="name">{escape(name)}</div><div class="strip">{"".join(panels)}</div>'


def _jpeg(image: Image.Image, label: str, side: int = _STRIP_SIDE) -> str:
    """A panel of at most `side` pixels a side, with its label below."""
    image = image.convert("RGB")
    image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    data = base64.b64encode(stream.getvalue()).decode()
    name = escape(label)
    return f'<div><img alt="{name}" src="data:image/jpeg;base64,{data}"><span>{name}</span></div>'
