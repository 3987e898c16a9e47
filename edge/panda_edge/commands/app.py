"""The command `panda-edge`: what a device does with a bundle."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panda_edge.commands.console import print_error, print_json, run
from panda_edge.decide.calibration import DEFAULT_FPR
from panda_edge.errors import PandaError
from panda_edge.images.inputs import Input, expand_inputs

if TYPE_CHECKING:
    from panda_edge.detector import Detector, Result

app = typer.Typer(
    help="Find anomalous images, and the anomalous pixels in them, with a bundle made by panda-train.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

BundlePath = Annotated[Path, typer.Argument(metavar="X.panda", help="The bundle.", show_default=False)]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...", help="Image files, folders, globs, or - for a list on stdin.", show_default=False
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of model and search; every processor by default.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable results on stdout.")]
Provider = Annotated[
    str, typer.Option(help="onnxruntime execution provider: cpu, cuda, tensorrt, openvino, xnnpack, …")
]

Epsilon = Annotated[
    float, typer.Option(help="Heat map distances may be up to 1 + EPSILON times the true ones; faster.")
]

Fpr = Annotated[
    float, typer.Option(help="Share of normal images that may be called anomalous, where the bundle is calibrated.")
]


class HeatmapFormat(StrEnum):
    npy = "npy"
    png16 = "png16"


class MapSize(StrEnum):
    model = "model"
    image = "image"


@app.command()
def info(bundle: BundlePath, threads: Threads = None, json: Json = False) -> None:
    """What is inside a bundle, and how this machine would run it."""
    from panda_edge.examine.info import describe, describe_in_words

    facts = describe(bundle, threads)
    if json:
        print_json(facts)
    else:
        print(describe_in_words(facts))


@app.command()
def verify(bundle: BundlePath, threads: Threads = None, json: Json = False) -> None:
    """Check every file's hash, then that this machine gives the workstation's numbers."""
    from panda_edge.examine.verify import verify as verify_bundle

    report: dict[str, Any] = verify_bundle(bundle, threads)
    if json:
        print_json(report)
    else:
        print(f"{report['files']} files as the manifest says")
        for name, difference in report["largest_difference"].items():
            print(f"{name}: largest difference {difference:.1e} (tolerance {report['tolerance'][name]:.0e})")
    if not report["ok"]:
        raise PandaError(f"{bundle}: this machine's numbers differ from the workstation's by more than the tolerance")


@app.command()
def detect(
    bundle: BundlePath,
    inputs: Inputs,
    fpr: Fpr = DEFAULT_FPR,
    threads: Threads = None,
    provider: Provider = "cpu",
    json: Json = False,
) -> None:
    """Score images: one line each, higher = more anomalous."""
    from panda_edge.detector import load

    detector = load(bundle, threads, provider, fpr=fpr)
    _warn_of(detector)

    def score(item: Input) -> dict[str, Any]:
        result = detector.detect(item.path)
        return {"score": result.score, **_decided(result), "ms": round(result.ms, 3)}

    _each(inputs, score, json)


@app.command()
def segment(
    bundle: BundlePath,
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="Folder for heat maps and overlays; made if missing.", show_default=False)],
    heatmap: Annotated[HeatmapFormat, typer.Option(help="float32 .npy, or 16-bit PNG.")] = HeatmapFormat.npy,
    map_size: Annotated[
        MapSize, typer.Option(help="Heat map on the model's input or on the image's pixels.")
    ] = MapSize.model,
    fpr: Fpr = DEFAULT_FPR,
    epsilon: Epsilon = 0.0,
    threads: Threads = None,
    provider: Provider = "cpu",
    json: Json = False,
) -> None:
    """Score images and show where they are anomalous: a heat map and an overlay each."""
    from panda_edge.detector import load
    from panda_edge.show.segment_files import SegmentWriter

    detector = load(bundle, threads, provider, epsilon, fpr)
    _warn_of(detector)
    writer = SegmentWriter(out, detector.bundle.manifest.segmentation, heatmap.value, map_size is MapSize.image)

    def score(item: Input) -> dict[str, Any]:
        result = detector.segment(item.path)
        written = writer.write(item, result)
        scores = {"score": result.score, "map_score": result.map_score}
        return {**scores, **_decided(result), "ms": round(result.ms, 3), **written}

    _each(inputs, score, json)


@app.command()
def bench(
    bundle: BundlePath,
    inputs: Annotated[list[str] | None, typer.Argument(metavar="[INPUT...]", show_default=False)] = None,
    threads: Threads = None,
    epsilon: Epsilon = 0.0,
    frames: Annotated[int, typer.Option(min=1, help="Images to time.")] = 200,
    json: Json = False,
) -> None:
    """Measure frames a second, latency, stages, cold start and memory on this machine."""
    from panda_edge.examine.bench import bench as run_bench

    images = []
    for item in expand_inputs(inputs or []):
        if item.error:
            raise item.error
        images.append(item.path)
    report = run_bench(bundle, images, threads, frames, epsilon)
    if json:
        print_json(report)
        return
    latency = report["latency_ms"]
    print(f"{report['fps']:.1f} frames/s on {report['threads']} threads, {report['simd']}, {report['cpu']}")
    print(f"{report['fps_pipelined']:.1f} frames/s pipelined: the next frame in the model while one is searched")
    print(f"latency p50 {latency['p50']:.1f} ms, p95 {latency['p95']:.1f} ms, p99 {latency['p99']:.1f} ms")
    print("stages  " + ", ".join(f"{stage} {ms:.2f} ms" for stage, ms in report["stages_ms"].items()))
    if report["cold_start_ms"] is not None:
        print(f"cold start to the first heat map {report['cold_start_ms']:.0f} ms")
    print(f"memory {report['rss_mb']:.0f} MB at its peak, {report['own_mb']:.0f} MB of it not mapped files")


def _warn_of(detector: Detector) -> None:
    """One line on stderr where the false-alarm rate cannot be promised."""
    if detector.decider is not None and detector.decider.warning:
        print(f"warning: {detector.decider.warning}", file=sys.stderr)


def _decided(result: Result) -> dict[str, Any]:
    """The decision's part of a result line; nulls without calibration."""
    fields: dict[str, Any] = {"p_value": result.p_value, "anomalous": result.anomalous}
    if result.heatmap is not None:
        fields["regions"] = None if result.regions is None else [asdict(region) for region in result.regions]
    return fields


