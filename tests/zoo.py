"""A zoo of odd picture files, each made anew, with the pixels that are right for it or why it is refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import AppendingTiffWriter

HEIGHT, WIDTH = 24, 36
NOTHING_SAYS = "nothing says so"  # of values that look like those of few bits


@dataclass(frozen=True)
class Odd:
    """A picture file. kind: its format; what: what is odd; file: its content.

    pixels: uint8 (H, W, 3) that are right, None where it is refused for the reason `refused`, a pattern. white: what
    `fit` must find to be white, None where there is nothing to find; unfitted: why it is refused by a bundle that was
    not fitted to such pictures, '' where it is read all the same. tolerance: grey values, of lossy formats.
    """

    kind: str
    what: str
    suffix: str
    file: bytes
    pixels: np.ndarray | None
    refused: str = ""
    white: int | None = None
    unfitted: str = ""
    tolerance: int = 0

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.what}"


def base() -> np.ndarray:
    """A picture with structure, from 0 to 255: uint8 (H, W, 3)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    channels = [(x * 7 + y * 3) % 256, (x * 2 + y * 10) % 256, (x * 5) % 200 + 20]
    picture = np.stack(channels, axis=2).astype(np.uint8)
    picture[:4, :6] = 255
    picture[-4:, -6:] = 0
    return picture


RGB = base()
GREY = RGB[..., 0].copy()
THRICE = np.repeat(GREY[..., None], 3, axis=2)
MASK = np.zeros((HEIGHT, WIDTH), np.uint8)  # an alpha with a hole
MASK[6:] = 255
ON_WHITE = np.where(MASK[..., None] == 255, RGB, 255).astype(np.uint8)
SMOOTH = np.repeat(np.repeat(RGB[::4, ::4], 4, axis=0), 4, axis=1)  # of blocks, which lossy formats keep


def zoo() -> Iterator[Odd]:
    """Every odd file; made in a tenth of a second."""
    yield from _png()
    yield from _jpeg()
    yield from _bmp()
    yield from _tiff()
    yield from _others()
    yield from _no_pictures()


def _png() -> Iterator[Odd]:
    of = _maker("PNG", ".png")
    yield of("grey, 8 bits", _saved(GREY), THRICE)
    yield of("grey, 4 bits", _png_file(GREY >> 4, 4, 0), (THRICE >> 4) * 17)
    yield of("grey, 1 bit", _saved(Image.fromarray(GREY > 99)), np.where(THRICE > 99, 255, 0).astype(np.uint8))
    yield of("grey and alpha", _saved(Image.fromarray(np.dstack([GREY, MASK]), "LA")), _on_white(THRICE))
    yield of("RGB", _saved(RGB), RGB)
    yield of("RGB, a transparent colour", _saved(RGB, transparency=(0, 0, 0)), _key(RGB))
    yield of("RGBA, opaque", _saved(np.dstack([RGB, MASK | 255])), RGB)
    yield of("RGBA, a hole", _saved(np.dstack([RGB, MASK])), ON_WHITE)
    yield of("RGBA, alpha 0 everywhere", _saved(np.dstack([RGB, MASK * 0])), RGB)
    yield of("RGBA, alpha 128 everywhere", _saved(np.dstack([RGB, MASK * 0 + 128])), RGB)
    yield of("palette", _saved(_palette()), _palette_pixels())
    yield of("palette, a transparent colour", _saved(_palette(), transparency=1), _palette_pixels(1))
    yield of("turned by EXIF", _saved(RGB, exif=_turned()), np.rot90(RGB, -1))
    yield of("several frames", _several("PNG"), None, refused="several pages or frames")
    sixteen = GREY.astype(np.uint16) * 257
    yield of("grey, 16 bits", _saved(sixteen), THRICE, white=65535)
    yield of("grey, 16 bits, turned", _saved(sixteen, exif=_turned()), np.rot90(THRICE, -1), white=65535)
    yield of("grey, 12 bits in 16", _saved(_deep(GREY, 12)), THRICE, white=4095, unfitted=NOTHING_SAYS)
    yield of("grey, 10 bits in 16", _saved(_deep(GREY, 10)), THRICE, white=1023, unfitted=NOTHING_SAYS)
    yield of("grey, 8 bits in 16", _saved(GREY.astype(np.uint16)), THRICE, white=255, unfitted=NOTHING_SAYS)
    yield of("RGB, 16 bits", _png_file(RGB.astype(np.uint16) * 257, 16, 2), RGB, white=65535)
    yield of("RGB, 12 bits in 16", _png_file(_deep(RGB, 12), 16, 2), RGB, white=4095, unfitted=NOTHING_SAYS)
    yield of("RGB, 10 bits in 16", _png_file(_deep(RGB, 10), 16, 2), RGB, white=1023, unfitted=NOTHING_SAYS)
    deep_hole = np.dstack([RGB.astype(np.uint16) * 257, MASK.astype(np.uint16) * 257])
    yield of("RGBA, 16 bits, a hole", _png_file(deep_hole, 16, 6), ON_WHITE, white=65535)


