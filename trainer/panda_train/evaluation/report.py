"""`panda-train report`: how well a bundle does on a data set, as one page that needs nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

import panda_edge
from panda_edge.bundle.folder import open_bundle
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.detector import Detector
from panda_edge.inspect.machine import cpu_name
from panda_edge.printable import rounded
from panda_edge.visualise.files import write_whole
from panda_train.data.folders import Dataset
from panda_train.evaluation import metrics
from panda_train.evaluation.charts import BLUE, ORANGE, Line, curves, histogram
from panda_train.evaluation.evaluation import figures
from panda_train.evaluation.examples import examples
from panda_train.evaluation.page_style import SORT, STYLE
from panda_train.evaluation.picture_list import picture_list
from panda_train.evaluation.pixel_scores import PRO_LIMIT, PixelScores
from panda_train.evaluation.scored import Scored, score_images

PAGE = "report.html"
FIGURES = "figures.json"

_NAMES = {
    "image_auroc": "image AUROC (the score that decides)",
    "image_auroc_map": "image AUROC (map maximum)",
    "image_auroc_top1": "image AUROC (top 1 %)",
    "image_auroc_embedding": "image AUROC (embedding)",
    "pixel_auroc": "pixel AUROC",
    "pro": "PRO to 0.3",
}

_WORDS = (
    '<p class="note"><b>AUROC</b>: take an anomalous and a normal picture (or pixel) at random; how often the '
    "anomalous one scores higher. 1 is perfect, 0.5 is chance. <b>PRO</b>: the share of each true region that is "
    "found, averaged over regions, so that small defects count as much as large ones; up to 30 % false-positive "
    "pixels, 1 is perfect. 95 %: the interval that the figure has when the test pictures are drawn anew.</p>"
)


def write_report(
    bundle: Path, dataset: Dataset, out: Path, threads: int | None = None, fpr: float = DEFAULT_FPR
) -> Path:
    """Evaluate and write `report.html` and `figures.json` into the folder `out`; returns the page's path.

    Raises DataError, BundleError as `evaluate` does, PandaError where `out` cannot be written.
    """
    scored = score_images(bundle, dataset, threads, fpr)
    report = figures(scored, fpr)
    detector = panda_edge.load(bundle, threads=threads, fpr=fpr)
    parts = [
        _headline(report),
        _decision(report),
        _charts(scored, detector),
        _kinds(report),
        *examples(scored, detector),
        picture_list(scored, dataset.root),
        _latency(scored, detector),
        _facts(bundle, dataset, detector),
    ]
    title = escape(f"{bundle.name} on {dataset.root.name}")
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><h1>{title}</h1>{''.join(parts)}<script>{SORT}</script></body></html>\n"
    )
    write_whole(out / FIGURES, (json.dumps(rounded(report), indent=1) + "\n").encode())
    write_whole(out / PAGE, page.encode())
    return out / PAGE


def _headline(report: dict[str, Any]) -> str:
    cards = []
    for key, name in _NAMES.items():
        span = report["intervals"].get(key)
        small = f"<small>95 %: {span[0]:.3f} to {span[1]:.3f}</small>" if span else ""
        cards.append(f'<div class="card">{escape(name)}<b>{_number(report[key])}</b>{small}</div>')
    left_out = ""
    if report["problems"]:
        items = "".join(f"<li>{escape(problem['error'])}</li>" for problem in report["problems"])
        left_out = f"<details><summary>{len(report['problems'])} problems</summary><ul>{items}</ul></details>"
    if own := report.get("native"):
        for key in ("pixel_auroc", "pro"):
            name = f"{_NAMES[key]}, images' own size"
            cards.append(f'<div class="card">{escape(name)}<b>{_number(own[key])}</b></div>')
    return f'<p>{report["images"]} test images.</p><div class="cards">{"".join(cards)}</div>{_WORDS}{left_out}'


def _decision(report: dict[str, Any]) -> str:
    decided = report["at_threshold"]
    if decided is None:
        return '<h2>Decision</h2><p class="note">The bundle is not calibrated: it gives raw scores only.</p>'
    words = (
        f"Decided by the score “{escape(decided['rule'])}”, with thresholds from normal pictures alone. "
        f"<code>--fpr</code> is {decided['asked']:g} here: {decided['false_alarms']} false alarms in "
        f"{decided['normal_images']} normal pictures, {_percent(decided['tpr'])} of the anomalous ones found, "
        f"{_percent(decided['precision'])} of the alarms right."
    )
    rows = "".join(_point(point) for point in report["operating_points"])
    short = [point for point in report["operating_points"] if point["promised"] > point["asked"]]
    note = ""
    if short:
        least = short[0]
        note = (
            f'<p class="note">* {least["calibration_images"]} calibration pictures cannot promise '
            f"{', '.join(_percent(point['asked']) for point in short)}; what they can is "
            f"{_percent(least['promised'])}, which is used instead. Promising {_percent(least['asked'])} takes "
            f"{least['needed']}.</p>"
        )
    head = "<th>false-alarm rate asked for</th><th>promised</th><th>false alarms here</th><th>found here</th>"
    return (
        f"<h2>How many are found, at which false-alarm rate</h2><p>{words}</p><div class=scroll><table><tr>{head}</tr>"
        f"{rows}</table></div>{note}"
    )


def _point(point: dict[str, Any]) -> str:
    star = "*" if point["promised"] > point["asked"] else ""
    cells = (
        f"{_percent(point['asked'])}",
        f"{_percent(point['promised'])}{star}",
        f"{point['false_alarms']} of {point['normal_images']}{_between(point['fpr_interval'])}",
        f"{point['found']} of {point['anomalous_images']}{_between(point['tpr_interval'])}",
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _between(span: tuple[float, float] | None) -> str:
    return "" if span is None else f"<small>95 %: {_percent(span[0])} to {_percent(span[1])}</small>"


def _charts(scored: Scored, detector: Detector) -> str:
    labels = np.array([image.sample.anomalous for image in scored.images])
    deciding = np.array([image.score for image in scored.images])
    threshold = None
    if detector.decider is not None:
        threshold = detector.decider.threshold
    drawn = [histogram("Scores of normal and anomalous images", deciding[~labels], deciding[labels], threshold)]
    if labels.any() and not labels.all() and not np.isnan(deciding).any():
        lines = []
        for name, values, color in (
            ("deciding score", deciding, BLUE),
            ("embedding", np.array([image.raw["embedding"] for image in scored.images]), ORANGE),
        ):
            lines.append(Line(name, *metrics.roc_points(values, labels), color))
        drawn.append(curves("Images: ROC", "false-positive rate", "true-positive rate", lines))
    pixels = PixelScores()
    for of_kind in scored.pixels.values():
        pixels.merge(of_kind)
    roc, pro = pixels.roc_curve(), pixels.pro_curve(2000)
    if roc is not None and pro is not None:
        drawn.append(curves("Pixels: ROC", "false-positive rate", "true-positive rate", [Line("pixels", *roc, BLUE)]))
        line = Line("regions", *pro, ORANGE)
        limit = PRO_LIMIT
        drawn.append(curves("Regions: PRO curve", "false-positive rate", "mean overlap", [line], limit))
    return f'<h2>Curves</h2><div class="charts">{"".join(drawn)}</div>'


def _kinds(report: dict[str, Any]) -> str:
    if not report["kinds"]:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in ("images", "found", *_NAMES.values()))
    rows = []
    for kind, row in report["kinds"].items():
        cells = [
            str(row["images"] - report["normal_images"]),
            _percent(row["tpr"]),
            *(_number(row[key]) for key in _NAMES),
        ]
        rows.append(f"<tr><td>{escape(kind)}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<h2>By kind</h2><div class=scroll><table><tr><th></th>{head}</tr>{''.join(rows)}</table></div>"


def _latency(scored: Scored, detector: Detector) -> str:
    times = np.array([image.ms for image in scored.images])
    cells = "".join(f"<td>{np.percentile(times, p):.1f} ms</td>" for p in (50, 95, 99))
    return (
        "<h2>Time an image</h2><div class=scroll><table><tr><th></th><th>p50</th><th>p95</th><th>p99</th></tr>"
        f"<tr><td>{escape(cpu_name())}, {detector.threads} threads</td>{cells}</tr></table></div>"
        '<p class="note">From file to heat map while this report was made; <code>panda-edge bench</code> measures '
        "a quiet machine.</p>"
    )


def _facts(bundle: Path, dataset: Dataset, detector: Detector) -> str:
    manifest = detector.bundle.manifest
    calibration = manifest.calibration or {}
    rows: Sequence[tuple[str, str]] = (
        ("bundle", f"{bundle.name}, {open_bundle(bundle).total_bytes() / 1e6:.1f} MB"),
        ("made with", manifest.created_with),
        ("data", str(dataset.root)),
        ("method", f"{manifest.method.get('name', '?')} on {manifest.backbone.get('name', '?')}"),
        ("input", f"{manifest.preprocessing.width}×{manifest.preprocessing.height}, {manifest.preprocessing.resize}"),
        ("detection bank", f"{manifest.detection.bank}, {manifest.detection.count} vectors"),
        ("heat map bank", f"{manifest.segmentation.bank}, {manifest.segmentation.count}"),
        ("calibration", f"{calibration.get('images', 0)} normal images {calibration.get('kind', '')}".strip()),
    )
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<h2>Bundle</h2><div class=scroll><table>{cells}</table></div>"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.3g} %"
