"""Regions as COCO JSON, which annotation tools and pycocotools read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from panda_edge.decide.outline import outlines
from panda_edge.printable import rounded
from panda_edge.visualise.files import make_folder, write_whole
from panda_edge.visualise.shown import Shown

_CATEGORY = {"id": 1, "name": "anomaly", "supercategory": ""}


class CocoFile:
    """One COCO file of a run: a picture each image, a region each annotation; written whole or not at all at the end.

    An annotation's bbox is [x, y, width, height], its segmentation one polygon [x, y, x, y, …], both in pixels of the
    picture; holes of a region are not cut out of the polygon. Its score is the heat map's peak in the region.
    """

    def __init__(self, path: Path) -> None:
        """Raises PandaError where the folder of `path` cannot be made."""
        self._path = path
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        make_folder(path.absolute().parent)  # now, before the work

    def add(self, name: str, result: Shown) -> None:
        """name: of the picture, as COCO's file_name. result: of a calibrated bundle; any other calls no regions."""
        assert result.decision is not None
        assert result.regions is not None
        assert result.heatmap is not None
        width, height = result.image_size
        image = {"id": len(self._images) + 1, "file_name": name, "width": width, "height": height}
        self._images.append(image)
        drawn = outlines(result.heatmap, result.decision.pixel_threshold)
        for region, outline in zip(result.regions, drawn, strict=True):
            left, top, right, bottom = region.box
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": image["id"],
                    "category_id": _CATEGORY["id"],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": region.area,
                    "segmentation": [_on_picture(outline, result)],
                    "iscrowd": 0,
                    "score": region.peak,
                }
            )

    def close(self) -> None:
        """Raises DiskError, PandaError."""
        plain = {"images": self._images, "annotations": self._annotations, "categories": [_CATEGORY]}
        write_whole(self._path, json.dumps(rounded(plain), allow_nan=False).encode("ascii") + b"\n")


def _on_picture(outline: list[tuple[int, int]], result: Shown) -> list[float]:
    """[x, y, x, y, …] in pixels of the picture, within it."""
    left, top = result.view.box[:2]
    across, down = result.view.map_scale()
    width, height = result.image_size
    flat: list[float] = []
    for x, y in outline:
        flat += [min(max(left + x * across, 0.0), float(width)), min(max(top + y * down, 0.0), float(height))]
    return [round(value, 2) for value in flat]
