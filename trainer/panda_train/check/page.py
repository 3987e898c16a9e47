"""The page of a check: findings with their pictures, and a contact sheet. Needs nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from panda_edge.errors import ImageError
from panda_edge.images.reading import open_image
from panda_train.check.report import Report

_SIDE = 160  # pixels of a picture on the page
_SHOWN = 24  # pictures of a finding
_SHEET = 48  # pictures of the contact sheet
_STYLE = """
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:0 1rem 3rem;color:#1a1a1a}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #ccc}
.sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(8rem,1fr));gap:.5rem}
.sheet img{width:100%;display:block}.sheet span{font-size:.75rem;color:#555;overflow-wrap:anywhere}
table{border-collapse:collapse}th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}.note{color:#555}
"""


def page_of(report: Report) -> bytes:
    """The whole page, HTML in UTF-8."""
    title = escape(f"Check of {report.root.name}")
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{count}</td></tr>" for name, count in report.counts.items())
    parts = [f"<table><tr><th>pictures</th><th></th></tr>{rows}</table>"]
    for finding in report.findings:
        note = "" if finding.problem else ' class="note"'
        parts.append(f"<h2{note}>{escape(finding.kind)}</h2><p>{escape(finding.text)}</p>")
        parts.append(_sheet([(path, "") for path in finding.paths[:_SHOWN]], report))
    if not any(finding.problem for finding in report.findings):
        parts.append("<p>No problems were found.</p>")
    if report.least:
        parts.append("<h2>Normal pictures least like the others</h2><p>One of these may have a defect.</p>")
        parts.append(_sheet([(path, f"{score:.3g}") for path, score in report.least], report))
    step = max(1, -(-len(report.normal) // _SHEET))
    parts.append("<h2>Contact sheet of the normal pictures</h2>")
    parts.append(_sheet([(path, "") for path in report.normal[::step]], report))
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>{''.join(parts)}</body></html>\n"
    )
    return page.encode("utf-8", "backslashreplace")


def _sheet(pictures: Sequence[tuple[Path, str]], report: Report) -> str:
    return f'<div class="sheet">{"".join(_picture(path, words, report) for path, words in pictures)}</div>'


def _picture(path: Path, words: str, report: Report) -> str:
    label = escape(f"{path.relative_to(report.root)} {words}".strip())
    try:
        image = open_image(path, lambda size: (_SIDE, _SIDE), white=report.white).image
    except ImageError as error:
        return f"<div><span>{label}: {escape(str(error))}</span></div>"
    image = image.copy()
    image.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<div><img alt="{label}" src="data:image/jpeg;base64,{data}"><span>{label}</span></div>'