def _jpeg() -> Iterator[Odd]:
    of = _maker("JPEG", ".jpg", tolerance=6)
    smooth = Image.fromarray(SMOOTH)
    best = {"format": "JPEG", "quality": 100, "subsampling": 0}
    yield of("RGB", _saved(smooth, **best), SMOOTH)
    yield of("RGB, named .jfif", _saved(smooth, **best), SMOOTH, suffix=".jfif")
    yield of("RGB, named .JPG", _saved(smooth, **best), SMOOTH, suffix=".JPG")
    yield of("RGB, progressive", _saved(smooth, progressive=True, **best), SMOOTH)
    yield of("grey", _saved(smooth.getchannel(0), format="JPEG", quality=100), np.repeat(SMOOTH[..., :1], 3, axis=2))
    yield of("CMYK", _saved(smooth.convert("CMYK"), format="JPEG", quality=100, subsampling=0), SMOOTH)
    yield of("turned by EXIF", _saved(smooth, exif=_turned(), **best), np.rot90(SMOOTH, -1))
    yield of("with a preview (MPO)", _several("MPO", quality=100, subsampling=0), SMOOTH)


def _bmp() -> Iterator[Odd]:
    of = _maker("BMP", ".bmp")
    yield of("RGB", _saved(RGB, format="BMP"), RGB)
    yield of("grey", _saved(GREY, format="BMP"), THRICE)
    yield of("palette", _saved(_palette(), format="BMP"), _palette_pixels())
    yield of("32 bits, alpha bytes 0", _bmp_file(0), RGB)
    yield of("32 bits, alpha bytes 255", _bmp_file(255), RGB)


def _tiff() -> Iterator[Odd]:
    of = _maker("TIFF", ".tif")
    yield of("grey, 8 bits", _saved(GREY, format="TIFF"), THRICE)
    yield of("grey, 1 bit", _saved(Image.fromarray(GREY > 99), format="TIFF"), np.where(THRICE > 99, 255, 0))
    yield of("RGB", _saved(RGB, format="TIFF"), RGB)
    yield of("RGB, LZW", _saved(RGB, format="TIFF", compression="tiff_lzw"), RGB)
    yield of("RGB, turned", _saved(RGB, format="TIFF", tiffinfo={0x0112: 6}), np.rot90(RGB, -1))
    yield of("RGBA, alpha 0 everywhere", _saved(np.dstack([RGB, MASK * 0]), format="TIFF"), RGB)
    yield of("CMYK", _saved(Image.fromarray(RGB).convert("CMYK"), format="TIFF"), RGB)
    sixteen = GREY.astype(np.uint16) * 257
    yield of("grey, 16 bits", _saved(sixteen, format="TIFF"), THRICE, white=65535)
    yield of(
        "grey, 16 bits, turned", _saved(sixteen, format="TIFF", tiffinfo={0x0112: 8}), np.rot90(THRICE), white=65535
    )
    yield of("grey, 16 bits, big-endian", _tiff_file(sixteen[..., None], ">"), THRICE, white=65535)
    yield of("grey, 12 bits in 16", _saved(_deep(GREY, 12), format="TIFF"), THRICE, white=4095, unfitted=NOTHING_SAYS)
    yield of("grey, 12 bits in 16, tagged", _saved(_deep(GREY, 12), format="TIFF", tiffinfo={281: 4095}), THRICE)
    yield of("grey, 12 bits in 16, LZW", _saved(_deep(GREY, 12), format="TIFF", compression="tiff_lzw"), THRICE,
             white=4095, unfitted=NOTHING_SAYS)  # fmt: skip
    yield of("grey, 20 bits in 32", _saved(_deep(GREY, 20).astype(np.int32), format="TIFF"), THRICE,
             white=(1 << 20) - 1, unfitted="nothing says what is white")  # fmt: skip
    yield of("grey, 32 bits below 0", _saved(np.int32(GREY) - 9, format="TIFF"), None, refused="values from -9")
    yield of("grey, floats", _saved(np.float32(GREY), format="TIFF"), None, refused="floating-point")
    yield of("RGB, 16 bits", _tiff_file(RGB.astype(np.uint16) * 257, "<"), RGB, white=65535)
    yield of("RGB, 12 bits in 16", _tiff_file(_deep(RGB, 12), "<"), RGB, white=4095, unfitted=NOTHING_SAYS)
    yield of("RGB, 12 bits in 16, big-endian", _tiff_file(_deep(RGB, 12), ">"), RGB, white=4095, unfitted=NOTHING_SAYS)
    yield of("two pages", _several("TIFF"), None, refused="several pages or frames")
    yield of("a page and its preview", _several("TIFF", tiffinfo={254: 1}), SMOOTH)


