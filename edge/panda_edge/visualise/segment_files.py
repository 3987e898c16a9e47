"""What `panda-edge segment` leaves in its output folder: a heat map and an overlay an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from panda_edge.bundle.manifest import Manifest
from panda_edge.images.inputs import Input
from panda_edge.visualise.files import make_results_folder, npy_bytes, png16, png_bytes, remove_leftovers, write_whole
from panda_edge.visualise.overlay import color_scale, overlay
from panda_edge.visualise.shown import Shown


class SegmentWriter:
    """Writes NAME_heatmap.npy (or .png) and NAME_overlay.png, keeping the subfolders of an input folder.

    Two inputs of one name in a run get -2, -3, …; a later run into the same folder replaces its files.
    """

    def __init__(
        self,
        out: Path,
        manifest: Manifest,
        heatmap_format: str,
        on_image: bool,
        style: str = "heat",
        masks: bool = False,
    ) -> None:
        """style: of overlays (see `overlay`). masks: write NAME_mask.png, too: white where pixels are anomalous, in the
        picture's own size; of a calibrated bundle alone."""
        self._out = out
        self._scale = color_scale(manifest.segmentation)
        self._white = manifest.preprocessing.white
        self._format = heatmap_format
        self._on_image = on_image
        self._style = style
        self._masks = masks
        self._taken: set[Path] = set()
        make_results_folder(out, shared=True)  # before the work, and once, not for each image
        remove_leftovers(out)

    def write(self, item: Input, result: Shown) -> dict[str, str | float]:
        """Write both files; returns their paths for the result line. Raises PandaError."""
        base = self._base(item)
        values = result.heatmap_on_image() if self._on_image else result.heatmap
        assert values is not None
        overlay_path = base.with_name(f"{base.name}_overlay.png")
        write_whole(overlay_path, png_bytes(overlay(item.path, result, self._scale, self._white, self._style)))
        heatmap_path, extra = self._write_heatmap(base, values)
        written: dict[str, str | float] = {"heatmap": str(heatmap_path), "overlay": str(overlay_path), **extra}
        if self._masks:
            written["mask"] = str(self._write_mask(base, result))
        return written

    def _write_mask(self, base: Path, result: Shown) -> Path:
        called = result.mask
        assert called is not None
        path = base.with_name(f"{base.name}_mask.png")
        write_whole(path, png_bytes(Image.fromarray(called.astype(np.uint8) * 255)))
        return path

    def _write_heatmap(self, base: Path, values: np.ndarray) -> tuple[Path, dict[str, float]]:
        if self._format == "npy":
            path = base.with_name(f"{base.name}_heatmap.npy")
            write_whole(path, npy_bytes(values))
            return path, {}
        top = self._scale[1]
        path = base.with_name(f"{base.name}_heatmap.png")
        write_whole(path, png_bytes(png16(values, top)))
        return path, {"heatmap_top": top}  # the distance that 65535 stands for

    def _base(self, item: Input) -> Path:
        wanted = self._out / item.name
        base, number = wanted, 1
        while base in self._taken:
            number += 1
            base = wanted.with_name(f"{wanted.name}-{number}")
        self._taken.add(base)
        return base
