"""The bundle's manifest: what FORMAT.md says, field by field, as dataclasses and the tables that read them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from panda_edge.bundle.fields import any_table, by_name, choice, number, optional, rows, short, table, text, whole
from panda_edge.bundle.recipe import Recipe, read_recipe
from panda_edge.bundle.sealed_json import parsed, read_text, sealed
from panda_edge.errors import BundleError, PandaError
from panda_edge.images.depth import LEAST_WHITE, MOST_WHITE
from panda_edge.images.preprocessing import RESIZES, Preprocessing
from panda_edge.images.quality import QualityRange
from panda_edge.images.roi import MASK_FILE, POLYGONS_FILE
from panda_edge.images.tiling import ALIGNED, MAX_OVERLAP, MAX_SCALE, MAX_SIDE, MIN_SCALE, Tiling

MAGIC = "panda-edge bundle"
FORMAT_VERSION = 6
"""The only one that is read: nothing older was released."""
MANIFEST_NAME = "manifest.json"
MAX_EF = 1_000_000
MAX_WINDOW = 65535
MAX_STEPS = 16
SCORE_RULES = ("local", "max", "top1", "embedding", "combined")
COMPARE = ("anywhere", "near", "place")  # where the normal tiles lie that a tile is compared with


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

    bank: `exact` (pyramids of all normal images, the `neighbors` most similar are searched), `kmeans`, `coreset` or
    `hnsw` (`count` descriptors; ef: hnsw's query-time candidate list), `kmeans-levels` (`count` means of each
    level), or `gaussian` (one a cell, of `count` images; average: side of the square of cells that descriptors are
    averaged over; rank: directions kept of its covariance, None for all). compare: one of COMPARE, of tiles. dtype: of
    the stored levels, `uint8` with an offset and a scale a row. window: of an exact bank, how many of the coarsest
    level's cells away from its own place a position is compared with normal ones, None for everywhere.
    steps: what the distances go through, in order: objects with `step`, a name, and its parameters
    (`panda_edge.search.steps`).
    sigma: Gaussian blur in input pixels. normal_low, normal_high: quantiles 0.9 and 0.999 of the heat maps of normal
    images scored as if new; they fix the overlays' colours.
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
    compare: str = "anywhere"
    window: int | None = None
    steps: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class DecisionRule:
    """How a picture is decided on, apart from the heat map that is shown. score: which of its image scores decides, one
    of SCORE_RULES. sigma: blur of the sharper map that the local score looks at, input pixels."""

    score: str
    sigma: float = 2.0


@dataclass(frozen=True)
class FileEntry:
    bytes: int
    sha256: str


@dataclass(frozen=True)
class RoiEntry:
    """Where in pictures the bundle looks. file: MASK_FILE or POLYGONS_FILE; inside: share of a normal picture."""

    file: str
    inside: float


@dataclass(frozen=True)
class Manifest:
    method: dict[str, Any]
    backbone: dict[str, Any]
    preprocessing: Preprocessing
    embedding_size: int
    levels: tuple[Level, ...]
    detection: Detection
    segmentation: Segmentation
    decision: DecisionRule
    recipe: Recipe
    calibration: dict[str, Any] | None
    evaluation: dict[str, Any] | None
    files: dict[str, FileEntry]
    created_with: str = ""
    format_version: int = field(default=FORMAT_VERSION)
    normal_pictures: QualityRange | None = None
    roi: RoiEntry | None = None

    def to_json(self) -> str:
        """The same manifest gives the same bytes: keys in a fixed order, no dates."""
        return sealed({"magic": MAGIC, **self.plain()})

    @cached_property
    def identity(self) -> str:
        """The first 12 digits of `manifest_sha256`: two bundles that differ anywhere have different ones."""
        return str(json.loads(self.to_json())["manifest_sha256"][:12])

    def plain(self) -> dict[str, Any]:
        """As what JSON has. A table or field that came later is left out where it holds its default."""
        later = {entry.name for entry in dataclasses.fields(self) if entry.default is None}
        written = {
            key: value for key, value in dataclasses.asdict(self).items() if value is not None or key not in later
        }
        for key, table_of in _LATER.items():
            defaults = {entry.name: entry.default for entry in dataclasses.fields(table_of[0])}
            for name in table_of[1:]:
                if written[key][name] == defaults[name]:
                    del written[key][name]
        return written


def read_manifest(bundle: Path) -> Manifest:
    """Read and check `manifest.json`. Raises BundleError naming the first field that is wrong."""
    path = bundle / MANIFEST_NAME
    return parse_manifest(parsed(read_text(path), path), str(path))


def check_seal(bundle: Path) -> None:
    """Raise BundleError where `manifest.json` is not, byte for byte, what was written with its `manifest_sha256`."""
    path = bundle / MANIFEST_NAME
    written = read_text(path)
    plain = parsed(written, path)
    if not isinstance(plain, dict) or sealed(plain) != written:
        raise BundleError(f"{path}: its manifest_sha256 is not its content's; altered or damaged, copy it again")


# Fields that are left out where they hold their default, by the table that holds them.
_LATER: dict[str, tuple[Any, ...]] = {
    "preprocessing": (Preprocessing, "tiles", "rois", "white"),
    "segmentation": (Segmentation, "compare", "window", "steps"),
}

_FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?"

_PREPROCESSING = table(
    Preprocessing,
    height=whole(16, 4096),
    width=whole(16, 4096),
    resize=choice(*RESIZES),
    cover=number(1, 4),
    tiles=optional(
        table(
            Tiling,
            overlap=number(0, MAX_OVERLAP),
            scale=optional(number(MIN_SCALE, MAX_SCALE)),
            height=optional(whole(16, MAX_SIDE)),
            width=optional(whole(16, MAX_SIDE)),
        )
    ),
    white=optional(whole(LEAST_WHITE, MOST_WHITE)),
)
read_quality = table(
    QualityRange,
    images=whole(),
    brightness_low=number(0, 255),
    contrast_low=number(0, 255),
    burnt_out_high=number(0, 1),
    detail_low=number(0, 1e6),
)
_DETECTION = table(
    Detection,
    bank=choice("exact", "kmeans", "hnsw"),
    count=whole(),
    knn=whole(),
    ef=optional(whole(1, MAX_EF)),
    scoring=optional(choice("knn", "graph"), "knn"),
)


def _step(value: Any, where: str) -> dict[str, Any]:
    """A step of the map: its name is read here, its parameters by the step itself."""
    plain = any_table()(value, where)
    text()(plain.get("step"), f"{where}: step")
    return plain


_SEGMENTATION = table(
    Segmentation,
    bank=choice("exact", "kmeans", "kmeans-levels", "coreset", "hnsw", "gaussian"),
    count=whole(),
    neighbors=whole(),
    dtype=choice("float16", "float32", "uint8"),
    sigma=number(0, 100),
    normal_low=number(0, 1e12),
    normal_high=number(0, 1e12),
    ef=optional(whole(1, MAX_EF)),
    average=optional(whole(1, 99), 1),
    rank=optional(whole()),
    compare=optional(choice(*COMPARE), COMPARE[0]),
    window=optional(whole(0, MAX_WINDOW)),
    steps=optional(rows(_step), ()),
)
_OLDER = ("discount", "evened", "wide")  # fields that `steps` took the place of, before anything was released
_FILE = table(FileEntry, bytes=whole(0, 1 << 48), sha256=text("[0-9a-f]{64}", "64 hexadecimal digits"))

# A table that only some bundles have: a dataclass above, `name: Table | None = None` last in Manifest, and
# `name=optional(table(Table, …))` here. What depends on two fields at once is checked in `_check_banks` and the like.
_MANIFEST = table(
    Manifest,
    format_version=whole(),
    method=any_table(),
    backbone=any_table(),
    preprocessing=_PREPROCESSING,
    embedding_size=whole(),
    levels=rows(table(Level, stride=whole(), height=whole(), width=whole(), channels=whole())),
    detection=_DETECTION,
    segmentation=_SEGMENTATION,
    decision=table(DecisionRule, score=choice(*SCORE_RULES), sigma=number(0, 100)),
    recipe=read_recipe,
    calibration=optional(any_table()),
    evaluation=optional(any_table()),
    files=by_name(_FILE_NAME, "a file name inside the bundle", _FILE),
    created_with=text(),
    normal_pictures=optional(read_quality),
    roi=optional(table(RoiEntry, file=choice(MASK_FILE, POLYGONS_FILE), inside=number(0, 1))),
)


def parse_manifest(plain: Any, where: str) -> Manifest:
    """A Manifest from parsed JSON. Raises BundleError naming the first field that is wrong."""
    top = any_table()(plain, where)
    if top.get("magic") != MAGIC:
        raise BundleError(f"{where}: magic is {short(top.get('magic'))}, expected {MAGIC!r}; not a panda-edge bundle")
    version = whole(0)(top.get("format_version"), f"{where}: format_version")
    if version != FORMAT_VERSION:
        remedy = "update panda-edge" if version > FORMAT_VERSION else "fit the bundle again"
        raise BundleError(f"{where}: format version {version}, this panda-edge reads {FORMAT_VERSION}; {remedy}")
    for name in _OLDER:
        if isinstance(top.get("segmentation"), dict) and name in top["segmentation"]:
            raise BundleError(f"{where}: segmentation: {name} is a field of older bundles; fit the bundle again")
    manifest = _MANIFEST(plain, where)
    _check_levels(manifest, where)
    _check_banks(manifest, where)
    _check_tiles(manifest, where)
    return manifest


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


def _check_banks(manifest: Manifest, where: str) -> None:
    """What goes for every kind of bank; `panda_edge.banks` checks the rest."""
    found, maps = manifest.detection, manifest.segmentation
    whole(1, found.count)(found.knn, f"{where}: detection: knn")
    if len(maps.steps) > MAX_STEPS:
        raise BundleError(f"{where}: segmentation: {len(maps.steps)} steps; expected at most {MAX_STEPS}")


def _check_tiles(manifest: Manifest, where: str) -> None:
    """A grid that covers its pictures, of not too many tiles."""
    frame, tiles, maps = manifest.preprocessing, manifest.preprocessing.tiles, manifest.segmentation
    if tiles is None:
        if maps.compare != COMPARE[0]:
            raise BundleError(f"{where}: segmentation: compare is {maps.compare!r} of a bundle without tiles")
        return
    fixed = tiles.height is not None and tiles.width is not None
    if (tiles.scale is None) != fixed or (tiles.height is None) != (tiles.width is None):
        raise BundleError(f"{where}: preprocessing: tiles: expected either a scale, or a height and a width")
    if frame.resize != "squash" or frame.height % ALIGNED or frame.width % ALIGNED:
        raise BundleError(
            f"{where}: preprocessing: {frame.resize} to {frame.height}×{frame.width} beside tiles; expected squash and "
            f"multiples of {ALIGNED}"
        )
    if any(ALIGNED % level.stride for level in manifest.levels):
        raise BundleError(f"{where}: levels: strides beside tiles must divide {ALIGNED}")
    if tiles.height is not None and tiles.width is not None:
        try:
            frame.view((tiles.width, tiles.height))
        except PandaError as error:
            raise BundleError(f"{where}: preprocessing: tiles: {error}") from None
    if not fixed and maps.compare != COMPARE[0]:
        raise BundleError(f"{where}: preprocessing: tiles: comparing by place needs a height and a width")
