"""`python -m benchmarks.speed.report`: measure what is missing, then write the report.

PANDA_DATA=DIR measures on DIR/tile, otherwise on the made sample pictures. PANDA_PEERS_VENV=FOLDER (made by
benchmarks/peers/make_venv.sh) adds anomalib. Figures are rows under benchmarks/speed/results/; those younger than
--max-age hours, of this processor and thread count, are kept, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.lib import plots, tables
from benchmarks.lib.conditions import conditions, in_words
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import REPOSITORY, Subject, open_subject, say
from benchmarks.peers import anomalib_run, search
from benchmarks.speed import bank_table, device, install, k_centre, roofline, scaling, wide
from panda_edge.bundle.model import default_threads

FOLDER = REPOSITORY / "benchmarks" / "speed" / "report"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.report", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--threads", type=int, default=min(2, default_threads()))
    parser.add_argument("--max-age", type=float, default=3.0, metavar="HOURS", help="of timings that are kept")
    parser.add_argument("--fresh", choices=("readme", "all"), help="fit and evaluate these banks again")
    parser.add_argument("--only", nargs="*", metavar="PART", help=f"measure only these: {', '.join(PARTS)}")
    parser.add_argument(
        "--slow", action="store_true", help="also anomalib's PatchCore 10 %% and hnswlib's large graphs"
    )
    parser.add_argument("--readme", action="store_true", help="put the table into README.md, too")
    given = parser.parse_args()
    if unknown := set(given.only or ()) - PARTS.keys():
        parser.error(f"unknown part {', '.join(sorted(unknown))}; expected some of {', '.join(PARTS)}")
    fresh = {"readme": bank_table.README, "all": [c.name for c in bank_table.CONFIGURATIONS]}.get(given.fresh, ())
    run = Run(open_subject(), given.threads, fresh, given.slow)
    say(f"measuring on {run.subject.in_words}")
    try:
        for name in PARTS if given.only is None else given.only:
            _measure(run, name, given.max_age)
    finally:  # what was measured before a stop is worth showing
        print(write(run, given.readme))


def _measure(run: Run, part: str, max_age: float) -> None:
    if run.is_recent(part, max_age):
        say(f"{part}: kept")
        return
    before = conditions(run.threads)
    PARTS[part](run)
    run.conditions.update(f"{run.subject.name}: {part}", **before, age=time.time())


class Run:
    """The subject, the settings and the files of rows of one run."""

    def __init__(self, subject: Subject, threads: int, fresh: Sequence[str], slow: bool) -> None:
        self.subject = subject
        self.threads = threads
        self.fresh = fresh
        self.slow = slow
        self.conditions = ResultsFile("speed/results/conditions")
        self.banks = ResultsFile("speed/results/banks")
        self.device = ResultsFile("speed/results/device")
        self.scaling = ResultsFile("speed/results/scaling")
        self.search = ResultsFile("speed/results/search_peers")
        self.anomalib = ResultsFile("speed/results/anomalib")
        self.install = ResultsFile("speed/results/install")
        self.roofline = ResultsFile("speed/results/roofline")

    def is_recent(self, part: str, hours: float) -> bool:
        """Whether a part was measured not long ago under these conditions. Accuracy resumes by itself, row by row."""
        if part in ("readme", "accuracy"):
            return False
        kept, now = self.conditions.get(f"{self.subject.name}: {part}"), conditions(self.threads)
        same = all(kept.get(key) == now[key] for key in ("cpu", "threads", "simd"))
        return same and time.time() - kept["age"] < hours * 3600


def _anomalib(run: Run) -> None:
    python = anomalib_run.peers_python()
    if python is None:
        say("anomalib is left out: PANDA_PEERS_VENV names no environment that benchmarks/peers/make_venv.sh made")
        return
    anomalib_run.compare(run.subject, run.anomalib, run.banks, run.threads, python, anomalib_run.Effort(run.slow))


_NOT_IN_README = [c.name for c in bank_table.CONFIGURATIONS if c.name not in bank_table.README]

# In the order in which they are worth having, should the run be stopped.
PARTS: dict[str, Callable[[Run], Any]] = {
    "readme": lambda run: bank_table.measure_accuracy(
        run.subject, run.banks, run.threads, run.fresh, bank_table.README
    ),
    "accuracy": lambda run: bank_table.measure_accuracy(run.subject, run.banks, run.threads, run.fresh, _NOT_IN_README),
    "speed": lambda run: bank_table.measure_speed(run.subject, run.banks, run.threads),
    "device": lambda run: device.measure_device(run.subject, run.banks, run.device, run.threads),
    "roofline": lambda run: roofline.measure_roofline(run.subject, run.roofline, run.threads),
    "faiss": lambda run: search.compare_search(run.subject, run.search, run.threads),
    "wide": lambda run: wide.measure_wide(run.subject, run.search, run.threads),
    "anomalib": _anomalib,
    "install": lambda run: install.measure_install(run.install, anomalib_run.peers_python()),
    "neighbors": lambda run: scaling.measure_neighbors(run.subject, run.scaling, run.threads),
    "threads": lambda run: scaling.measure_threads(run.subject, run.scaling),
    "resolution": lambda run: scaling.measure_resolution(run.subject, run.scaling, run.threads),
    "k-centre": lambda run: k_centre.measure_k_centre(run.subject, run.search, run.threads),
    "detection": lambda run: scaling.measure_detection(run.subject, run.scaling, run.threads, run.slow),
    "hnswlib": lambda run: search.compare_hnsw(run.subject, run.search, run.threads),
}


def write(run: Run, readme: bool) -> Path:
    """Write report.md, its pictures and the README's table; a run on sample data has a folder of its own."""
    folder = FOLDER if run.subject.name == "tile" else FOLDER / run.subject.name
    folder.mkdir(parents=True, exist_ok=True)
    sections = [
        f"# Measured on {run.subject.in_words}",
        "Made by `make bench` (`python -m benchmarks.speed.report`); the rows are in `benchmarks/speed/results/`. "
        "Times are milliseconds of one frame after another, from an image file to its heat map; p50, p95 and the "
        "least of the "
        "frames timed. Configurations that stand in one table were timed in turns, in one run, so that ratios hold "
        "even where the machine was disturbed. Accuracy is at the network's resolution, on masks brought to it by the "
        "nearest pixel.",
        in_words(conditions(run.threads), "when this page was written"),
        _banks(run, folder),
        _device(run),
        _roofline(run),
        _search(run),
        _scaling(run, folder),
        _anomalib_section(run, folder),
    ]
    (folder / "report.md").write_text("\n\n".join(section for section in sections if section) + "\n", encoding="utf-8")
    _write_readme_table(run, folder, readme)
    return folder / "report.md"


