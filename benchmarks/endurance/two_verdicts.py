"""How many pictures get two verdicts, over every command that gives one.

    python -m benchmarks.endurance.two_verdicts X.panda DATA [Y.panda DATA …]

DATA: a data set that `panda-train evaluate` reads. Each test picture is judged by `detect` (JSON and CSV), `segment`,
`watch`, `archive`, `evaluate` and `Detector.detect`, `segment`, `detect_batch` and `segment_stream`. A line a data set:
its pictures, and how many of them are called normal by one and anomalous by another, or differ in the printed score.
Exit code 1 where there is one.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import panda_edge
from panda_edge.printable import rounded
from panda_train.data.folders import open_dataset

Verdict = tuple[bool | None, float]


def main() -> None:
    pairs = sys.argv[1:]
    if not pairs or len(pairs) % 2:
        sys.exit(__doc__)
    worst = 0
    for bundle, data in zip(pairs[::2], pairs[1::2], strict=True):
        with tempfile.TemporaryDirectory() as folder:
            two, scores, count = counted(Path(bundle), Path(data), Path(folder))
        print(f"{data}: {count} pictures, {two} with two verdicts, {scores} with two scores", flush=True)
        worst = max(worst, two)
    sys.exit(1 if worst else 0)


def counted(bundle: Path, data: Path, out: Path) -> tuple[int, int, int]:
    """Pictures with two verdicts, with two scores, and all."""
    test = [sample.path.resolve() for sample in open_dataset(data).test]
    said: dict[Path, list[Verdict]] = defaultdict(list)
    ways = 0
    for way in (by_detector(bundle, test), by_commands(bundle, data.resolve(), test, out)):
        for verdicts in way:
            ways += 1
            for path, verdict in verdicts.items():
                said[path].append(verdict)
    assert all(len(said[path]) == ways for path in test), "a picture was not judged by every command"
    verdicts = sum(len({anomalous for anomalous, _ in said[path]}) > 1 for path in test)
    scores = sum(max(score for _, score in said[path]) - min(score for _, score in said[path]) > 1e-5 for path in test)
    return verdicts, scores, len(test)


def by_detector(bundle: Path, test: list[Path]) -> Iterator[dict[Path, Verdict]]:
    detector = panda_edge.load(bundle)
    for results in (
        map(detector.detect, test),
        map(detector.segment, test),
        detector.detect_batch(test),
        detector.segment_stream(test),
    ):
        yield {path: (r.anomalous, rounded(r.score)) for path, r in zip(test, results, strict=True)}


def by_commands(bundle: Path, data: Path, test: list[Path], out: Path) -> Iterator[dict[Path, Verdict]]:
    names = "".join(f"{path}\n" for path in test)
    lines = called("panda-edge", "detect", bundle, "-", "--json", "--csv", out / "d.csv", given=names)
    yield of_lines(json.loads(line) for line in lines)
    yield of_lines(of_csv(out / "d.csv"))
    lines = called("panda-edge", "segment", bundle, "-", "--json", "--out", out / "maps", given=names)
    yield of_lines(json.loads(line) for line in lines)
    called("panda-edge", "watch", bundle, data / "test", "--once", "--jsonl", out / "watch.jsonl")
    frames = map(json.loads, (out / "watch.jsonl").read_text().splitlines())
    yield of_lines({**line, "input": line["where"]} for line in frames if "where" in line)
    called("panda-edge", "archive", bundle, data / "test", "--out", out / "archive", "--workers", 2)
    parts = [line for part in sorted((out / "archive").glob("part-*")) for line in part.read_text().splitlines()]
    yield of_lines({**line, "input": data / "test" / line["input"]} for line in map(json.loads, parts))
    called("panda-train", "evaluate", bundle, data, "--csv", out / "e.csv")
    yield of_lines(of_csv(out / "e.csv"))


def of_lines(lines: Iterator[dict[str, Any]]) -> dict[Path, Verdict]:
    return {Path(line["input"]).resolve(): (line["anomalous"], line["score"]) for line in lines}


def of_csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            yield {**row, "anomalous": {"true": True, "false": False}[row["anomalous"]], "score": float(row["score"])}


def called(program: str, *arguments: object, given: str = "") -> list[str]:
    line = [str(Path(sys.executable).with_name(program)), *map(str, arguments)]
    return subprocess.run(line, input=given, capture_output=True, text=True, check=True).stdout.splitlines()


if __name__ == "__main__":
    main()