def _others() -> Iterator[Odd]:
    yield Odd("GIF", "palette", ".gif", _saved(_palette(), format="GIF"), _palette_pixels())
    yield Odd("GIF", "several frames", ".gif", _several("GIF"), None, refused="several pages or frames")
    yield Odd("WebP", "RGB", ".webp", _saved(RGB, format="WEBP", lossless=True), RGB)
    holed = np.dstack([RGB, MASK])
    yield Odd("WebP", "RGBA, a hole", ".webp", _saved(holed, format="WEBP", lossless=True, exact=True), ON_WHITE)
    yield Odd("WebP", "several frames", ".webp", _several("WEBP"), None, refused="several pages or frames")
    yield Odd("Netpbm", "grey, 8 bits (PGM)", ".pgm", _netpbm("P5", GREY, 255), THRICE)
    yield Odd("Netpbm", "grey, 10 bits (PGM)", ".pgm", _netpbm("P5", _deep(GREY, 10), 1023), THRICE)
    yield Odd("Netpbm", "RGB, 8 bits (PPM)", ".ppm", _netpbm("P6", RGB, 255), RGB)
    yield Odd("Netpbm", "RGB, 12 bits (PPM)", ".pnm", _netpbm("P6", _deep(RGB, 12), 4095), RGB)
    black = np.where(THRICE > 99, 255, 0).astype(np.uint8)
    yield Odd("Netpbm", "1 bit (PBM)", ".pbm", _saved(Image.fromarray(GREY > 99), format="PPM"), black)
    yield Odd("TGA", "RGB", ".tga", _saved(RGB, format="TGA"), RGB)
    yield Odd("TGA", "32 bits, alpha 0 everywhere", ".tga", _saved(np.dstack([RGB, MASK * 0]), format="TGA"), RGB)
    yield Odd("JPEG 2000", "RGB", ".jp2", _saved(RGB, format="JPEG2000"), RGB)
    sixteen = _saved(GREY.astype(np.uint16) * 257, format="JPEG2000")
    yield Odd("JPEG 2000", "grey, 16 bits", ".jp2", sixteen, THRICE, tolerance=1)
    yield Odd("AVIF", "RGB", ".avif", _saved(SMOOTH, format="AVIF", quality=100, subsampling="4:4:4"), SMOOTH,
              tolerance=8)  # fmt: skip
    if find_spec("pillow_heif") is not None:
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False)
        heic = _saved(SMOOTH, format="HEIF", quality=100, chroma=444)
        yield Odd("HEIC", "RGB (extra heif)", ".heic", heic, SMOOTH, tolerance=8)


