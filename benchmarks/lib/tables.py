"""The report's text: Markdown tables of measured rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
_FIGURES = ("image_auroc", "image_auroc_map", "pixel_auroc", "pro")


def banks(rows: Sequence[Row]) -> str:
    """One line a configuration; rows have accuracy and, once timed, speed."""
    header = (
        "bank", "bundle MB", "frame p50 ms", "p95", "least", "search ms", "image AUROC", "by map maximum",
        "pixel AUROC", "PRO", "recall@1", "calibrated on",
    )  # fmt: skip
    lines = []
    for row in rows:
        speed = row.get("speed", {})
        lines.append(
            [
                row["name"],
                number(row["bundle_mb"], 1),
                number(speed.get("p50_ms"), 1),
                number(speed.get("p95_ms"), 1),
                number(speed.get("least_ms"), 1),
                number(speed.get("stages_ms", {}).get("search"), 2),
                *(number(row["accuracy"][figure], 3) for figure in _FIGURES),
                number(row.get("recall_at_1"), 3),
                row.get("calibrated_on") or "–",
            ]
        )
    return table(header, lines)


def by_kind(rows: Sequence[Row]) -> str:
    """Pixel AUROC / image AUROC by the map's maximum, of each kind of defect."""
    kinds = sorted({kind for row in rows for kind in row["accuracy"]["kinds"]})
    lines = []
    for row in rows:
        found = row["accuracy"]["kinds"]
        cells = [
            f"{number(found[k]['pixel_auroc'], 3)} / {number(found[k]['image_auroc_map'], 3)}" if k in found else "–"
            for k in kinds
        ]
        lines.append([row.get("name") or row["title"], *cells])
    return table(("pixel / image AUROC", *kinds), lines)


def anomalib(rows: Sequence[Row]) -> str:
    """anomalib's models and ours, of one run."""
    header = ("", "MB", "frame p50 ms", "p95", "least", "image AUROC", "by map maximum", "pixel AUROC", "PRO")
    lines = [
        [
            row["title"], number(row["mb"], 1), number(row["p50_ms"], 1), number(row["p95_ms"], 1),
            number(row["least_ms"], 1), *(number(row["accuracy"][figure], 3) for figure in _FIGURES),
        ]
        for row in rows
    ]  # fmt: skip
    return table(header, lines)


def processes(rows: Sequence[Row]) -> str:
    """Fresh processes: imports, time to the first heat map, memory."""
    header = ("", "program", "imports s", "first heat map s", "peak MB", "of it own MB")
    lines = [
        [row["title"], program, *(number(found[key], d) for key, d in _PROCESS_COLUMNS)]
        for row in rows
        for program, found in row.get("processes", {}).items()
    ]
    return table(header, lines)


_PROCESS_COLUMNS = (("import_s", 2), ("first_map_s", 2), ("peak_mb", 0), ("own_mb", 0))


def detection(rows: Sequence[Row]) -> str:
    """Nearest of N embeddings: milliseconds, recall, size and build time by way of searching."""
    header = ("N", "search", "ms a query", "recall", "MB", "build s")
    lines = [
        [
            f"{row['count']:,}", name, number(found["ms"], 3), number(found["recall"], 3), number(found["mb"], 1),
            number(found["build_s"], 1),
        ]
        for row in sorted(rows, key=lambda row: row["count"])
        for name, found in row["searches"].items()
    ]  # fmt: skip
    return table(header, lines)


def by_stage(row: Row, what: str) -> str:
    """{what: {stage: ms}} as a table."""
    found = row["stages_ms"]
    stages = list(dict.fromkeys(stage for values in found.values() for stage in values))
    lines = [
        [which, *(number(values.get(stage), 2) for stage in stages), number(sum(values.values()), 1)]
        for which, values in found.items()
    ]
    return table((what, *stages, "all"), lines)


def roofline(stages: Row, speed: Row) -> str:
    """Each stage's floor beside what was measured; the share is of the median."""
    header = (
        "stage",
        "GFLOP",
        "MB",
        "ms by operations",
        "ms by bytes",
        "floor ms",
        "measured p50 ms",
        "floor / measured",
    )
    lines = []
    for stage, floor in stages.items():
        measured = speed["stages_ms"].get(stage)
        share = f"{100 * floor['floor_ms'] / measured:.0f} %" if measured else "–"
        numbers = (number(floor[key], digits) for key, digits in _ROOFLINE_COLUMNS)
        lines.append([stage, *numbers, number(measured, 2), share])
    return table(header, lines)


_ROOFLINE_COLUMNS = (("gflop", 3), ("mb", 1), ("compute_ms", 2), ("memory_ms", 2), ("floor_ms", 2))


def readme(rows: Sequence[tuple[Row, Row]], install: Row, peers_install: Row) -> str:
    """README's table. rows: of each configuration its bank row and its `panda-edge bench` row."""
    columns = [bank["name"] for bank, _ in rows]
    lines = [
        ["frames a second", *(f"**{number(d['bench']['fps'], 1)}**" for _, d in rows)],
        ["the same, pipelined", *(number(d["bench"].get("fps_pipelined"), 1) for _, d in rows)],
        [
            "latency p50 / p95, ms",
            *(
                f"{number(d['bench']['latency_ms']['p50'], 1)} / {number(d['bench']['latency_ms']['p95'], 1)}"
                for _, d in rows
            ),
        ],
        ["of it search, ms", *(number(d["bench"]["stages_ms"]["search"], 1) for _, d in rows)],
        ["pixel AUROC", *(number(b["accuracy"]["pixel_auroc"], 3) for b, _ in rows)],
        ["PRO", *(number(b["accuracy"]["pro"], 3) for b, _ in rows)],
        ["image AUROC, by score", *(number(b["accuracy"]["image_auroc"], 3) for b, _ in rows)],
        ["image AUROC, by map maximum", *(number(b["accuracy"]["image_auroc_map"], 3) for b, _ in rows)],
        ["bundle, MB", *(number(b["bundle_mb"], 0) for b, _ in rows)],
        ["peak memory, MB", *(number(d["bench"]["rss_mb"], 0) for _, d in rows)],
        ["of it not mapped files, MB", *(number(d["bench"]["own_mb"], 0) for _, d in rows)],
        ["cold start to first map, ms", *(number(d["cold_start_ms"], 0) for _, d in rows)],
    ]
    text = table(("", *columns), lines) + "\n\n"
    if install:
        text += f"Base install: {number(install['mb'], 0)} MB in {install['packages']} packages"
        if peers_install:
            text += f" (anomalib with OpenVINO: {number(peers_install['mb'], 0)} MB in {peers_install['packages']})"
        text += ".\n\n"
    return text


def between(page: str, begin: str, end: str, text: str) -> str:
    """The page with `text` between its two marks, which it must have, in place of what was there."""
    before, rest = page.split(begin, 1)
    return f"{before}{begin}\n{text}{end}{rest.split(end, 1)[1]}"


def readme_search(search: Row, graph: Row) -> str:
    """README's comparison of the search alone with faiss's and hnswlib's; '' where it was not measured."""
    if not search:
        return ""
    text = (
        f"The search alone, at equal answers: faiss's brute force takes {search['ratio']:.0f} times as long "
        f"({number(search['faiss_ms']['p50'], 0)} ms, ours {number(search['ours_ms']['p50'], 1)})"
    )
    if graph:
        text += f"; hnswlib {graph['ratio']:.0f} times, for a recall of {graph['recall']:.2f}"
    return text + ".\n\n"


def number(value: float | None, digits: int) -> str:
    """A figure with so many digits, – where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are right-aligned."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *lines))
