"""What each target starts from: whole files of every kind, and the lies that have been thought of."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from fuzz import seat_seeds, whole_folder
from fuzz.small_bundles import KINDS, LEVELS, SIZE, VECTORS, write_graph
from fuzz.targets import folder, small_bundle, whole_bundle
from panda_edge.banks.embeddings import EMBEDDINGS_FILE
from panda_edge.banks.level_files import level_file
from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.bundle.selftest import SELFTEST_FILE
from panda_edge.bundle.signature import PublicKey, Signature, signature_text
from panda_edge.decide.calibration import CALIBRATION_FILE

HUGE = (2**63, 2**63 - 1, -(2**63), 2**31, 10**9, 0, -1, 1e308, "9" * 400)


def seeds(target: str) -> list[bytes]:
    """None for the kernels, whose numbers may be any."""
    return list(_SEEDS[target]()) if target in _SEEDS else []


def _manifests() -> Iterator[bytes]:
    for number, kind in enumerate(KINDS):
        text = (small_bundle(kind) / MANIFEST_NAME).read_text()
        yield bytes([number]) + text.encode()
        for huge in HUGE:
            yield bytes([number]) + json.dumps(_all_numbers(json.loads(text), huge)).encode()
    yield b"\0" + b"[" * 10_000 + b"]" * 10_000
    yield b'\0{"magic": "panda-edge bundle", "format_version": 6, "files": {"a": {}, "a": {}}}'


def _all_numbers(plain: object, value: object) -> object:
    """The same JSON with every number but the version's replaced."""
    if isinstance(plain, dict):
        return {key: item if key == "format_version" else _all_numbers(item, value) for key, item in plain.items()}
    if isinstance(plain, list):
        return [_all_numbers(item, value) for item in plain]
    return value if isinstance(plain, int | float) and not isinstance(plain, bool) else plain


def _arrays(name: str) -> Iterator[bytes]:
    whole = (small_bundle("exact") / name).read_bytes()
    yield whole
    yield whole[: len(whole) // 2]
    for header in (
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808, 12), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (6, 12), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (6, 12), }",
        "{'descr': [('a', '<f4', (6, 12))], 'fortran_order': False, 'shape': (), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 12), }",
        "(" * 60,
    ):
        for version, size in ((b"\1\0", "<H"), (b"\2\0", "<I")):
            text = header.encode() + b"\n"
            yield b"\x93NUMPY" + version + struct.pack(size, len(text)) + text + bytes(288)


def _selftests() -> Iterator[bytes]:
    whole = (small_bundle("exact") / SELFTEST_FILE).read_bytes()
    yield whole
    for shape in ((1 << 40,), (1 << 31, 1 << 31), (200_000_000,)):
        yield _archive(frames=_header(shape) + bytes(64))
    yield _archive(frames=_header((200_000_000,)) + bytes(200_000_000))  # 200 MB of zeros in 200 kB


def _header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def _archive(**members: bytes) -> bytes:
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def _images() -> Iterator[bytes]:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (24, 32, 4), dtype=np.uint8)
    picture = Image.fromarray(pixels).convert("RGB")
    for form in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM"):
        yield _encoded(picture, form)
    for form in ("PNG", "JPEG", "TIFF"):
        yield _encoded(picture.convert("L"), form)
    yield _encoded(picture, "TIFF", compression="tiff_lzw")
    yield _encoded(picture, "TIFF", compression="tiff_adobe_deflate")
    yield _encoded(picture, "JPEG", progressive=True)
    yield _encoded(picture, "PNG", exif=_turned(6))
    yield _encoded(picture, "JPEG", exif=_turned(8))
    for other in (Image.fromarray(pixels), picture.convert("P"), picture.convert("1"), picture.convert("LA")):
        yield _encoded(other, "PNG")
    yield _encoded(Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), "PNG")
    yield _encoded(picture.convert("CMYK"), "JPEG")
    for width, height in ((0, 1), (1 << 31, 1), (1 << 16, 1 << 16), (9999, 10_000), (10_000, 10_000), (40_000, 2400)):
        yield _png(width, height, b"")
    yield _png(10_000, 10_000, bytes(10_001 * 10_000))  # within the limit, and all black: 100 MB in 100 kB


def _masks() -> Iterator[bytes]:
    """Masks of each kind, and the photographs, most of which are refused as such."""
    truth = np.zeros((24, 32), np.uint8)
    truth[4:9, 5:12], truth[12:20, 3:9] = 1, 2
    grey = Image.fromarray(truth * 100)
    clear = np.dstack([np.full((24, 32, 3), 255, np.uint8), np.where(truth > 0, 255, 0).astype(np.uint8)])
    for made in (grey, grey.convert("1"), grey.convert("P"), Image.fromarray(clear), Image.fromarray(truth * 127)):
        yield _encoded(made, "PNG")
    yield _encoded(Image.fromarray(truth.astype(np.uint16) * 30_000), "TIFF", compression="tiff_lzw")
    yield _encoded(grey, "JPEG", quality=95)
    yield from _images()


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def _png(width: int, height: int, rows: bytes) -> bytes:
    """A grey PNG that says its size is this, whatever it holds."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _graphs() -> Iterator[bytes]:
    path = folder() / "seed.hnsw"
    write_graph(path, np.random.default_rng(0).standard_normal((VECTORS, SIZE)).astype(np.float32))
    yield path.read_bytes()


def _signatures() -> Iterator[bytes]:
    yield signature_text(Signature(b"12345678", bytes(64), "made by nobody", bytes(64))).encode()
    yield f"untrusted comment: a key\n{PublicKey(b'12345678', bytes(32)).text()}\n".encode()


def _folders() -> Iterator[bytes]:
    """Each bundle as it is, then with one file after the other that is as it was."""
    for kind, name in enumerate(KINDS):
        _, own = whole_bundle(name)
        yield whole_folder.pack(kind, [])
        for number, content in enumerate(own.values()):
            yield whole_folder.pack(kind, [(number, content)])


def _files() -> Iterator[bytes]:
    """For the C library: the number of a file, then its content (fuzz/kernels/bundle.c)."""
    files = (MANIFEST_NAME, MANIFEST_NAME, EMBEDDINGS_FILE, *(level_file(LEVELS[i]) for i in (0, 2)), CALIBRATION_FILE)
    for number, name in enumerate(files):
        yield bytes([number]) + (small_bundle("exact") / name).read_bytes()
    for seed in _manifests():
        yield bytes([0]) + seed[1:]


_SEEDS = {
    "manifest": _manifests,
    "bundle": _files,
    "whole": _folders,
    "array": lambda: _arrays(EMBEDDINGS_FILE),
    "calibration": lambda: _arrays(CALIBRATION_FILE),
    "selftest": _selftests,
    "image": _images,
    "mask": _masks,
    "hnsw": _graphs,
    "signature": _signatures,
    **seat_seeds.SEEDS,
}