def _conditions(run: Run, part: str) -> str:
    facts = run.conditions.get(f"{run.subject.name}: {part}")
    if not facts:
        return ""
    return (
        f"*{facts['time']}, commit {facts['commit']}, {facts['cpu']}, SIMD level {facts['simd']}, load average "
        f"{facts['load']} at its start.*"
    )


def _bank_rows(run: Run) -> list[dict[str, Any]]:
    rows = [run.banks.get(key) for key in bank_table.keys(run.subject)]
    return [row for row in rows if "accuracy" in row]


def _banks(run: Run, folder: Path) -> str:
    rows = _bank_rows(run)
    if not rows:
        return ""
    timed = [{**row, "p50_ms": row["speed"]["p50_ms"]} for row in rows if "speed" in row]
    pictures = ""
    if timed:
        plots.stages(timed, folder / "stages.png")
        plots.speed_against_accuracy(timed, folder / "banks.png", "Banks: speed against accuracy")
        pictures = "![speed against accuracy](banks.png)\n\n![latency by stage](stages.png)\n\n"
    commands = "\n".join(f"- {row['name']}: `{row['command']}`" + _with_epsilon(row) for row in rows)
    return (
        f"## Banks\n{_conditions(run, 'speed')}\n\n{pictures}{tables.banks(rows)}\n\n"
        "“Search” is all between the backbone and the heat map: the similar images, and the nearest descriptors. "
        "“recall@1” is the share of positions whose nearest stored descriptor hnswlib finds among its own. Images "
        "“held-out” for calibration are not in the bank.\n\n"
        f"### By kind of defect\n{tables.by_kind(rows)}\n\n### Commands\n{commands}"
    )


def _with_epsilon(row: dict[str, Any]) -> str:
    return f", then `panda-edge segment --epsilon {row['epsilon']}`" if row["epsilon"] else ""


def _device_rows(run: Run) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    pairs = [(run.banks.get(key), run.device.get(key)) for key in bank_table.keys(run.subject)]
    return [(bank, bench) for bank, bench in pairs if "accuracy" in bank and bench]


