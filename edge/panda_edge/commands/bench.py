"""The command `panda-edge bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from panda_edge.commands.console import print_json
from panda_edge.commands.options import BundlePath, Epsilon, Json, RequireSignature, Roi, Threads


def bench(
    bundle: BundlePath,
    inputs: Annotated[list[str] | None, typer.Argument(metavar="[INPUT...]")] = None,
    threads: Threads = None,
    epsilon: Epsilon = 0.0,
    frames: Annotated[int, typer.Option(min=1, help="Images to time.")] = 200,
    roi: Roi = None,
    require_signature: RequireSignature = None,
    json: Json = False,
) -> None:
    """Measure frames a second, latency, stages, cold start and memory on this machine."""
    from panda_edge.images.inputs import expand_inputs
    from panda_edge.inspect.bench import bench as run_bench

    images = []
    for item in expand_inputs(inputs or []):
        if item.error:
            raise item.error
        images.append(item.path)
    report = run_bench(bundle, images, threads, frames, epsilon, require_signature, roi)
    if json:
        print_json(report)
        return
    latency = report["latency_ms"]
    print(f"{report['fps']:.1f} frames/s on {report['threads']} threads, {report['simd']}, {report['cpu']}")
    print(f"{report['fps_pipelined']:.1f} frames/s pipelined: the next frame in the model while one is searched")
    print(f"latency p50 {latency['p50']:.1f} ms, p95 {latency['p95']:.1f} ms, p99 {latency['p99']:.1f} ms")
    print("stages  " + ", ".join(f"{stage} {ms:.2f} ms" for stage, ms in report["stages_ms"].items()))
    if tiles := report["tiles"]:
        print(
            f"{tiles['count']} tiles an image, whose bare model takes {tiles['floor_ms']:.1f} ms; "
            f"the whole is {tiles['ratio']:.2f} times that"
        )
    if report["cold_start_ms"] is not None:
        print(f"cold start to the first heat map {report['cold_start_ms']:.0f} ms")
    print(f"memory {report['rss_mb']:.0f} MB at its peak, {report['own_mb']:.0f} MB of it not mapped files")
