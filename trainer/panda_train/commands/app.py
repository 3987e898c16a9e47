"""The command `panda-train`: what a workstation does."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_error, print_json, run

_WORKSTATION = ("torch", "torchvision", "onnx", "onnxscript", "skimage", "sklearn", "scipy")

app = typer.Typer(
    help="Adapt features to normal images, export bundles for panda-edge, evaluate them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="MVTec layout, class folders, or a flat folder.", show_default=False)
]
BundlePath = Annotated[Path, typer.Argument(metavar="X.panda", help="The bundle.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable results on stdout.")]
Normal = Annotated[str | None, typer.Option(metavar="CLASS", help="The normal class, where DATA has class folders.")]


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.", show_default=False)],
    texture: Annotated[str, typer.Option(help="brick, grass, gravel or all.")] = "all",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of crops and defects.")] = 0,
) -> None:
    """Make a small data set with defects and masks from scikit-image's photographs; needs no network."""
    from panda_train.data.sample import make_sample

    make_sample(out, seed=seed, texture=texture)
    print(out)


@app.command()
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(metavar="X.panda", help="The bundle to write.", show_default=False)],
    method: Annotated[str, typer.Option(help="How features are adapted.")] = "dn2",
    backbone: Annotated[
        str, typer.Option(help="efficientnet-lite0 (lite1, lite2), resnet18, resnet50, wide_resnet50_2, resnet152.")
    ] = "efficientnet-lite0",
    weights: Annotated[
        Path | None, typer.Option(help="Checkpoint of the backbone, where it cannot be fetched.")
    ] = None,
    bank: Annotated[
        str,
        typer.Option(
            help="What is kept of the normal images: exact, kmeans, kmeans-levels, hnsw, coreset, joint-hnsw, gaussian."
        ),
    ] = "exact",
    embeddings: Annotated[
        str, typer.Option(help="How similar images are found: exact, hnsw, or auto (hnsw from 10,000 images on).")
    ] = "auto",
    means: Annotated[int, typer.Option(min=1, help="Centres of a k-means bank, or of each level.")] = 50,
    vectors: Annotated[int, typer.Option(min=1, help="Descriptors of a coreset or joint-hnsw bank.")] = 5000,
    neighbors: Annotated[str, typer.Option(help="Similar images that segmentation searches (K), or all.")] = "50",
    knn: Annotated[
        int | None, typer.Option(min=1, help="Neighbours the image score averages; 2 (1 over means).")
    ] = None,
    average: Annotated[
        int | None, typer.Option(help="Stride-8 cells a side that descriptors are averaged over; 3 for gaussian, or 1.")
    ] = None,
    standardise: Annotated[bool, typer.Option("--standardise", help="Divide each channel by its spread.")] = False,
    level_weights: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Weights of the levels, coarse first; 1,1,1.")
    ] = None,
    hold_out: Annotated[
        int | None, typer.Option(min=0, help="Normal images kept for calibration; chosen by their number if not given.")
    ] = None,
    score: Annotated[str, typer.Option(help="Image score that decides: max, top1, embedding or combined.")] = "max",
    max_bank_mb: Annotated[
        float | None, typer.Option(min=0, help="Shrink the bank to at most so many megabytes; says what it chose.")
    ] = None,
    input_size: Annotated[int, typer.Option(help="Side of the model's input in pixels, a multiple of 32.")] = 224,
    resize: Annotated[str, typer.Option(help="squash both sides, or crop the centre as the paper does.")] = "squash",
    normal: Normal = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything random.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, or int8 where that is faster on this machine.")] = "float32",
    embedding: Annotated[
        str | None, typer.Option(help="raw, unit (divided by its norm) or whitened; raw for dn2, else unit.")
    ] = None,
    distance: Annotated[str, typer.Option(help="knn, or centre: distance to the normal images' centre.")] = "knn",
    pyramid: Annotated[str, typer.Option(help="Levels of the pretrained or of the adapted network.")] = "pretrained",
    adapt_from: Annotated[
        int | None, typer.Option(help="Stage of the backbone where adaptation begins; chosen by backbone and pyramid.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Mini-batches of adaptation.")] = 2300,
    epochs: Annotated[int | None, typer.Option(help="Passes over the normal images, instead of --steps.")] = None,
    batch: Annotated[int, typer.Option(help="Images in a mini-batch.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Of SGD.")] = 1e-2,
    clip: Annotated[float, typer.Option(help="Largest norm of a gradient; 0 for none.")] = 1e-3,
    every: Annotated[float, typer.Option(help="panda-ses: epochs between checkpoints.")] = 5.0,
    ewc: Annotated[float, typer.Option(help="panda-ewc: strength of the pull (lambda).")] = 1e4,
    fisher_file: Annotated[
        Path | None, typer.Option("--fisher", help="panda-ewc: the diagonal, if not where `fisher` puts it.")
    ] = None,
    exposure: Annotated[Path | None, typer.Option(help="panda-oe: folder of outliers to learn from.")] = None,
    prior: Annotated[
        float, typer.Option(min=0, help="panda-oe: weight of the distance to the normal images' centre.")
    ] = 40.0,
    mixed_precision: Annotated[bool, typer.Option("--mixed-precision", help="bfloat16 where that is safe.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an adaptation that was interrupted.")] = False,
    curves: Annotated[Path | None, typer.Option(help="Plot the watch on collapse to this PNG or SVG.")] = None,
    json: Json = False,
) -> None:
    """Turn a folder of normal images into a bundle."""
    from panda_export.options import BankOptions
    from panda_train.adapt import AdaptConfig
    from panda_train.adapt.adaptation import AdaptOptions
    from panda_train.fit import FitOptions
    from panda_train.fit import fit as fit_bundle

    bank_options = BankOptions(
        bank,
        means,
        vectors,
        _neighbors(neighbors),
        knn,
        max_bank_mb=max_bank_mb,
        average=average,
        standardise=standardise,
        level_weights=_weights(level_weights),
        embeddings=embeddings,
    )
    config = AdaptConfig(
        "panda-early",
        steps=steps,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        clip=clip,
        embedding=embedding or ("raw" if method == "dn2" else "unit"),
        every=every,
        ewc=ewc,
        prior=prior,
        seed=seed,
        mixed_precision=mixed_precision,
    )
    adapt_options = AdaptOptions(config, exposure, fisher_file, distance, pyramid, resume, curves)
    options = FitOptions(
        method,
        backbone,
        weights,
        adapt_from,
        input_size,
        resize,
        normal,
        seed,
        device,
        precision,
        bank_options,
        hold_out,
        score,
        adapt_options,
    )
    manifest = fit_bundle(data, out, options)
    if manifest is None:  # under torchrun, the first process speaks
        return
    if manifest.export["max_bank_mb_chose"]:
        print(f"--max-bank-mb {max_bank_mb:g} keeps {manifest.export['max_bank_mb_chose']}", file=sys.stderr)
    if manifest.detection.bank == "hnsw" and bank != "hnsw" and embeddings == "auto":
        print(f"{manifest.detection.count} embeddings get hnswlib's graph; --embeddings exact if not", file=sys.stderr)
    facts = {
        "bundle": str(out),
        "train_images": manifest.export["train_images"],
        "bytes": sum(entry.bytes for entry in manifest.files.values()),
    }
    if json:
        print_json(facts)
    else:
        print(f"{out}: {facts['train_images']} normal images, {facts['bytes'] / 1e6:.1f} MB")


