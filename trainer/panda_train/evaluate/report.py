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
from panda_edge.visualise.files import write_whole
from panda_train.data.folders import Dataset
from panda_train.evaluate import metrics
from panda_train.evaluate.charts import BLUE, ORANGE, Line, curves, histogram
from panda_train.evaluate.evaluation import figures
from panda_train.evaluate.examples import examples
from panda_train.evaluate.pixel_scores import PRO_LIMIT, PixelScores
from panda_train.evaluate.scored import Scored, score_images

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

_STYLE = """
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:0 1rem 3rem;color:#1a1a1a}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #ccc}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.6rem}
.card{border:1px solid #ccc;border-radius:.5rem;padding:.6rem}.card b{display:block;font-size:1.6rem}
.card small,.note{color:#555}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:1rem}
figure{margin:0}figcaption{font-weight:600}svg{width:100%;height:auto}svg text{font:13px system-ui,sans-serif}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th{white-space:normal}th:first-child,td:first-child{text-align:left}
.strip{display:grid;grid-template-columns:repeat(4,1fr);gap:.25rem;margin:.25rem 0 .9rem}
.strip img{width:100%;display:block}.strip span,.name{font-size:.8rem;color:#555;overflow-wrap:anywhere}
"""


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
        _latency(scored, detector),
        _facts(bundle, dataset, detector),
    ]
    title = escape(f"{bundle.name} on {dataset.root.name}")
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>{''.join(parts)}</body></html>\n"
    )
    write_whole(out / FIGURES, (json.dumps(report, indent=1) + "\n").encode())
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
    return f'<p>{report["images"]} test images.</p><div class="cards">{"".join(cards)}</div>{left_out}'


def _decision(report: dict[str, Any]) -> str:
    decided = report["at_threshold"]
    if decided is None:
        return '<h2>Decision</h2><p class="note">The bundle is not calibrated: it gives raw scores only.</p>'
    rows = []
    for name, key in (("false alarms among normal images", "fpr"), ("anomalous images found", "tpr")):
        span = decided[f"{key}_interval"]
        between = f"{_percent(span[0])} to {_percent(span[1])}" if span else "-"
        rows.append(f"<tr><td>{name}</td><td>{_percent(decided[key])}</td><td>{between}</td></tr>")
    rows.append(f"<tr><td>alarms that are right</td><td>{_percent(decided['precision'])}</td><td></td></tr>")
    warning = f'<p class="note">{escape(decided["warning"])}</p>' if decided["warning"] else ""
    return (
        f"<h2>Decision</h2><p>At a promised false-alarm rate of {_percent(decided['promised'])}, by the score "
        f"“{escape(decided['rule'])}”, with a threshold from normal images alone:</p><div class=scroll><table>"
        f"<tr><th></th><th>here</th><th>95 % interval</th></tr>{''.join(rows)}</table></div>{warning}"
    )


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
