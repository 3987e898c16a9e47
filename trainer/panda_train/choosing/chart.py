"""Accuracy against milliseconds, with the frontier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from panda_train.choosing.halving import RUNGS, Row


def frontier(rows: Sequence[Row]) -> list[Row]:
    """Of the rows of the highest rung, those that no faster one is as good as; fastest first."""
    found: list[Row] = []
    last = [row for row in rows if row.rung == max(row.rung for row in rows)]
    for row in sorted(last, key=lambda row: (row.verdict.ms, -row.verdict.score)):
        if not found or row.verdict.score > found[-1].verdict.score:
            found.append(row)
    return found


def draw(rows: Sequence[Row], ms: float, path: Path) -> None:
    """rows: the chosen one first. ms: the budget. The later a candidate was left out, the larger its point."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for rung in range(1, len(RUNGS) + 1):
        there = [row for row in rows if row.rung == rung]
        axes.scatter(
            [row.verdict.ms for row in there],
            [row.verdict.score for row in there],
            s=16 * rung**1.5,
            label=f"up to rung {rung}: {RUNGS[rung - 1].painted} painted pictures",
        )
    best = frontier(rows)
    axes.plot([row.verdict.ms for row in best], [row.verdict.score for row in best], color="black", linewidth=1)
    for row in rows:
        if row.rung == rows[0].rung:
            place = (row.verdict.ms, row.verdict.score)
            axes.annotate(row.candidate.name, place, xytext=(5, -3), textcoords="offset points", fontsize=7)
    axes.scatter([rows[0].verdict.ms], [rows[0].verdict.score], s=220, facecolors="none", edgecolors="black")
    axes.axvline(ms, linestyle="--", color="grey")
    axes.set_xlabel("milliseconds a picture")
    axes.set_ylabel("mean of image and pixel AUROC on painted defects")
    axes.legend(frameon=False, fontsize=7, loc="lower right")
    figure.savefig(path)
