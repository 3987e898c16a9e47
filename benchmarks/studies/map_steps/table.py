"""`README.md` of the study, from its rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.lib.conditions import in_words
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.tables import number, table
from benchmarks.studies.map_steps.choice import BOUNDS, FIGURES, Choice, Rows, effect, figure, left_out, merit
from benchmarks.studies.map_steps.settings import BOARD_TILES, CIFAR, EIGHT, SETTINGS
from benchmarks.studies.map_steps.variants import MIDDLE, SHIPPED, Variant, grid

DEFAULT: Choice = (SHIPPED.name, "place@2")
PLAIN: Choice = (Variant(discount=0, gain="none", context=0).name, "max@4")
_PLAIN_TILES = Variant(discount=0, context=0).name


def write_table(folder: Path) -> None:
    rows = ResultsFile("results", folder)
    every: dict[str, dict[str, Any]] = {}
    for key in rows.names():
        name, _, variant = key.partition(": ")
        if name in SETTINGS:
            every.setdefault(name, {})[variant] = rows.get(key)
    eight = {name: every[name] for name in EIGHT}
    parts = [
        "# Which steps make the heat map and the image decision",
        "`python -m benchmarks.studies.map_steps DATA WORK`, then `python -m benchmarks.studies.map_steps table`. "
        f"EfficientNet-Lite0. {in_words(rows.get('conditions'))}{_older(rows)}",
        "A figure triple is image AUROC / pixel AUROC / PRO; metal-nut and solar have no masks. A variant is chosen by "
        "the mean of the three figures' means over sets. Statistics of a picture: `max@S` is the maximum of the heat "
        "map blurred by sigma S pixels; `top1@S` the mean of its highest 1 %; `place@S` the maximum of the map divided "
        "by what normal pictures have at that place, `of N` the mean of its N highest cells; the others are means of "
        "these, standardised on normal pictures.",
        "## The default, and what is chosen with one set left out",
        _left_out(eight),
        "## What each step is worth",
        "A step stays where it gains .003 or more in the mean of a figure and loses nowhere more than "
        f"{BOUNDS['image']:g} in image or pixel AUROC or {BOUNDS['pro']:g} in PRO. By the letter no step does: each "
        "gains in the mean, and loses more than that on one set. Cookies' image AUROC rests on 14 normal pictures, its "
        "interval is ± .025. The steps stay: together they gain in the mean five times what they lose at worst.",
        _steps(eight),
        "## Image AUROC by statistic, steps as by default",
        _statistics(every),
        "## False alarms at a promised rate of .05",
        "Calibrated by stored pictures, each scored without itself. Allowed: the 97.5 % quantile of a binomial.",
        _promise(every),
        "## Pictures in tiles",
        _tiles(every),
        "## Every variant",
        _variants(eight),
    ]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _older(rows: ResultsFile) -> str:
    """Which settings' rows are of another commit than the conditions are."""
    commits: dict[str, set[str]] = {}
    for key in rows.names():
        name, commit = key.partition(": ")[0], rows.get(key)["measured"]["commit"]
        if commit != rows.get("conditions")["commit"]:
            commits.setdefault(commit, set()).add(name)
    return "".join(f" Of commit {commit}: {', '.join(sorted(names))}." for commit, names in commits.items())


def _triple(row: Mapping[str, Any], rule: str) -> str:
    values = [figure(row, name, rule) for name in FIGURES]
    return " / ".join(number(value, 3) for value in values if value is not None)


def among(rows: Mapping[str, Rows]) -> list[Choice]:
    """Every variant with every statistic that all sets have."""
    rules = [set(sets[Variant().name]["image"]) for sets in rows.values()]
    shared = [rule for rule in next(iter(rows.values()))[Variant().name]["image"] if all(rule in r for r in rules)]
    return [(variant.name, rule) for variant in grid() for rule in shared]


def _left_out(eight: Mapping[str, Rows]) -> str:
    lines = []
    for left in left_out(eight, among(eight)):
        rows = eight[left.name]
        losses = [left.loss(name) for name in FIGURES]
        interval = rows[_MIDDLE[0]].get("image_interval", {}).get(DEFAULT[1])
        lines.append(
            [
                left.name,
                _triple(rows[PLAIN[0]], PLAIN[1]),
                _triple(rows[DEFAULT[0]], DEFAULT[1]),
                "–" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
                f"{left.choice[0]}, {left.choice[1]}",
                _triple(rows[left.choice[0]], left.choice[1]),
                " / ".join(number(loss, 3) for loss in losses if loss is not None),
            ]
        )
    header = (
        "set",
        "plain SPADE",
        "default",
        "95 % of image AUROC",
        "chosen without the set",
        "its figures",
        "below the best",
    )
    return table(header, lines)