def _device(run: Run) -> str:
    rows = _device_rows(run)
    if not rows:
        return ""
    lines = []
    for bank, found in rows:
        bench = found["bench"]
        stages = sum(bench["stages_ms"].values())
        rest = 1 - (bench["stages_ms"]["backbone"] + bench["stages_ms"]["search"]) / stages
        lines.append(
            [
                bank["name"],
                tables.number(bench["fps"], 1),
                tables.number(bench.get("fps_pipelined"), 1),
                *(tables.number(bench["latency_ms"][p], 1) for p in ("p50", "p95", "p99")),
                *(tables.number(bench["stages_ms"][stage], 2) for stage in bench["stages_ms"]),
                f"{100 * rest:.0f} %",
                tables.number(found["cold_start_ms"], 0),
                tables.number(bench["rss_mb"], 0),
                tables.number(bench["own_mb"], 0),
            ]
        )
    header = (
        "", "frames/s", "pipelined", "p50 ms", "p95", "p99", *rows[0][1]["bench"]["stages_ms"],
        "neither backbone nor search", "cold start ms", "peak MB", "own MB",
    )  # fmt: skip
    return (
        f"## `panda-edge bench`\n{_conditions(run, 'device')}\n\n{tables.table(header, lines)}\n\n"
        "The round with the median frame rate. Frames a second are of one frame after another; pipelined, the next "
        "frame's backbone runs beside this one's search."
    )


def _roofline(run: Run) -> str:
    found = run.roofline.get(f"{run.subject.name}: roofline")
    speed = run.banks.get(bank_table.key_of(run.subject, bank_table.EXACT)).get("speed")
    if not found or not speed:
        return ""
    return (
        f"## Distance from the floor\n{_conditions(run, 'roofline')}\n\n"
        f"Measured peaks: {found['gflops']:.0f} GFLOP/s (float32 matrix product), {found['gb_s']:.1f} GB/s (reading). "
        "The floor of a stage is the larger of its unavoidable operations and bytes at these peaks; of the search, the "
        "coarsest level's distances and one pass over the 50 galleries and the embeddings. Exact bank, K=50.\n\n"
        f"{tables.roofline(found['stages'], speed)}"
    )


def _search(run: Run) -> str:
    text = ""
    brute = run.search.get(f"{run.subject.name}: faiss")
    if brute:
        rows = [
            [name, *(tables.number(brute[key][figure], 1) for figure in ("p50", "p95", "least"))]
            for name, key in (("pyramid search", "ours_ms"), ("faiss IndexFlatL2", "faiss_ms"))
        ]
        text += (
            f"## Exact search beside faiss\n{_conditions(run, 'faiss')}\n\n"
            f"{brute['queries']:,} queries × {brute['descriptors']:,} descriptors of {brute['dimensions']} channels "
            f"(the 50 most similar normal images), {brute['images']} test images.\n\n"
            f"{tables.table(('', 'p50 ms', 'p95', 'least'), rows)}\n\n"
            f"Faiss takes **{brute['ratio']:.0f} times** as long (ratio of medians; median of each image's ratio "
            f"{brute['median_of_ratios']:.0f}). Largest relative difference of a squared distance: "
            f"{brute['largest_relative_difference']:.0e}."
        )
    broad = run.search.get(f"{run.subject.name}: wide")
    if broad:
        stages = ", ".join(f"{stage} {tables.number(ms, 1)}" for stage, ms in broad["stages_ms"].items())
        text += (
            f"\n\n### Wide-ResNet-50-2\n{_conditions(run, 'wide')}\n\n"
            f"The paper's backbone for segmentation, {broad['dimensions']:,} channels, with random weights: for speed "
            f"only. Milliseconds of a frame by stage: {stages}. Over {broad['images']} images our search takes "
            f"{broad['ours_ms']['p50']:.0f} ms, faiss {broad['faiss_ms']['p50']:,.0f} ms: "
            f"**{broad['ratio']:.0f} times** as long."
        )
    graph = run.search.get(f"{run.subject.name}: hnswlib")
    if graph:
        text += (
            f"\n\n## Exact search beside hnswlib\n{_conditions(run, 'hnswlib')}\n\n"
            f"One fixed gallery of 50 normal images ({graph['descriptors']:,} descriptors), which is searched whole: a "
            f"graph cannot be built for each query's own 50. Exact search {graph['ours_ms']['p50']:.1f} ms, hnswlib "
            f"(M=16, ef={graph['ef']}) {graph['hnswlib_ms']['p50']:.1f} ms with recall {graph['recall']:.3f}; its "
            f"graph took {graph['build_s']:.0f} s to build and {graph['index_mb']:.0f} MB."
        )
    chosen = run.search.get(f"{run.subject.name}: k-centre")
    if chosen:
        usual = chosen["numpy_step_seconds"] * chosen["chosen"]
        text += (
            f"\n\n## Greedy k-centre at a tenth of all descriptors\n{_conditions(run, 'k-centre')}\n\n"
            f"{chosen['chosen']:,} of {chosen['descriptors']:,} descriptors of {chosen['dimensions']} channels take "
            f"{chosen['seconds']:.0f} s. The usual way, a pass over all descriptors a step, takes "
            f"{1e3 * chosen['numpy_step_seconds']:.0f} ms a step in numpy ({chosen['numpy_steps_timed']} steps timed), "
            f"which is {usual / 60:.0f} minutes for all: **{usual / chosen['seconds']:.1f} times** as long."
        )
    return text.strip()


