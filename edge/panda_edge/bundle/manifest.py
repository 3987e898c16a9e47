"""The bundle's manifest: what FORMAT.md says, field by field, as dataclasses read with every type and range checked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from panda_edge.errors import BundleError
from panda_edge.images.preprocessing import Preprocessing

MAGIC = "panda-edge bundle"
FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
MAX_EF = 1_000_000

_SEAL = "manifest_sha256"
_MAX_MANIFEST_BYTES = 4_000_000
_MAX_COUNT = 1_000_000_000
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?")


@dataclass(frozen=True)
class Level:
    """One feature map of the pyramid. stride: input pixels a cell spans."""

    stride: int
    height: int
    width: int
    channels: int


@dataclass(frozen=True)
class Detection:
    """How the image score is made: which bank is searched, and with what.

    bank: `exact`, `kmeans` or `hnsw`; count: stored vectors; knn: neighbours the score averages;
    ef: hnsw's query-time candidate list (hnswlib does not save it with the index). scoring: `knn`, or `graph` where
    the model's output `score` is the image score (PANDA-SES, PANDA-OE, distance to the centre) and the bank only says
    which images are similar.
    """

    bank: str
    count: int
    knn: int
    ef: int | None = None
    scoring: str = "knn"


@dataclass(frozen=True)
class Segmentation:
    """How the heat map is made.

    bank: `exact` (pyramids of all normal images, the `neighbors` most similar are searched), `kmeans`, `coreset`
    or `hnsw` (`count` joint descriptors; ef: hnsw's query-time candidate list), `kmeans-levels` (`count` means of each
    level), or `gaussian` (one a cell, of `count`
    images; average: side of the square of cells that descriptors are averaged over; rank: directions kept of its
    covariance, None for all). sigma: Gaussian blur in input
    pixels. normal_low, normal_high: quantiles 0.9 and 0.999 of the heat maps of normal images scored as if new; they
    fix the overlays' colours.
    """

    bank: str
    count: int
    neighbors: int
    dtype: str
    sigma: float
    normal_low: float
    normal_high: float
    ef: int | None = None
    average: int = 1
    rank: int | None = None


@dataclass(frozen=True)
class FileEntry:
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    method: dict[str, Any]
    backbone: dict[str, Any]
    preprocessing: Preprocessing
    embedding_size: int
    levels: tuple[Level, ...]
    detection: Detection
    segmentation: Segmentation
    export: dict[str, Any]
    calibration: dict[str, Any] | None
    evaluation: dict[str, Any] | None
    files: dict[str, FileEntry]
    created_with: str = ""
    format_version: int = field(default=FORMAT_VERSION)

    def to_json(self) -> str:
        """The same manifest gives the same bytes: keys in a fixed order, no dates."""
        return _sealed({"magic": MAGIC, **dataclasses.asdict(self)})


def read_manifest(bundle: Path) -> Manifest:
    """Read and check `manifest.json`. Raises BundleError naming the first field that is wrong."""
    path = bundle / MANIFEST_NAME
    return parse_manifest(_parsed(_text(path), path), str(path))


def check_seal(bundle: Path) -> None:
    """Raise BundleError where `manifest.json` is not, byte for byte, what was written with its `manifest_sha256`."""
    path = bundle / MANIFEST_NAME
    text = _text(path)
    plain = _parsed(text, path)
    if not isinstance(plain, dict) or _sealed(plain) != text:
        raise BundleError(f"{path}: its manifest_sha256 is not its content's; altered or damaged, copy it again")


def _sealed(plain: dict[str, Any]) -> str:
    """JSON text of a manifest with the hash of its own text without that hash, in one fixed form."""
    rest = {key: value for key, value in plain.items() if key != _SEAL}
    digest = hashlib.sha256(_rendered(rest).encode(errors="surrogatepass")).hexdigest()
    return _rendered({**rest, _SEAL: digest})


def _rendered(plain: dict[str, Any]) -> str:
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > _MAX_MANIFEST_BYTES:
            raise BundleError(f"{path}: {size} bytes is no manifest (at most {_MAX_MANIFEST_BYTES})")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BundleError(
            f"{path.parent}: no {MANIFEST_NAME} in it, so not a bundle; make one with `panda-train fit`"
        ) from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise BundleError(f"{path}: not UTF-8 text; the bundle is damaged, copy it again") from error


def _parsed(text: str, path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not valid JSON; the bundle is damaged, copy it again") from error


def parse_manifest(plain: Any, where: str) -> Manifest:
    """A Manifest from parsed JSON. Raises BundleError naming the first field that is wrong."""
    top = _Fields(plain, where)
    if top.plain.get("magic") != MAGIC:
        raise BundleError(
            f"{where}: magic is {_short(top.plain.get('magic'))}, expected {MAGIC!r}; not a panda-edge bundle"
        )
    version = top.integer("format_version", 0)
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{where}: format version {version}, this panda-edge reads {FORMAT_VERSION}; "
            "update panda-edge or export the bundle again"
        )
    levels = tuple(
        Level(entry.integer("stride"), entry.integer("height"), entry.integer("width"), entry.integer("channels"))
        for entry in top.tables("levels")
    )
    manifest = Manifest(
        method=top.table("method").plain,
        backbone=top.table("backbone").plain,
        preprocessing=_preprocessing(top.table("preprocessing")),
        embedding_size=top.integer("embedding_size"),
        levels=levels,
        detection=_detection(top.table("detection")),
        segmentation=_segmentation(top.table("segmentation")),
        export=top.table("export").plain,
        calibration=top.optional_table("calibration"),
        evaluation=top.optional_table("evaluation"),
        files=_files(top.table("files")),
        created_with=top.text("created_with"),
    )
    _check_levels(manifest, where)
    _check_numbering(manifest, where)
    _check_rank(manifest, where)
    return manifest


class _Fields:
    """A JSON object whose fields are read by type and range; `where` names it in errors."""

    def __init__(self, plain: Any, where: str) -> None:
        if not isinstance(plain, dict):
            raise BundleError(f"{where}: expected an object, got {_short(plain)}")
        self.plain: dict[str, Any] = plain
        self.where = where

    def _value(self, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
        value = self.plain.get(key)
        if isinstance(value, bool) or not isinstance(value, kind):
            raise BundleError(f"{self.where}: {key} is {_short(value)}, expected {expected}")
        return value

    def integer(self, key: str, low: int = 1, high: int = _MAX_COUNT) -> int:
        value = self._value(key, int, f"a whole number from {low} to {high}")
        if not low <= value <= high:
            raise BundleError(f"{self.where}: {key} is {_short(value)}, expected a whole number from {low} to {high}")
        return int(value)

    def number(self, key: str, low: float, high: float) -> float:
        value = self._value(key, (int, float), f"a number from {low:g} to {high:g}")
        if not low <= value <= high:  # false for NaN, too
            raise BundleError(f"{self.where}: {key} is {_short(value)}, expected a number from {low:g} to {high:g}")
        return float(value)

    def text(self, key: str) -> str:
        return str(self._value(key, str, "a string"))

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self._value(key, str, " or ".join(choices))
        if value not in choices:
            raise BundleError(f"{self.where}: {key} is {_short(value)}, expected {' or '.join(choices)}")
        return str(value)

    def table(self, key: str) -> _Fields:
        return _Fields(self._value(key, dict, "an object"), f"{self.where}: {key}")

    def optional_table(self, key: str) -> dict[str, Any] | None:
        return None if self.plain.get(key) is None else self.table(key).plain

    def tables(self, key: str) -> list[_Fields]:
        items = self._value(key, list, "a list")
        return [_Fields(item, f"{self.where}: {key}[{i}]") for i, item in enumerate(items)]


def _preprocessing(fields: _Fields) -> Preprocessing:
    return Preprocessing(
        height=fields.integer("height", 16, 4096),
        width=fields.integer("width", 16, 4096),
        resize=fields.choice("resize", ("squash", "crop")),
        cover=fields.number("cover", 1, 4),
    )


def _detection(fields: _Fields) -> Detection:
    bank = fields.choice("bank", ("exact", "kmeans", "hnsw"))
    count = fields.integer("count")
    return Detection(
        bank=bank,
        count=count,
        knn=fields.integer("knn", 1, count),
        ef=fields.integer("ef", 1, MAX_EF) if bank == "hnsw" else None,
        scoring=fields.choice("scoring", ("knn", "graph")) if "scoring" in fields.plain else "knn",
    )


def _segmentation(fields: _Fields) -> Segmentation:
    bank = fields.choice("bank", ("exact", "kmeans", "kmeans-levels", "coreset", "hnsw", "gaussian"))
    average = fields.integer("average", 1, 99) if bank == "gaussian" else 1
    if average % 2 == 0:
        raise BundleError(f"{fields.where}: average is {average}, expected an odd number")
    return Segmentation(
        bank=bank,
        count=fields.integer("count"),
        neighbors=fields.integer("neighbors"),
        dtype=fields.choice("dtype", ("float16", "float32")),
        sigma=fields.number("sigma", 0, 100),
        normal_low=fields.number("normal_low", 0, 1e12),
        normal_high=fields.number("normal_high", 0, 1e12),
        ef=fields.integer("ef", 1, MAX_EF) if bank == "hnsw" else None,
        average=average,
        rank=fields.integer("rank") if bank == "gaussian" and fields.plain.get("rank") is not None else None,
    )


def _files(fields: _Fields) -> dict[str, FileEntry]:
    entries = {}
    for name in fields.plain:
        if not _FILE_NAME.fullmatch(name):
            raise BundleError(f"{fields.where}: {_short(name)} is not a file name inside the bundle")
        entry = fields.table(name)
        digest = entry.text("sha256")
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise BundleError(f"{entry.where}: sha256 is {_short(digest)}, expected 64 hexadecimal digits")
        entries[name] = FileEntry(entry.integer("bytes", 0, 1 << 48), digest)
    return entries


def _check_levels(manifest: Manifest, where: str) -> None:
    levels = manifest.levels
    if not 1 <= len(levels) <= 4:
        raise BundleError(f"{where}: {len(levels)} levels, expected 1 to 4")
    for coarse, fine in pairwise(levels):
        if (fine.height, fine.width) != (2 * coarse.height, 2 * coarse.width):
            raise BundleError(
                f"{where}: level {fine.height}×{fine.width} after {coarse.height}×{coarse.width}; "
                "levels are listed coarse first, each twice as fine"
            )

    frame = manifest.preprocessing
    for level in levels:
        if (level.height * level.stride, level.width * level.stride) != (frame.height, frame.width):
            raise BundleError(
                f"{where}: levels: {level.height}×{level.width} cells of stride {level.stride} do not cover "
                f"the input of {frame.height}×{frame.width}"
            )


def _check_numbering(manifest: Manifest, where: str) -> None:
    """Where similar images are searched, the detection bank's numbers are the gallery's images."""
    found, maps = manifest.detection, manifest.segmentation
    if maps.bank == "exact" and (found.bank == "kmeans" or found.count != maps.count):
        raise BundleError(
            f"{where}: segmentation: count is {maps.count} images beside {found.count} of a {found.bank} detection "
            "bank; expected the same images in both"
        )


def _check_rank(manifest: Manifest, where: str) -> None:
    rank, channels = manifest.segmentation.rank, sum(level.channels for level in manifest.levels)
    if rank is not None and rank > channels:
        raise BundleError(f"{where}: segmentation: rank is {rank}, expected 1 to {channels}, the levels' channels")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
