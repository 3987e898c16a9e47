"""Every test picture in one list that can be sorted."""

from __future__ import annotations

from html import escape
from pathlib import Path

from panda_edge.printable import printable
from panda_train.evaluation.scored import Scored, ScoredImage

_HEADINGS = ("picture", "it is", "called", "score", "of threshold", "p")


def picture_list(scored: Scored, root: Path) -> str:
    """An HTML section, the highest score first. root: of the data set."""
    rows = "".join(_row(image, scored.threshold, root) for image in sorted(scored.images, key=lambda i: -i.score))
    head = "".join(
        f'<th{" aria-sort=descending" if name == "score" else ""}><button type="button">{name}</button></th>'
        for name in _HEADINGS
    )
    return (
        f'<h2>All {len(scored.images)} test pictures</h2><p class="note">Click a heading to sort. “Of threshold” is '
        "the score over its threshold: above 1 is anomalous.</p>"
        f'<div class="list"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(image: ScoredImage, threshold: float | None, root: Path) -> str:
    path = image.sample.path
    name = path.relative_to(root) if path.is_relative_to(root) else path
    truth = "anomalous" if image.sample.anomalous else "normal"
    called = "-" if image.anomalous is None else ("anomalous" if image.anomalous else "normal")
    wrong = "" if called in ("-", truth) else ' class="bad"'
    share = "-" if threshold is None or threshold <= 0 else f"{image.score / threshold:.3f}"
    p_value = "-" if image.p_value is None else f"{image.p_value:.4f}"
    return (
        f"<tr><td>{escape(printable(name))}</td><td>{truth}</td><td{wrong}>{called}</td>"
        f'<td data-key="{image.score}">{image.score:.4g}</td><td>{share}</td><td>{p_value}</td></tr>'
    )
