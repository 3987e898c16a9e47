"""`panda-train check`: from a data set to what was found in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_train.check.findings import Finding, findings
from panda_train.check.looks import Look, looks_at, places_of
from panda_train.check.unlike import unlike
from panda_train.data.folders import Dataset
from panda_train.data.headers import headers_of
from panda_train.progress import show


@dataclass(frozen=True)
class Report:
    """counts: pictures by part and kind. findings: the worst first. normal: the training pictures. least: those least
    like the others, with their scores. white: see `open_image`."""

    root: Path
    counts: dict[str, int]
    findings: list[Finding]
    normal: tuple[Path, ...]
    white: int | None = None
    least: list[tuple[Path, float]] = field(default_factory=list)

    @property
    def problems(self) -> int:
        """Findings that ask for something."""
        return sum(finding.problem for finding in self.findings)

    def plain(self) -> dict[str, Any]:
        """As what JSON has."""
        return {
            "data": str(self.root),
            "pictures": self.counts,
            "white": self.white,
            "problems": self.problems,
            "findings": [
                {"kind": one.kind, "text": one.text, "problem": one.problem, "paths": [str(path) for path in one.paths]}
                for one in self.findings
            ],
            "least_like_the_others": [{"path": str(path), "score": score} for path, score in self.least],
        }

    def lines(self) -> list[str]:
        """For a terminal."""
        counted = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        found = [f"{'' if one.problem else 'note: '}{one.kind}: {one.text}" for one in self.findings]
        said = f"{self.problems or 'no'} problem{'' if self.problems == 1 else 's'}"
        return [f"{self.root}: {counted}", *found, said]


def check(dataset: Dataset, fpr: float = DEFAULT_FPR, compare: bool = True) -> Report:
    """Look at all pictures and masks of a data set. compare: also by the network's embeddings, which takes longest."""
    places = places_of(dataset)
    counts = Counter(f"{place.part}/{place.kind}" for place in places)
    white = headers_of(dataset.train).white
    looks: list[Look] = []
    embedder = None
    if compare:
        from panda_train.check.embedder import Embedder  # torch, which the rest does without

        embedder = Embedder()
    for look, frame in show(looks_at(places, white), "look", len(places)):
        looks.append(look)
        if embedder is not None and frame is not None and not look.place.anomalous:
            embedder.add(frame)
    found = findings(dataset, looks, fpr)
    least: list[tuple[Path, float]] = []
    if embedder is not None:
        compared = unlike(looks, embedder.embeddings())
        found, least = found + compared.findings, compared.least
    found.sort(key=lambda finding: not finding.problem)
    return Report(dataset.root, dict(counts), found, dataset.train, white, least)