def _scaling(run: Run, folder: Path) -> str:
    name = run.subject.name
    neighbors, threads, resolution = (
        run.scaling.get(f"{name}: {part}") for part in ("neighbors", "threads", "resolution")
    )
    counts = [run.scaling.get(f"{name}: detection {count}") for count in scaling.COUNTS]
    detection = [row for row in counts if row]
    if not (neighbors or threads or resolution or detection):
        return ""
    plots.scaling(neighbors, threads, resolution, detection, folder / "scaling.png")
    parts = [f"## Scaling\n{_conditions(run, 'neighbors') or _conditions(run, 'detection')}\n\n![scaling](scaling.png)"]
    if neighbors:
        found = neighbors["search_ms"]
        ms = [tables.number(value, 2) for value in found.values()]
        parts.append(f"### Exact search over K similar images\n{tables.table(('K', *found), [['ms', *ms]])}")
    if threads:
        parts.append(f"### Frame by threads\n{tables.by_stage(threads, 'threads')}")
    if resolution:
        parts.append(f"### Frame by input size (exact, K=50 of 100 images)\n{tables.by_stage(resolution, 'pixels')}")
    if detection:
        parts.append(
            f"### The 2 nearest of N embeddings\nN vectors of {detection[0]['dimensions']} dimensions, mixed from the "
            "real embeddings with 5 % noise; one query at a time. Graphs of 100,000 and more are kept between runs: "
            f"their build times are of the run that made them, on a busy machine.\n\n{tables.detection(detection)}"
        )
    return "\n\n".join(parts)


def _anomalib_rows(run: Run) -> list[dict[str, Any]]:
    """Ours and anomalib's, of one run; none where anomalib was not there."""
    names = (*anomalib_run.OURS, *anomalib_run.MODELS)
    rows = [row for name in names if "title" in (row := run.anomalib.get(f"{run.subject.name}: {name}"))]
    return rows if any(row["title"].startswith("anomalib") for row in rows) else []


def _anomalib_section(run: Run, folder: Path) -> str:
    rows = _anomalib_rows(run)
    if not rows:
        return ""
    shown = [{**row, "name": row["title"], "family": row["title"]} for row in rows]
    plots.speed_against_accuracy(shown, folder / "anomalib.png", "Beside anomalib: same weights, images, masks and run")
    versions = run.anomalib.get(f"{run.subject.name}: versions")
    worst = max(row["features_differ"] for row in rows if "features_differ" in row)
    return (
        f"## Beside anomalib\n{_conditions(run, 'anomalib')}\n\n![beside anomalib](anomalib.png)\n\n"
        f"{tables.anomalib(rows)}\n\n"
        f"Versions there: {', '.join(f'{name} {found}' for name, found in versions.items())}. "
        "anomalib's models take the same backbone weights (their features differ from ours by "
        f"{worst:.0e} of the largest at most), the same frames, the same masks; they are its own ONNX exports in the "
        "same onnxruntime, with raw scores. PatchCore's coreset was selected by our greedy k-centre, without the "
        "random projection, to save time. All are timed from the file to the map, in "
        f"turns, with one decode and resize for all.\n\n{tables.processes(rows)}\n\n"
        f"### By kind of defect\n{tables.by_kind(rows)}"
    )


def _write_readme_table(run: Run, folder: Path, readme: bool) -> None:
    rows = _device_rows(run)
    facts = run.conditions.get(f"{run.subject.name}: device")
    if not rows or not facts:
        return
    words = f"{run.subject.in_words}; EfficientNet-Lite0, 224 × 224. {in_words(facts)}"
    text = tables.readme(rows, run.install.get("panda-edge"), run.install.get("anomalib"))
    name = run.subject.name
    text += tables.readme_search(run.search.get(f"{name}: faiss"), run.search.get(f"{name}: hnswlib"))
    text += f"Conditions: {words}\n"
    (folder / "readme_table.md").write_text(text, encoding="utf-8")
    path = REPOSITORY / "README.md"
    page = path.read_text(encoding="utf-8")
    if readme and BEGIN in page and END in page:
        path.write_text(tables.between(page, BEGIN, END, text), encoding="utf-8")


if __name__ == "__main__":
    main()
