"""The options of `panda-train fit`: a dataclass for each panel of its help, the ten most needed first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from panda_edge.commands.grouped import option
from panda_train.commands.options import SmallestDefect


@dataclass(frozen=True)
class MainOptions:
    """What most people need."""

    out: Path = option(..., "The bundle to write.", metavar="X.panda")
    normal: str | None = option(None, "The normal class, where DATA has class folders.", metavar="CLASS")
    bank: str = option(
        "exact",
        "What is kept of the normal images: exact, kmeans, kmeans-levels, hnsw, coreset, joint-hnsw, "
        "gaussian; auto: what `choose` finds best.",
    )
    max_bank_mb: float | None = option(
        None, "Shrink the bank to at most so many megabytes; fit says what it kept.", min=0
    )
    score: str | None = option(
        None,
        "Image score that decides. local: the heat map, compared at each place with normal ones. max: its highest "
        "value. top1: the mean of its highest 1 %. embedding: the picture as a whole. combined: embedding and max. "
        "If not given: local, or top1 of tiles.",
    )
    method: str = option(
        "dn2", "How the network is adapted: dn2 (not at all), panda-early, -ses, -ewc, -msc, -oe, or jo."
    )
    backbone: str = option(
        "efficientnet-lite0",
        "efficientnet-lite0 (lite1, lite2), resnet18, resnet50, wide_resnet50_2, resnet152; timm:NAME; "
        "FILE.onnx; or A+B side by side. `panda-train backbones` lists them.",
    )
    smallest_defect: SmallestDefect = None
    input_size: str | None = option(
        None,
        "Size of the model's input in pixels: one side, or height x width; multiples of 32. If not given: "
        "224 x 224, or as many pixels in the shape of long pictures.",
        metavar="N|HxW",
    )
    resize: str = option(
        "squash",
        "How pictures are brought to the input's shape. squash: both sides are scaled. crop: the centre, as in the "
        "paper. fit: the whole picture, padded.",
    )


@dataclass(frozen=True)
class PictureOptions:
    """How pictures become frames, and which are held out."""

    panel = "Data"
    hold_out: int | None = option(
        None, "Keep so many normal images for calibration. If not given: as many as suits their number.", min=0
    )
    seed: int = option(0, "Seed of every random choice.", min=0, max=2**32 - 1)
    tiles: str | None = option(
        None,
        "Cut pictures into tiles of the input's size: as many as --scale needs (auto), rows x columns, or none.",
        metavar="auto|RxC|none",
    )
    roi: Path | None = option(
        None, "Look only here, and calibrate there: a mask (white inside), or polygons in a .json file.", metavar="FILE"
    )
    overlap: float | None = option(
        None,
        "Least overlap of neighbouring tiles, as a share of their side. If not given: 0.25, or 0.0625 of --tiles RxC.",
    )
    scale: float | None = option(
        None, "With --tiles: scale pictures by this factor before they are cut; 1 keeps their size."
    )


@dataclass(frozen=True)
class BankOptions:
    """What is kept of the normal images."""

    panel = "Bank"
    ms: float = option(30.0, "With --bank auto: most milliseconds that a picture may take on this machine.")
    means: int = option(50, "With --bank kmeans, kmeans-levels: number of centres, or of centres of each level.", min=1)
    vectors: int = option(5000, "With --bank coreset, joint-hnsw: number of descriptors.", min=1)
    neighbors: str | None = option(
        None,
        "With --bank exact, hnsw: how many of the most similar images are searched for the heat map. If not given: "
        "50, or 20 of tiles.",
        metavar="K|all",
    )
    embeddings: str = option(
        "auto", "How similar images are found: exact, hnsw, or auto (hnsw from 100,000 images on)."
    )
    compare: str = option(
        "auto",
        "Which normal tiles a tile is compared with. anywhere: the most similar ones. near: those at most one tile "
        "away. place: those of its place. auto: normal pictures decide.",
    )
    dtype: str = option(
        "float16",
        "Number type of the stored features: float16, float32, or uint8 (a third smaller than float16).",
    )
    window: int | None = option(
        None,
        "For parts that always lie alike: search only around the same place. R counts cells of 16 pixels of the "
        "input. If not given: everywhere.",
        metavar="R",
    )
    plain: bool = option(False, "Make heat maps as in the paper (SPADE), without corrections of distances.")
    average: int | None = option(
        None,
        "Average descriptors over a square of so many cells a side. If not given: 3 for gaussian, coreset "
        "and tiles, else 1.",
    )
    standardise: bool = option(False, "Divide each feature channel by its standard deviation over normal images.")
    level_weights: str | None = option(
        None, "Weights of the feature levels, coarse first. If not given: 1,1,1, or 1,1,0 of tiles.", metavar="A,B,C"
    )
    augment: str = option(
        "none",
        "Add turned copies of the normal pictures to the bank, for parts that lie at any angle. none, rotate (12 "
        "angles) or flip (4). auto: rotate if it helps, of 2 to 32 pictures.",
    )
    extendable: bool = option(
        False, "Keep what `panda-edge extend` needs: a gaussian bank's sums, the pictures held out."
    )


@dataclass(frozen=True)
class DecisionOptions:
    """How a picture is decided on."""

    panel = "Decision"
    knn: int | None = option(
        None,
        "Average the distances to so many nearest normal images in the embedding score. If not given: 2, or "
        "1 of k-means.",
        min=1,
    )
    distance: str = option(
        "knn",
        "Distance of the embedding score. knn: to the nearest normal images. centre: to their mean. For panda-oe: "
        "knn or none.",
    )
    embedding: str | None = option(
        None,
        "Form of the embedding: raw, unit (divided by its norm), whitened, or rooted (square roots, then "
        "whitened). If not given: raw for dn2, else unit.",
    )


@dataclass(frozen=True)
class MachineOptions:
    """What the bundle and the command are made for."""

    panel = "Output and machine"
    precision: str = option(
        "float32", "Number type of the network: float32, or int8 where that is faster on this machine."
    )
    weights: Path | None = option(None, "File of the backbone's weights, where they cannot be fetched.")
    outputs: str | None = option(
        None,
        "Feature maps to take. timm:NAME: strides (4,8,16), or block numbers of a vision transformer (the last). "
        "FILE.onnx: names of its outputs (all).",
        metavar="A,B",
    )
    device: str = option("auto", "Where networks run: cpu, cuda or auto.")
    json: bool = option(False, "Print results as JSON on stdout.")
