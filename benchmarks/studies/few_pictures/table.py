"""The table of the study's rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

Row = Mapping[str, object]

_HEAD = """# Few normal pictures

`python -m benchmarks.studies.few_pictures DATA WORK`. Image AUROC by map maximum / pixel AUROC / PRO: mean over
draws of the pictures, and lowest to highest. Whole pictures at 224 × 224, EfficientNet-Lite0; at most 40 test pictures,
half of them normal. A draw's pictures are the same in all columns. `turned`: draws in which auto took turned copies.
{measured}

| set | pictures | draws | default | `--augment auto` | turned | PatchCore 10 % |
|---|---:|---:|---:|---:|---:|---:|
"""
_KINDS = ("default", "augment auto", "PatchCore 10 %")
_FIGURES = ("image_auroc", "pixel_auroc", "pro")


def written(rows: Sequence[Row], sets: Sequence[str], folder: Path) -> None:
    """Write `rows.json` and `table.md`, which names those of the sets that have no rows yet."""
    absent = [name for name in sets if not any(row["set"] == name for row in rows)]
    missing = f"\nNot measured yet: {', '.join(absent)}.\n" if absent else ""
    lines = ",\n".join(json.dumps(row) for row in rows)
    (folder / "rows.json").write_text(f"[\n{lines}\n]\n")
    (folder / "table.md").write_text(_HEAD.format(measured=_measured(rows)) + "".join(_lines(rows)) + missing)


def _measured(rows: Sequence[Row]) -> str:
    """Commits and processors, each once."""
    said = dict.fromkeys(json.dumps(row.get("measured")) for row in rows)
    found = [json.loads(one) or {} for one in said]
    commits = ", ".join(dict.fromkeys(str(one.get("commit", "unknown")) for one in found))
    processors = ", ".join(dict.fromkeys(str(one.get("cpu", "unknown")) for one in found))
    return f"Commit {commits}; {processors}."


def _lines(rows: Sequence[Row]) -> list[str]:
    groups: dict[tuple[object, object], dict[object, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        groups[row["set"], row["pictures"]][row["kind"]].append(row)
    lines = []
    for (name, pictures), kinds in groups.items():
        # A draw that has not been measured all three ways would make columns differ by their pictures.
        whole = set.intersection(*({row["draw"] for row in kinds[kind]} for kind in _KINDS))
        measured = [[row for row in kinds[kind] if row["draw"] in whole] for kind in _KINDS]
        auto, shown = measured[1], [_shown(rows) for rows in measured]
        turned = sum(row["augment"] != "none" for row in auto)
        lines.append(f"| {name} | {pictures} | {len(auto)} | {shown[0]} | {shown[1]} | {turned} | {shown[2]} |\n")
    return lines


def _shown(rows: Sequence[Row]) -> str:
    parts = []
    for figure in _FIGURES:
        values = [float(str(row[figure])) for row in rows if row.get(figure) is not None]
        if values:
            mean = sum(values) / len(values)
            parts.append(f"{mean:.3f} ({min(values):.3f}–{max(values):.3f})")
    return " / ".join(parts) or "–"