_MIDDLE: Choice = (MIDDLE.name, DEFAULT[1])  # what the variants beside it differ from in one constant
STEPS: tuple[tuple[str, Choice, Choice], ...] = (
    ("leave-one-out discount .35", (Variant(discount=0).name, DEFAULT[1]), DEFAULT),
    ("discount .5 instead of .35", DEFAULT, _MIDDLE),
    ("border gain, at least 1", (Variant(discount=0.35, gain="none").name, DEFAULT[1]), DEFAULT),
    ("border gain below 1 as well", _MIDDLE, (Variant(gain="full").name, DEFAULT[1])),
    ("context .5", (Variant(discount=0.35, context=0).name, DEFAULT[1]), DEFAULT),
    ("context .25 instead of .5", DEFAULT, (Variant(discount=0.35, context=0.25).name, DEFAULT[1])),
    ("closing", _MIDDLE, (Variant(closing=48).name, DEFAULT[1])),
    ("K = 20 instead of 50", _MIDDLE, (Variant(neighbors=20).name, DEFAULT[1])),
    ("K = 100 instead of 50", _MIDDLE, (Variant(neighbors=100).name, DEFAULT[1])),
    ("shown map blurred by 3 instead of 4", _MIDDLE, (Variant(sigma=3.0).name, DEFAULT[1])),
    ("local decision instead of the maximum", (DEFAULT[0], "max@4"), DEFAULT),
    ("top 1 % instead of the maximum", (DEFAULT[0], "max@4"), (DEFAULT[0], "top1@4")),
    ("all together, against plain SPADE", PLAIN, DEFAULT),
)


def _steps(eight: Mapping[str, Rows]) -> str:
    lines = []
    for name, without, with_step in STEPS:
        found = effect(eight, without, with_step)
        means = " / ".join(f"{found.mean[key]:+.3f}" for key in FIGURES)
        worst = ", ".join(f"{found.worst[key][0]:+.3f} {found.worst[key][1]}" for key in FIGURES)
        lines.append([name, means, worst, "yes" if found.pays else "no"])
    return table(("step", "mean change", "worst set: image, pixel, PRO", "pays"), lines)


def _statistics(every: Mapping[str, Rows]) -> str:
    names = [name for name in (*EIGHT, *(s.name for s in CIFAR), *BOARD_TILES) if name in every]
    rules = list(every[names[0]][Variant().name]["image"])
    lines = [[rule, *(number(every[name][DEFAULT[0]]["image"].get(rule), 3) for name in names)] for rule in rules]
    return table(("statistic", *names), lines)


def _promise(every: Mapping[str, Rows]) -> str:
    lines = []
    for name, variants in every.items():
        row, rule = variants[DEFAULT[0]], DEFAULT[1]
        lines.append(
            [
                name,
                f"{row['false_alarms'][rule]} of {row['good']}",
                str(row["most_false_alarms"]),
                number(row["found"][rule], 2),
            ]
        )
    return table(("set", "false alarms", "allowed", "found"), lines)


def _tiles(every: Mapping[str, Rows]) -> str:
    lines = []
    for name, variants in every.items():
        if "tiles" in name:
            near, wide = Variant(discount=0.35, context=0).name, Variant(discount=0.35).name
            choices = ((_PLAIN_TILES, "max@4"), (near, "max@4"), (near, "top1@4"), (near, "place@2"), (wide, "place@2"))
            lines.append([name, *(_triple(variants[variant], rule) for variant, rule in choices)])
    header = ("set", "plain, maximum", "discount, maximum", "top 1 %", "local", "local, context .5")
    return table(header, lines)


def _variants(eight: Mapping[str, Rows]) -> str:
    lines = []
    for variant in grid():
        name = variant.name
        lines.append(
            [
                name,
                number(merit(eight.values(), (name, DEFAULT[1])), 4),
                *(_triple(v[name], DEFAULT[1]) for v in eight.values()),
            ]
        )
    return table(("variant", "merit", *eight), lines)