def _each(inputs: list[str], score: Callable[[Input], dict[str, Any]], json: bool) -> None:
    """One line of result an image. A bad image is reported and the others go on; exit code 2 tells of it at the end."""
    failed = done = 0
    for item in _reported(expand_inputs(inputs)):
        try:
            if item.error:
                raise item.error
            result = score(item)
        except PandaError as error:
            failed += 1
            print_error(error)
            if json:
                print_json({"input": str(item.path), "error": str(error)})
            continue
        done += 1
        if json:
            print_json({"input": str(item.path), **result})
        else:
            print(f"{result['score']:12.4f}  {_in_words(result)}{item.path}", flush=True)
    if not done and not failed:
        raise PandaError("no input: the list on stdin is empty")
    if failed:
        raise typer.Exit(2)


def _in_words(result: dict[str, Any]) -> str:
    """The decision, in columns; nothing where there is none."""
    if result["anomalous"] is None:
        return ""
    return f"p {result['p_value']:.4f}  {'anomalous' if result['anomalous'] else 'normal':9}  "


def _reported(items: Iterator[Input]) -> Iterator[Input]:
    """The same items, with a progress line on stderr where that is a terminal and stdout is not."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(list(items), description="images", console=Console(stderr=True))


def main() -> None:
    run(app)
