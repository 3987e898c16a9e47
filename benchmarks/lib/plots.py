"""The report's pictures. Colours are Okabe and Ito's, which colour-blind readers can tell apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STAGE_COLORS = {
    "decode": "#999999",
    "preprocess": "#E69F00",
    "backbone": "#0072B2",
    "search": "#D55E00",
    "heatmap": "#009E73",
    "other": "#DDDDDD",
}
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8B6914")
Row = dict[str, Any]


def stages(rows: list[Row], path: Path) -> None:
    """One bar a configuration: the median frame by stage, and the median of whole frames as a mark."""
    figure, axes = plt.subplots(figsize=(9, 0.42 * len(rows) + 1.4))
    names = [row["name"] for row in rows]
    left = [0.0] * len(rows)
    for stage, color in STAGE_COLORS.items():
        widths = [row["speed"]["stages_ms"].get(stage, 0.0) for row in rows]
        if any(widths):
            axes.barh(names, widths, left=left, color=color, label=stage)
            left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.plot([row["speed"]["p50_ms"] for row in rows], names, "k|", markersize=13, label="whole frame (p50)")
    axes.plot([row["speed"]["p95_ms"] for row in rows], names, "k.", markersize=4, label="p95")
    # The slowest need not make the others too short to read: its bar is cut, and its median stands beside it.
    medians = sorted(row["speed"]["p50_ms"] for row in rows)
    widest = min(medians[-1] * 1.3, medians[len(medians) * 3 // 4] * 2)
    axes.set_xlim(0, widest)
    for row in rows:
        ms = row["speed"]["p50_ms"]
        if ms > widest:
            axes.text(widest, row["name"], f"{ms:.0f} ms →", ha="right", va="center", color="white", fontweight="bold")
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds a frame")
    axes.set_title("Latency by stage")
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.45, -0.12 - 0.6 / len(rows)))
    _save(figure, path)


def speed_against_accuracy(rows: list[Row], path: Path, title: str) -> None:
    """Three panels over milliseconds a frame: image AUROC of the map's maximum, pixel AUROC, PRO.

    A row has name, family, p50_ms and accuracy; rows of a family are joined.
    """
    panels = (("image_auroc_map", "image AUROC (map maximum)"), ("pixel_auroc", "pixel AUROC"), ("pro", "PRO to 0.3"))
    figure, all_axes = plt.subplots(1, 3, figsize=(14, 5.2))
    families = list(dict.fromkeys(row["family"] for row in rows))
    for axes, (figure_name, label) in zip(all_axes, panels, strict=True):
        for family, color, marker in zip(families, COLORS * 2, "osD^vP*X<>hp" * 2, strict=False):
            members = [r for r in rows if r["family"] == family and r["accuracy"][figure_name] is not None]
            members.sort(key=lambda row: row["p50_ms"])
            x = [row["p50_ms"] for row in members]
            axes.plot(
                x, [row["accuracy"][figure_name] for row in members], "-", marker=marker, color=color, label=family
            )
            for row in members:
                short = row["name"].rpartition(", ")[2] if len(members) > 1 else ""
                axes.annotate(
                    short, (row["p50_ms"], row["accuracy"][figure_name]), fontsize=7, xytext=(3, 4),
                    textcoords="offset points",
                )  # fmt: skip
        _log_ticks(axes)
        axes.set_xlabel("milliseconds a frame (p50)")
        axes.set_title(label)
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, frameon=False, ncols=len(labels), loc="lower center")
    figure.suptitle(title)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    _save(figure, path, tight=False)


def scaling(neighbors: Row, threads: Row, resolution: Row, detection: list[Row], path: Path) -> None:
    """Four panels: search over K, frame over threads, frame over the input's side, detection over N."""
    figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(12, 9))
    _line(a, {float(k): ms for k, ms in neighbors.get("search_ms", {}).items()}, "exact pyramid search")
    a.set(xscale="log", yscale="log", xlabel="K, similar images searched", ylabel="milliseconds", title="Search")
    for axes, row, label in ((b, threads, "threads"), (c, resolution, "side of the input, pixels")):
        by_stage = row.get("stages_ms", {})
        for stage, color in STAGE_COLORS.items():
            points = {float(which): stages[stage] for which, stages in by_stage.items() if stage in stages}
            _line(axes, points, stage, color)
        _line(axes, {float(which): sum(stages.values()) for which, stages in by_stage.items()}, "all", "black")
        axes.set(xlabel=label, ylabel="milliseconds (median)", title=f"Frame by stage, over {label.split(',')[0]}")
        axes.set_xticks([float(which) for which in by_stage], list(by_stage))
        axes.set_ylim(bottom=0)
    series: dict[str, dict[float, float]] = {}
    for row in sorted(detection, key=lambda row: row["count"]):
        for name, found in row["searches"].items():
            series.setdefault(name, {})[float(row["count"])] = found["ms"]
    for (name, points), color in zip(series.items(), COLORS, strict=False):
        _line(d, points, name, color)
    d.set(xscale="log", yscale="log", xlabel="N, stored embeddings", ylabel="milliseconds a query", title="Detection")
    for axes in (a, b, c, d):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False)
    figure.tight_layout()
    _save(figure, path, tight=False)


def _line(axes: Axes, points: dict[float, float], label: str, color: str = COLORS[0]) -> None:
    if points:
        x = sorted(points)
        axes.plot(x, [points[value] for value in x], "o-", color=color, label=label, markersize=4)


def _log_ticks(axes: Axes) -> None:
    low, high = axes.get_xlim()
    axes.set_xscale("log")
    ticks = [t for t in (1, 2, 5, 10, 20, 30, 50, 100, 200, 500, 1000, 2000) if max(low, 0.5) * 0.8 <= t <= high * 1.2]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def _save(figure: Figure, path: Path, tight: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight" if tight else None)
    plt.close(figure)
