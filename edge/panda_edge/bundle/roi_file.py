"""The region of interest that a bundle was calibrated in."""

from __future__ import annotations

from pathlib import Path

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import RoiEntry
from panda_edge.errors import BundleError, PandaError
from panda_edge.images.reading import image_bytes
from panda_edge.images.roi import Roi, parse_roi
from panda_edge.images.view import View


def write_roi(bundle: Path, roi: Roi, first: View) -> RoiEntry:
    """Write the roi's file. first: the view, with the roi on it, of the first normal picture."""
    name, content = roi.file()
    (bundle / name).write_bytes(content)
    assert first.roi_mask is not None
    return RoiEntry(name, round(float(first.roi_mask.judged.mean()), 4))


def open_roi(bundle: Bundle) -> Roi | None:
    """The bundle's roi, None where it looks at whole pictures. Raises BundleError."""
    entry = bundle.manifest.roi
    if entry is None:
        return None
    path = bundle.checked_file(entry.file)
    try:
        return parse_roi(image_bytes(path), entry.file, str(bundle.path / entry.file))
    except PandaError as error:
        raise BundleError(f"{error}; export the bundle again") from error
