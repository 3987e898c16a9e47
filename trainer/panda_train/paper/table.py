"""Rows as a table, beside the paper's figures."""

from collections.abc import Sequence

import numpy as np

from panda_train.paper import rows as paper_rows
from panda_train.paper.published import MEAN_AUROC, SOURCE
from panda_train.paper.rows import Row

_TOLD_APART = (
    "learning_rate", "prior", "views", "temperature", "angular", "whiten_loss", "pull", "batch", "seed",
)  # fmt: skip
"""Settings that rows of one method may differ in, beside those that old rows lack."""


def table(rows: Sequence[Row]) -> str:
    """A Markdown table: methods, with the embedding they were scored on, by classes; means, and the paper's means."""
    dataset = rows[0]["dataset"]
    classes = list(dict.fromkeys(row["class"] for row in rows))
    labels = [(_label(row, rows), row["embedding"], row["steps"]) for row in rows]
    lines = [
        f"| method | embedding | steps | {' | '.join(classes)} | mean | paper |",
        f"|---|---|---:|{'---:|' * (len(classes) + 2)}",
    ]
    for run in dict.fromkeys(labels):
        own = [row for row, label in zip(rows, labels, strict=True) if label == run]
        found = {row["class"]: row["image_auroc"] for row in own}
        cells = [f"{found[name]:.1f}" if found.get(name) is not None else "" for name in classes]
        known = [value for value in found.values() if value is not None]
        mean = f"{np.mean(known):.2f}" if len(known) == len(classes) else f"({len(known)} of {len(classes)})"
        foreign = own[0].get("exposure") is not None
        paper = "" if foreign else MEAN_AUROC.get(dataset, {}).get(own[0]["method"], "")
        lines.append(f"| {' | '.join(map(str, run))} | {' | '.join(cells)} | {mean} | {paper} |")
    return "\n".join([*lines, "", f"AUROC in percent. The paper's column: {SOURCE}."])


def _label(row: Row, rows: Sequence[Row]) -> str:
    """The method, with those of its settings that are not the same in all of its rows."""
    if row.get("exposure") is not None:
        return f"{row['method']}, exposed to a folder's images"
    of_method = [other for other in rows if other["method"] == row["method"]]
    differing = [
        f"{name} {paper_rows.setting(row, name)}"
        for name in (*paper_rows.SETTINGS, *_TOLD_APART)
        if name not in ("exposed", "exposure")
        and len({paper_rows.setting(other, name) for other in of_method if other.get("exposure") is None}) > 1
    ]
    return ", ".join([row["method"], *differing])
