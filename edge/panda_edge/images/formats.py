"""Which files are pictures: the suffixes that every listing knows, and the formats that may be decoded."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
_JPEG = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"}
_JPEG_2000 = {".jp2", ".j2k", ".j2c", ".jpx", ".jpf", ".jpc"}
_NETPBM = {".ppm", ".pgm", ".pbm", ".pnm"}
_OTHERS = {".png", ".apng", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif", ".tga", ".avif"}
IMAGE_SUFFIXES = frozenset(_JPEG | _JPEG_2000 | _NETPBM | _OTHERS)
"""HEIF's come to these where pillow-heif is installed: see `is_image_name`."""

COMMON_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM")
"""Those that Pillow has at hand without loading further modules."""
_PLUGINS = {"TIFF": "Tiff", "WEBP": "WebP", "JPEG2000": "Jpeg2K", "AVIF": "Avif"}


def is_image_name(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in IMAGE_SUFFIXES or (suffix in HEIF_SUFFIXES and heif_is_there())


@cache
def heif_is_there() -> bool:
    return find_spec("pillow_heif") is not None


def further_formats(name: str) -> list[str]:
    """Pillow's names of the other formats that may be decoded, their modules loaded.

    name: of the file. TGA has no mark that tells it, so that only its suffix lets a file be one.
    """
    return [*_loaded(), *(["TGA"] if name.lower().endswith(".tga") and _has("TGA", "Tga") else [])]


@cache
def _loaded() -> tuple[str, ...]:
    found = [kind for kind, plugin in _PLUGINS.items() if _has(kind, plugin)]
    if heif_is_there():
        import_module("pillow_heif").register_heif_opener(thumbnails=False)
        found.append("HEIF")
    return tuple(found)


def _has(kind: str, plugin: str) -> bool:
    try:
        import_module(f"PIL.{plugin}ImagePlugin")
    except ImportError:  # Pillow below 11.3 knows no AVIF
        return False
    return kind in Image.OPEN
