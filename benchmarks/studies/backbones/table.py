"""The table of what is measured, beside the default's figures of `benchmarks.peers.eight_sets`."""

from __future__ import annotations

from statistics import mean
from typing import Any

from benchmarks.lib import tables
from benchmarks.lib.conditions import in_words
from benchmarks.lib.results_file import ResultsFile
from benchmarks.studies.backbones.configurations import CONFIGURATIONS, DEFAULT, HERE
from benchmarks.studies.map_steps.settings import WHOLE

_FIGURES = ("image", "pixel", "pro")


def write() -> None:
    """README.md beside this file."""
    rows = ResultsFile("results", HERE)
    usual = ResultsFile("peers/results/eight_sets")
    found = {
        name: {setting.name: row for setting in WHOLE if (row := rows.get(f"{setting.name}: {name}"))}
        for name in CONFIGURATIONS
        if name != DEFAULT
    }
    found = {name: of for name, of in found.items() if of}
    default = {setting.name: usual.get(f"{setting.name}: default") for setting in WHOLE}
    lines = [
        [setting, _triple(default[setting]), *(_triple(of.get(setting)) for of in found.values())]
        for setting in default
        if any(setting in of for of in found.values())
    ]
    lines.append(["sets", "", *(str(len(of)) for of in found.values())])
    lines.append(["mean gain", "", *(_gain(of, default, mean) for of in found.values())])
    lines.append(["worst", "", *(_gain(of, default, min) for of in found.values())])
    parts = [
        "# What other networks, inputs and numbers buy",
        "`python -m benchmarks.studies.backbones DATA WORK`. Image AUROC / pixel AUROC / PRO; metal-nut and solar have "
        "no masks. All but what the heading names is `fit`'s default; that column is "
        "[the eight sets'](../../peers/results/eight_sets.md). Gains are over the sets that are measured. "
        f"{in_words(rows.get('conditions'))}",
        tables.table(("set", DEFAULT, *found), lines),
        "Megabytes of the whole bundle, in brackets the network's share:",
        tables.table(
            ("set", DEFAULT, *found),
            [
                [setting, tables.number(row.get("mb"), 1), *(_size(of.get(setting)) for of in found.values())]
                for setting, row in default.items()
                if any(setting in of for of in found.values())
            ],
        ),
    ]
    if times := rows.get("network time"):
        ratios = times["over_default"]
        parts += [
            "Time of the network alone, one frame, over the default's, in turns in one run of "
            "`python -m benchmarks.studies.backbones speed`:",
            tables.table(("network", "time / default's"), [[name, tables.number(r, 2)] for name, r in ratios.items()]),
            in_words(times["conditions"]),
        ]
    (HERE / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _triple(row: dict[str, Any] | None) -> str:
    if not row:
        return "–"
    return " / ".join(tables.number(row[name], 3) for name in _FIGURES if row[name] is not None)


def _size(row: dict[str, Any] | None) -> str:
    return f"{row['mb']:.1f} ({row['network_mb']:.1f})" if row else "–"


def _gain(of: dict[str, dict[str, Any]], default: dict[str, dict[str, Any]], taken: Any) -> str:
    gains = []
    for name in _FIGURES:
        pairs = [(row[name], default[setting][name]) for setting, row in of.items() if row[name] is not None]
        gains.append(f"{taken(new - old for new, old in pairs):+.3f}" if pairs else "–")
    return " / ".join(gains)
