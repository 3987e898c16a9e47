"""The options of `panda-train fit`: a dataclass for each panel of its help, the ten most needed first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from panda_train.commands.options import SmallestDefect


@dataclass(frozen=True)
class MainOptions:
    """What most people need."""

    panel: ClassVar[str | None] = None
    out: Annotated[Path, typer.Option(metavar="X.panda", help="The bundle to write.")]
    normal: Annotated[
        str | None, typer.Option(metavar="CLASS", help="The normal class, where DATA has class folders.")
    ] = None
    bank: Annotated[
        str,
        typer.Option(
            help="What is kept of the normal images: exact, kmeans, kmeans-levels, hnsw, coreset, joint-hnsw, "
            "gaussian; auto: what `choose` finds best."
        ),
    ] = "exact"
    max_bank_mb: Annotated[
        float | None, typer.Option(min=0, help="Shrink the bank to at most so many megabytes; says what it chose.")
    ] = None
    score: Annotated[
        str | None,
        typer.Option(
            help="Image score that decides: local (map over what normal maps have there), max, top1 (mean of the "
            "highest 1 %), embedding or combined. If not given: local, or top1 of tiles."
        ),
    ] = None
    method: Annotated[
        str, typer.Option(help="How features are adapted: dn2 (not at all), panda-early, -ses, -ewc, -msc, -oe, or jo.")
    ] = "dn2"
    backbone: Annotated[
        str,
        typer.Option(
            help="efficientnet-lite0 (lite1, lite2), resnet18, resnet50, wide_resnet50_2, resnet152; timm:NAME; "
            "FILE.onnx; or A+B side by side. `panda-train backbones` lists them."
        ),
    ] = "efficientnet-lite0"
    smallest_defect: SmallestDefect = None
    input_size: Annotated[
        str | None,
        typer.Option(
            metavar="N|HxW",
            help="Pixels a side of the model's input, or height x width; multiples of 32. 224 if not given, or of long "
            "pictures as many pixels in their shape.",
        ),
    ] = None
    resize: Annotated[
        str, typer.Option(help="squash both sides; crop the centre as the paper does; or fit: keep the aspect and pad.")
    ] = "squash"


@dataclass(frozen=True)
class PictureOptions:
    """How pictures become frames, and which are held out."""

    panel: ClassVar[str | None] = "Data"
    hold_out: Annotated[
        int | None, typer.Option(min=0, help="Normal images kept for calibration; chosen by their number if not given.")
    ] = None
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything random.")] = 0
    tiles: Annotated[
        str | None,
        typer.Option(
            metavar="auto|RxC|none",
            help="Cut pictures into tiles of the input's size: as many as --scale needs, rows x columns, or none.",
        ),
    ] = None
    roi: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Look only here, and calibrate there: a mask (white inside), or polygons in a .json file.",
        ),
    ] = None
    overlap: Annotated[
        float | None,
        typer.Option(help="Share of a tile's side that neighbours share at least; 0.25, or 0.0625 of ROWSxCOLUMNS."),
    ] = None
    scale: Annotated[
        float | None, typer.Option(help="Tiles: frame pixels a picture pixel; 1 keeps the picture's own.")
    ] = None


@dataclass(frozen=True)
class BankOptions:
    """What is kept of the normal images."""

    panel: ClassVar[str | None] = "Bank"
    ms: Annotated[float, typer.Option(help="--bank auto: most milliseconds a picture may take here.")] = 30.0
    means: Annotated[int, typer.Option(min=1, help="Centres of a k-means bank, or of each level.")] = 50
    vectors: Annotated[int, typer.Option(min=1, help="Descriptors of a coreset or joint-hnsw bank.")] = 5000
    neighbors: Annotated[
        str | None,
        typer.Option(
            metavar="K|all", help="exact, hnsw: similar images that segmentation searches; 50, or 20 of tiles."
        ),
    ] = None
    embeddings: Annotated[
        str, typer.Option(help="How similar images are found: exact, hnsw, or auto (hnsw from 100,000 images on).")
    ] = "auto"
    compare: Annotated[
        str,
        typer.Option(
            help="Normal tiles that a tile is compared with: the most similar anywhere, near, of the same place, "
            "or auto."
        ),
    ] = "auto"
    dtype: Annotated[
        str,
        typer.Option(help="Of the stored features: float16, float32, or uint8 with a scale a cell (a third smaller)."),
    ] = "float16"
    window: Annotated[
        int | None,
        typer.Option(
            metavar="R",
            help="Parts that lie alike: search only within so many stride-16 cells of the same place; everywhere "
            "if not.",
        ),
    ] = None
    plain: Annotated[
        bool, typer.Option("--plain", help="Heat maps as in the paper (SPADE), without corrections of distances.")
    ] = False
    average: Annotated[
        int | None,
        typer.Option(
            help="Cells a side that descriptors are averaged over; 3 for gaussian, coreset and tiles; else 1."
        ),
    ] = None
    standardise: Annotated[bool, typer.Option("--standardise", help="Divide each channel by its spread.")] = False
    level_weights: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Weights of the levels, coarse first; 1,1,1, or 1,1,0 of tiles.")
    ] = None
    augment: Annotated[
        str,
        typer.Option(
            help="Turned copies of the normal pictures in the bank: none, rotate (12 angles), flip (4), or auto: "
            "rotate where left-out pictures are then found better, of 2 to 32 pictures. For parts that lie at any "
            "angle."
        ),
    ] = "none"
    extendable: Annotated[
        bool,
        typer.Option(
            "--extendable", help="Keep what `panda-edge extend` needs: a gaussian bank's sums, the pictures held out."
        ),
    ] = False


@dataclass(frozen=True)
class DecisionOptions:
    """How a picture is decided on."""

    panel: ClassVar[str | None] = "Decision"
    knn: Annotated[int | None, typer.Option(min=1, help="Neighbours the image score averages; 2 (1 over means).")] = (
        None
    )
    distance: Annotated[
        str,
        typer.Option(
            help="Of the image score: knn, or centre: distance to the normal images' centre; panda-oe: knn or none."
        ),
    ] = "knn"
    embedding: Annotated[
        str | None,
        typer.Option(
            help="raw, unit (divided by its norm), whitened, or rooted (whitened roots); raw for dn2, else unit."
        ),
    ] = None


@dataclass(frozen=True)
class MachineOptions:
    """What the bundle and the command are made for."""

    panel: ClassVar[str | None] = "Output and machine"
    precision: Annotated[str, typer.Option(help="float32, or int8 where that is faster on this machine.")] = "float32"
    weights: Annotated[Path | None, typer.Option(help="Checkpoint of the backbone, where it cannot be fetched.")] = None
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Feature maps to take: strides of timm:NAME (4,8,16), block numbers of a vision transformer (the "
            "last), or outputs of FILE.onnx by name (all).",
            show_default=False,
        ),
    ] = None
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto"
    json: Annotated[bool, typer.Option("--json", help="Machine-readable results on stdout.")] = False
