"""The tables of what is measured: what pays for its time, then every set."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any

from benchmarks.lib import tables
from benchmarks.lib.conditions import in_words
from benchmarks.lib.results_file import ResultsFile
from benchmarks.studies.backbones.configurations import CONFIGURATIONS, DEFAULT, FPR, HERE
from benchmarks.studies.backbones.few import MOST_NORMAL, MOST_TEST
from benchmarks.studies.backbones.speed import TIMED_ON
from benchmarks.studies.map_steps.settings import WHOLE

FIGURES = ("image", "pixel", "pro")
Rows = Mapping[str, Mapping[str, Any]]
"""Rows of one configuration, by set."""


def write() -> None:
    """README.md beside this file."""
    rows = ResultsFile("results", HERE)
    found: dict[str, Rows] = {
        name: {setting.name: row for setting in WHOLE if (row := rows.get(f"{setting.name}: {name}"))}
        for name in CONFIGURATIONS
    }
    found = {name: of for name, of in found.items() if of}
    times = rows.get("time")
    parts = [
        "# What other networks, inputs and numbers buy",
        "`python -m benchmarks.studies.backbones DATA WORK`. All but what a name says is `fit`'s default. A set with "
        f"more than {MOST_NORMAL} normal or {MOST_TEST} test pictures is thinned to so many, evenly over its list: "
        "that is tile and the sample. All configurations have the same pictures. "
        f"{in_words(rows.get('conditions'))} Each row of `results.json` names its commit.",
        "Figures are means over the sets, metal-nut and solar without pixels as they have no masks; gains are over "
        "those sets that both have. On the front: no other row of all eight sets takes at most its time and has "
        "at least its image AUROC and its PRO. Time: of a whole frame, and of the network alone, over the default's, "
        f"in turns in one run of `… speed DATA WORK` on {TIMED_ON}.",
        tables.table(
            (
                "configuration", "sets", "image AUROC", "pixel AUROC", "PRO", "gain: image / pixel / PRO", "worst",
                "time / default's", "network's", f"MB on {TIMED_ON}", "on the front",
            ),
            _summary(found, times.get("of", {})),
        ),
        "Image AUROC / pixel AUROC / PRO of every set:",
        tables.table(("set", *found), _lines(found, _triple)),
        f"False alarms among normal test pictures at a promised rate of {FPR:g}; share of the anomalous ones found:",
        tables.table(("set", *found), _lines(found, _alarms)),
        "Megabytes of the whole bundle, in brackets the network's share; float32 where int8 was asked for and was not "
        "faster:",
        tables.table(("set", *found), _lines(found, _size)),
    ]  # fmt: skip
    if times:
        parts.append(f"Times: {in_words(times['conditions'])}")
    if memory := rows.get("memory"):
        lines = [
            [
                name,
                tables.number(row["peak_mb"], 1),
                tables.number(row["own_mb"], 1),
                tables.number(row["bundle_mb"], 1),
            ]
            for name, row in memory["of"].items()
        ]
        parts += [
            "Memory of a process that opens the bundle and judges pictures with one thread, "
            "`python -m benchmarks.studies.backbones memory DATA WORK`. Peak: VmHWM of Linux, the interpreter, numpy "
            "and onnxruntime with it; own: without mapped files. The first row only loads these libraries.",
            tables.table(("configuration", "peak MB", "own MB", "bundle MB"), lines),
        ]
    (HERE / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _summary(found: Mapping[str, Rows], times: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    lines = []
    ahead = front(found, times)
    for name, of in found.items():
        time = times.get(name, {})
        lines.append(
            [
                name, str(len(of)), *(tables.number(_mean(of, figure), 3) for figure in FIGURES),
                "" if name == DEFAULT else _gain(of, found.get(DEFAULT, {}), mean),
                "" if name == DEFAULT else _gain(of, found.get(DEFAULT, {}), min),
                tables.number(time.get("ms_over_default"), 2), tables.number(time.get("network_ms_over_default"), 2),
                tables.number(of[TIMED_ON]["mb"] if TIMED_ON in of else None, 1), "yes" if name in ahead else "",
            ]
        )  # fmt: skip
    return lines


def front(found: Mapping[str, Rows], times: Mapping[str, Mapping[str, float]]) -> set[str]:
    """Names of the configurations, of those with all sets and a time, that no other one is better than."""
    points = {
        name: (-times[name]["ms"], _mean(of, "image"), _mean(of, "pro"))
        for name, of in found.items()
        if name in times and len(of) == len(WHOLE)
    }
    return {
        name
        for name, point in points.items()
        if not any(
            other != point and all(theirs >= ours for theirs, ours in zip(other, point, strict=True))  # type: ignore[operator]
            for other in points.values()
        )
    }


def _mean(of: Rows, figure: str) -> float | None:
    values = [row[figure] for row in of.values() if row[figure] is not None]
    return mean(values) if values else None


def _lines(found: Mapping[str, Rows], cell: Any) -> list[list[str]]:
    return [[setting.name, *(cell(of.get(setting.name)) for of in found.values())] for setting in WHOLE]


def _triple(row: Mapping[str, Any] | None) -> str:
    if not row:
        return "–"
    return " / ".join(tables.number(row[name], 3) for name in FIGURES if row[name] is not None)


def _alarms(row: Mapping[str, Any] | None) -> str:
    return f"{row['false_alarms']} of {row['good']}; {row['found']:.2f}" if row else "–"


def _size(row: Mapping[str, Any] | None) -> str:
    if not row:
        return "–"
    return f"{row['mb']:.1f} ({row['network_mb']:.1f}, {row['precision']})"


def _gain(of: Rows, default: Rows, taken: Any) -> str:
    gains = []
    for name in FIGURES:
        pairs = [
            (row[name], default[setting][name])
            for setting, row in of.items()
            if row[name] is not None and setting in default
        ]
        gains.append(f"{taken(new - old for new, old in pairs):+.3f}" if pairs else "–")
    return " / ".join(gains)
