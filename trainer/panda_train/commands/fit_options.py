"""The options of `panda-train fit`, by the panels of its help. Defaults are in `fit`'s signature.

The ten that most people need are in no panel, and come first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_DATA, _BANK, _DECISION = "Data", "Bank", "Decision"
_ADAPTATION, _MACHINE = "Adaptation (--method other than dn2)", "Output and machine"

# The ten.
Out = Annotated[Path, typer.Option(metavar="X.panda", help="The bundle to write.", show_default=False)]
Normal = Annotated[str | None, typer.Option(metavar="CLASS", help="The normal class, where DATA has class folders.")]
Bank = Annotated[
    str,
    typer.Option(
        help="What is kept of the normal images: exact, kmeans, kmeans-levels, hnsw, coreset, joint-hnsw, gaussian; "
        "auto: what `choose` finds best."
    ),
]
MaxBankMb = Annotated[
    float | None, typer.Option(min=0, help="Shrink the bank to at most so many megabytes; says what it chose.")
]
Score = Annotated[
    str | None,
    typer.Option(
        help="Image score that decides: local (map over what normal maps have there), max, top1 (mean of the highest "
        "1 %), embedding or combined. If not given: local, or top1 of tiles.",
        show_default=False,
    ),
]
Method = Annotated[
    str,
    typer.Option(help="How features are adapted: dn2 (not at all), panda-early, -ses, -ewc, -msc, -oe, or jo."),
]
Backbone = Annotated[
    str, typer.Option(help="efficientnet-lite0 (lite1, lite2), resnet18, resnet50, wide_resnet50_2, resnet152.")
]
SmallestDefect = Annotated[
    float | None,
    typer.Option(
        metavar="PIXELS",
        help="How many pixels, of your own pictures, the smallest defect to find spans; chooses scale and tiles.",
    ),
]
InputSize = Annotated[
    str | None,
    typer.Option(
        metavar="N|HxW",
        help="Pixels a side of the model's input, or height x width; multiples of 32. 224 if not given, or of long "
        "pictures as many pixels in their shape.",
        show_default=False,
    ),
]
Resize = Annotated[
    str, typer.Option(help="squash both sides; crop the centre as the paper does; or fit: keep the aspect and pad.")
]

# Data.
HoldOut = Annotated[
    int | None,
    typer.Option(
        min=0, rich_help_panel=_DATA, help="Normal images kept for calibration; chosen by their number if not given."
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, rich_help_panel=_DATA, help="Of everything random.")]

Tiles = Annotated[
    str | None,
    typer.Option(
        metavar="auto|RxC|none",
        rich_help_panel=_DATA,
        help="Cut pictures into tiles of the input's size: as many as --scale needs, rows x columns, or none.",
    ),
]
Roi = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=_DATA,
        help="Look only here, and calibrate there: a mask (white inside), or polygons in a .json file.",
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(
        rich_help_panel=_DATA,
        help="Share of a tile's side that neighbours share at least; 0.25, or 0.0625 of ROWSxCOLUMNS.",
    ),
]
Scale = Annotated[
    float | None,
    typer.Option(rich_help_panel=_DATA, help="Tiles: frame pixels a picture pixel; 1 keeps the picture's own."),
]

# Bank.
Ms = Annotated[
    float, typer.Option(rich_help_panel=_BANK, help="--bank auto: most milliseconds a picture may take here.")
]
Means = Annotated[int, typer.Option(min=1, rich_help_panel=_BANK, help="Centres of a k-means bank, or of each level.")]
Vectors = Annotated[
    int, typer.Option(min=1, rich_help_panel=_BANK, help="Descriptors of a coreset or joint-hnsw bank.")
]
Neighbors = Annotated[
    str | None,
    typer.Option(
        metavar="K|all",
        rich_help_panel=_BANK,
        help="exact, hnsw: similar images that segmentation searches; 50, or 20 of tiles.",
    ),
]
Embeddings = Annotated[
    str,
    typer.Option(
        rich_help_panel=_BANK, help="How similar images are found: exact, hnsw, or auto (hnsw from 10,000 images on)."
    ),
]
Compare = Annotated[
    str,
    typer.Option(
        rich_help_panel=_BANK,
        help="Normal tiles that a tile is compared with: the most similar anywhere, near, of the same place, or auto.",
    ),
]
Dtype = Annotated[
    str,
    typer.Option(
        rich_help_panel=_BANK,
        help="Of the stored features: float16, float32, or uint8 with a scale a cell (a third smaller).",
    ),
]
Window = Annotated[
    int | None,
    typer.Option(
        metavar="R",
        rich_help_panel=_BANK,
        help="Parts that lie alike: search only within so many stride-16 cells of the same place; everywhere if not.",
    ),
]
Plain = Annotated[
    bool,
    typer.Option(
        "--plain", rich_help_panel=_BANK, help="Heat maps as in the paper (SPADE), without corrections of distances."
    ),
]
Average = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=_BANK,
        help="Cells a side that descriptors are averaged over; 3 for gaussian, coreset and tiles; else 1.",
    ),
]
Standardise = Annotated[
    bool, typer.Option("--standardise", rich_help_panel=_BANK, help="Divide each channel by its spread.")
]
LevelWeights = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,C", rich_help_panel=_BANK, help="Weights of the levels, coarse first; 1,1,1, or 1,1,0 of tiles."
    ),
]

Augment = Annotated[
    str,
    typer.Option(
        rich_help_panel=_BANK,
        help="Turned copies of the normal pictures in the bank: none, rotate (12 angles), flip (4), or auto: rotate "
        "where left-out pictures are then found better, of 2 to 32 pictures. For parts that lie at any angle.",
    ),
]

Extendable = Annotated[
    bool,
    typer.Option(
        "--extendable",
        rich_help_panel=_BANK,
        help="Keep what `panda-edge extend` needs: a gaussian bank's sums, the pictures held out.",
    ),
]

# Decision.
Knn = Annotated[
    int | None,
    typer.Option(min=1, rich_help_panel=_DECISION, help="Neighbours the image score averages; 2 (1 over means)."),
]
Distance = Annotated[
    str,
    typer.Option(
        rich_help_panel=_DECISION,
        help="Of the image score: knn, or centre: distance to the normal images' centre; panda-oe: knn or none.",
    ),
]
Embedding = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_DECISION,
        help="raw, unit (divided by its norm), whitened, or rooted (whitened roots); raw for dn2, else unit.",
    ),
]

# Adaptation.
Pyramid = Annotated[
    str, typer.Option(rich_help_panel=_ADAPTATION, help="Levels of the pretrained or of the adapted network.")
]
AdaptFrom = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=_ADAPTATION,
        help="Stage of the backbone where adaptation begins; chosen by backbone and pyramid.",
    ),
]
Steps = Annotated[
    int | None, typer.Option(rich_help_panel=_ADAPTATION, help="Mini-batches; 2300, or 200 of panda-msc.")
]
Epochs = Annotated[
    int | None,
    typer.Option(rich_help_panel=_ADAPTATION, help="Passes over the normal images, instead of --steps."),
]
Batch = Annotated[
    int | None, typer.Option(rich_help_panel=_ADAPTATION, help="Images in a mini-batch; 32, or 64 of panda-msc.")
]
LearningRate = Annotated[
    float | None, typer.Option(rich_help_panel=_ADAPTATION, help="Of SGD; 0.01, or 0.001 of panda-msc.")
]
Clip = Annotated[
    float | None,
    typer.Option(rich_help_panel=_ADAPTATION, help="Largest norm of a gradient, 0 for none; 0.001, panda-msc 0."),
]
Every = Annotated[float, typer.Option(rich_help_panel=_ADAPTATION, help="panda-ses: epochs between checkpoints.")]
Ewc = Annotated[
    float | None,
    typer.Option(
        rich_help_panel=_ADAPTATION, help="panda-ewc: strength of the pull (lambda), 10000; panda-msc: adds the pull."
    ),
]
FisherFile = Annotated[
    Path | None,
    typer.Option(
        "--fisher",
        rich_help_panel=_ADAPTATION,
        help="panda-ewc, or panda-msc with --ewc: file of the diagonal; made and kept by default.",
    ),
]
Exposure = Annotated[
    Path | None,
    typer.Option(rich_help_panel=_ADAPTATION, help="panda-oe: folder of outliers to learn from."),
]
Prior = Annotated[
    float,
    typer.Option(
        min=0, rich_help_panel=_ADAPTATION, help="panda-oe: weight of the distance to the normal images' centre."
    ),
]
Outliers = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_ADAPTATION,
        help="panda-oe without --exposure: outliers made of the normal images: made, or only cut, tiles or turned.",
    ),
]
Views = Annotated[
    int, typer.Option(rich_help_panel=_ADAPTATION, help="panda-msc: augmented copies of each image that are kept.")
]
Temperature = Annotated[float, typer.Option(rich_help_panel=_ADAPTATION, help="panda-msc: of the contrastive loss.")]
Angular = Annotated[
    float, typer.Option(min=0, rich_help_panel=_ADAPTATION, help="panda-msc: weight of the angular centre loss.")
]
WhitenLoss = Annotated[
    bool,
    typer.Option("--whiten-loss", rich_help_panel=_ADAPTATION, help="panda-msc: measure angles after whitening."),
]
MixedPrecision = Annotated[
    bool, typer.Option("--mixed-precision", rich_help_panel=_ADAPTATION, help="bfloat16 where that is safe.")
]
Resume = Annotated[
    bool,
    typer.Option("--resume", rich_help_panel=_ADAPTATION, help="Go on with an adaptation that was interrupted."),
]
Curves = Annotated[
    Path | None,
    typer.Option(rich_help_panel=_ADAPTATION, help="Plot the watch on collapse to this PNG or SVG."),
]

# Output and machine.
Precision = Annotated[
    str, typer.Option(rich_help_panel=_MACHINE, help="float32, or int8 where that is faster on this machine.")
]
Weights = Annotated[
    Path | None,
    typer.Option(rich_help_panel=_MACHINE, help="Checkpoint of the backbone, where it cannot be fetched."),
]
Device = Annotated[str, typer.Option(rich_help_panel=_MACHINE, help="cpu, cuda or auto.")]
Json = Annotated[bool, typer.Option("--json", rich_help_panel=_MACHINE, help="Machine-readable results on stdout.")]
