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
        float | None, typer.Option(min=0, help="Shrink the bank to at most so many megabytes; fit says what it kept.")
    ] = None
    score: Annotated[
        str | None,
        typer.Option(
            help="Image score that decides: local (heat map, compared at each place with normal ones), max (of the "
            "heat map), top1 (mean of its highest 1 %), embedding or combined. If not given: local, or top1 of tiles."
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
            help="Size of the model's input in pixels: one side, or height x width; multiples of 32. If not given: "
            "224 x 224, or as many pixels in the shape of long pictures.",
        ),
    ] = None
    resize: Annotated[
        str,
        typer.Option(
            help="How pictures are brought to the input's shape: squash; crop the centre, as the paper does; or fit "
            "in and pad."
        ),
    ] = "squash"


@dataclass(frozen=True)
class PictureOptions:
    """How pictures become frames, and which are held out."""

    panel: ClassVar[str | None] = "Data"
    hold_out: Annotated[
        int | None,
        typer.Option(
            min=0, help="Keep so many normal images for calibration; if not given, as many as suits their number."
        ),
    ] = None
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of everything random.")] = 0
    tiles: Annotated[
        str | None,
        typer.Option(
            metavar="auto|RxC|none",
            help="Cut pictures into tiles of the input's size: as many as --scale needs (auto), rows x columns, or "
            "none.",
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
        typer.Option(
            help="Least overlap of neighbouring tiles, as a share of their side. If not given: 0.25, or 0.0625 of "
            "--tiles RxC."
        ),
    ] = None
    scale: Annotated[
        float | None,
        typer.Option(help="With --tiles: scale pictures by this factor before they are cut; 1 keeps their size."),
    ] = None


@dataclass(frozen=True)
class BankOptions:
    """What is kept of the normal images."""

    panel: ClassVar[str | None] = "Bank"
    ms: Annotated[
        float, typer.Option(help="With --bank auto: most milliseconds that a picture may take on this machine.")
    ] = 30.0
    means: Annotated[
        int,
        typer.Option(min=1, help="With --bank kmeans, kmeans-levels: number of centres, or of centres of each level."),
    ] = 50
    vectors: Annotated[int, typer.Option(min=1, help="With --bank coreset, joint-hnsw: number of descriptors.")] = 5000
    neighbors: Annotated[
        str | None,
        typer.Option(
            metavar="K|all",
            help="With --bank exact, hnsw: search so many most similar images for the heat map. If not given: 50, or "
            "20 of tiles.",
        ),
    ] = None
    embeddings: Annotated[
        str, typer.Option(help="How similar images are found: exact, hnsw, or auto (hnsw from 100,000 images on).")
    ] = "auto"
    compare: Annotated[
        str,
        typer.Option(
            help="Which normal tiles a tile is compared with: the most similar ones anywhere, near (its place), place "
            "(the same place only), or auto."
        ),
    ] = "auto"
    dtype: Annotated[
        str,
        typer.Option(
            help="Type of the stored features: float16, float32, or uint8 with a scale a cell (a third smaller than "
            "float16)."
        ),
    ] = "float16"
    window: Annotated[
        int | None,
        typer.Option(
            metavar="R",
            help="For parts that always lie alike: search only within so many stride-16 cells (16 pixels of the input) "
            "around the same place; everywhere if not given.",
        ),
    ] = None
    plain: Annotated[
        bool, typer.Option("--plain", help="Make heat maps as in the paper (SPADE), without corrections of distances.")
    ] = False
    average: Annotated[
        int | None,
        typer.Option(
            help="Average descriptors over a square of so many cells a side. If not given: 3 for gaussian, coreset "
            "and tiles, else 1."
        ),
    ] = None
    standardise: Annotated[
        bool,
        typer.Option("--standardise", help="Divide each feature channel by its standard deviation over normal images."),
    ] = False
    level_weights: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C", help="Weights of the feature levels, coarse first. If not given: 1,1,1, or 1,1,0 of tiles."
        ),
    ] = None
    augment: Annotated[
        str,
        typer.Option(
            help="Add turned copies of the normal pictures to the bank, for parts that lie at any angle: none, rotate "
            "(12 angles), flip (4), or auto (rotate, if it helps, of 2 to 32 pictures)."
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
    knn: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Average the distances to so many nearest normal images in the embedding score. If not given: 2, or "
            "1 of k-means.",
        ),
    ] = None
    distance: Annotated[
        str,
        typer.Option(
            help="Distance of the embedding score: knn (to the nearest normal images), or centre (to their mean); "
            "for panda-oe knn or none."
        ),
    ] = "knn"
    embedding: Annotated[
        str | None,
        typer.Option(
            help="Form of the embedding: raw, unit (divided by its norm), whitened, or rooted (square roots, then "
            "whitened). If not given: raw for dn2, else unit."
        ),
    ] = None


@dataclass(frozen=True)
class MachineOptions:
    """What the bundle and the command are made for."""

    panel: ClassVar[str | None] = "Output and machine"
    precision: Annotated[
        str, typer.Option(help="Number type of the network: float32, or int8 where that is faster on this machine.")
    ] = "float32"
    weights: Annotated[Path | None, typer.Option(help="Checkpoint of the backbone, where it cannot be fetched.")] = None
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Feature maps to take: strides of timm:NAME (4,8,16), block numbers of a vision transformer (the "
            "last), or outputs of FILE.onnx by name (all).",
        ),
    ] = None
    device: Annotated[str, typer.Option(help="Where networks run: cpu, cuda or auto.")] = "auto"
    json: Annotated[bool, typer.Option("--json", help="Print results as JSON on stdout.")] = False