@app.command()
def evaluate(
    bundle: BundlePath,
    data: Data,
    normal: Normal = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of model and search.")] = None,
    fpr: Annotated[float, typer.Option(help="False-alarm rate of the decision that is judged.")] = 0.01,
    native: Annotated[bool, typer.Option("--native", help="Pixel figures at the images' own size, too.")] = False,
    json: Json = False,
) -> None:
    """Score a test set as the device does, and compare with its labels and masks."""
    from panda_train.data.folders import open_dataset
    from panda_train.evaluate.evaluation import evaluate as evaluate_bundle
    from panda_train.evaluate.evaluation import in_words

    report = evaluate_bundle(bundle, open_dataset(data, normal), threads, fpr, native)
    if json:
        print_json(report)
    else:
        print(in_words(report))


@app.command()
def report(
    bundle: BundlePath,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for report.html.", show_default=False)],
    normal: Normal = None,
    fpr: Annotated[float, typer.Option(help="False-alarm rate of the decision that is judged.")] = 0.01,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of model and search.")] = None,
) -> None:
    """Evaluate, and write one page with figures, curves and the worst images."""
    from panda_train.data.folders import open_dataset
    from panda_train.evaluate.report import write_report

    print(write_report(bundle, open_dataset(data, normal), out, threads, fpr))


from panda_train.commands.paper import fisher, paper  # noqa: E402  (their options fill a file of their own)

app.command()(fisher)
app.command()(paper)


def _weights(given: str | None) -> tuple[float, ...] | None:
    from panda_edge.errors import PandaError

    if given is None:
        return None
    try:
        return tuple(float(weight) for weight in given.split(","))
    except ValueError:
        raise PandaError(f"--level-weights {given!r}: expected numbers with commas between, such as 1,1,0.5") from None


def _neighbors(given: str) -> int:
    from panda_edge.errors import PandaError

    if given == "all":
        return 0
    if not given.isdecimal() or int(given) < 1:
        raise PandaError(f"--neighbors {given!r}: expected a whole number from 1, or all")
    return int(given)


def main() -> None:
    missing = [name for name in _WORKSTATION if find_spec(name) is None]
    if missing:
        print_error(
            f"panda-train needs {', '.join(missing)}; install the workstation side: pip install 'panda-edge[train]'"
        )
        sys.exit(2)
    run(app)