def _no_pictures() -> Iterator[Odd]:
    for what, suffix, file, why in (
        ("empty", ".png", b"", "the file is empty|not an image"),
        ("words", ".jpg", b"no picture", "not an image"),
        ("cut off", ".png", _saved(RGB)[:100], "damaged or truncated"),
        ("PostScript", ".png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        ("7 × 7 pixels", ".png", _saved(RGB[:7, :7]), "too small"),
        ("a GIF named .tga", ".tga", _several("GIF"), "several pages or frames"),
    ):
        yield Odd("no picture", what, suffix, file, None, refused=why)


def _maker(kind: str, usual: str, tolerance: int = 0) -> Callable[..., Odd]:
    def make(what: str, file: bytes, pixels: np.ndarray | None, suffix: str = usual, **more: object) -> Odd:
        shown = None if pixels is None else np.ascontiguousarray(pixels, np.uint8)
        return Odd(kind, what, suffix, file, shown, tolerance=tolerance, **more)  # type: ignore[arg-type]

    return make


def _saved(picture: Image.Image | np.ndarray, format: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(stream, format, **options)
    return stream.getvalue()


def _several(form: str, **options: object) -> bytes:
    """A file of two pictures, the smooth one first."""
    first, other = Image.fromarray(SMOOTH), Image.fromarray(255 - SMOOTH)
    stream = io.BytesIO()
    if form == "TIFF":  # each page has its own tags
        with AppendingTiffWriter(stream, new=True) as writer:
            first.save(writer, "TIFF")
            writer.newFrame()
            other.save(writer, "TIFF", **options)
            writer.newFrame()
            return stream.getvalue()
    first.save(stream, form, save_all=True, append_images=[other], **options)
    return stream.getvalue()


def _deep(values: np.ndarray, bits: int) -> np.ndarray:
    """Values of 8 bits as a camera of more has them."""
    return np.rint(values * ((2**bits - 1) / 255)).astype(np.uint16 if bits <= 16 else np.uint32)


def _on_white(pixels: np.ndarray) -> np.ndarray:
    return np.where(MASK[..., None] == 255, pixels, 255).astype(np.uint8)


def _key(pixels: np.ndarray) -> np.ndarray:
    return np.where((pixels == 0).all(axis=2, keepdims=True), 255, pixels).astype(np.uint8)


_COLOURS = np.array([(250, 10, 10), (10, 250, 10), (10, 10, 250), (0, 0, 0)], np.uint8)


def _palette() -> Image.Image:
    image = Image.fromarray(GREY >> 6).convert("P")
    image.putpalette(_COLOURS.ravel().tolist())
    return image


def _palette_pixels(clear: int | None = None) -> np.ndarray:
    colours = _COLOURS.copy()
    if clear is not None:
        colours[clear] = 255
    return colours[GREY >> 6]


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _png_file(values: np.ndarray, bits: int, colour_type: int) -> bytes:
    """A PNG of whole numbers (H, W) or (H, W, C); Pillow writes none of 16-bit colours, nor of 4-bit greys."""
    rows = values.reshape(HEIGHT, -1)
    if bits == 4:
        lines = [((row[0::2] << 4) | row[1::2]).astype(np.uint8).tobytes() for row in rows]
    else:
        lines = [row.astype(">u2").tobytes() for row in rows]
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour_type, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines))), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _tiff_file(values: np.ndarray, order: str) -> bytes:
    """A TIFF of 16 bits, uncompressed: uint16 (H, W, C). order: < or >."""
    channels, data = values.shape[2], values.astype(f"{order}u2").tobytes()
    bits_at, data_at = 8 + 2 + 10 * 12 + 4, 8 + 2 + 10 * 12 + 4 + 8
    bits = (258, 3, channels, bits_at) if channels > 2 else (258, 3, 1, 16)
    tags = [
        (256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), bits, (259, 3, 1, 1), (262, 3, 1, 2 if channels == 3 else 1),
        (273, 4, 1, data_at), (277, 3, 1, channels), (278, 4, 1, HEIGHT), (279, 4, 1, len(data)), (284, 3, 1, 1),
    ]  # fmt: skip

    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        short = kind == 3 and count == 1
        packed = struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
        return struct.pack(f"{order}HHI", tag, kind, count) + packed

    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(tags))
    each = struct.pack(f"{order}4H", 16, 16, 16, 16)
    return head + b"".join(entry(*tag) for tag in tags) + bytes(4) + each + data


def _bmp_file(alpha: int) -> bytes:
    """A BMP of 32 bits with a mask for alpha, whose bytes are all the same."""
    pixels = np.dstack([RGB[::-1, :, ::-1], np.full((HEIGHT, WIDTH), alpha, np.uint8)]).tobytes()
    header = struct.pack("<IiiHHIIiiII", 108, WIDTH, HEIGHT, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"sRGB"[::-1] + bytes(48)
    return struct.pack("<2sIHHI", b"BM", 14 + 108 + len(pixels), 0, 0, 14 + 108) + header + masks + pixels


def _netpbm(magic: str, values: np.ndarray, highest: int) -> bytes:
    data = values.astype(">u2" if highest > 255 else np.uint8).tobytes()
    return f"{magic}\n{WIDTH} {HEIGHT}\n{highest}\n".encode() + data
