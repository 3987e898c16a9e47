"""Charts of the report as inline SVG: no scripts, no fonts, no files beside the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

# Okabe and Ito's colours, which colour-blind people tell apart; the page sets them for light and dark. Line patterns
# tell them apart without colour.
BLUE, ORANGE, GREY = "var(--blue)", "var(--orange)", "var(--soft)"

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 14, 44
_BINS = 40


class Line(NamedTuple):
    """x and y: float (N,), each 0 … 1."""

    name: str
    x: np.ndarray
    y: np.ndarray
    color: str


def curves(title: str, x_label: str, y_label: str, lines: Sequence[Line], x_most: float = 1.0) -> str:
    """Rising curves in the unit square, or in its left part up to `x_most`."""
    parts = [_axes(title, x_label, y_label, [(x_most * t, f"{x_most * t:.2g}") for t in (0, 0.5, 1)], x_most)]
    for i, line in enumerate(lines):
        points = " ".join(
            f"{_x(x / x_most):.1f},{_y(y):.1f}" for x, y in zip(line.x, line.y, strict=True) if x <= x_most
        )
        dash = ' stroke-dasharray="6 3"' if i % 2 else ""
        parts.append(f'<polyline points="{points}" style="fill:none;stroke:{line.color}" stroke-width="2"{dash}/>')
        parts.append(_legend(line.name, line.color, i, bottom=True))
    return _svg(title, parts)


def histogram(title: str, good: np.ndarray, bad: np.ndarray, threshold: float | None) -> str:
    """Two overlaid histograms of scores, each as shares of its own images, with the threshold."""
    everything = np.concatenate([good, bad])
    everything = everything[np.isfinite(everything)]
    if not len(everything):
        return ""
    low, high = float(everything.min()), float(everything.max())
    if threshold is not None:
        low, high = min(low, threshold), max(high, threshold)
    edges = np.linspace(low, max(high, low + 1e-9), _BINS + 1)
    shares = [np.histogram(values, edges)[0] / max(len(values), 1) for values in (good, bad)]
    top = max(max(share.max() for share in shares), 1e-9)
    ticks = [(edge, f"{edge:.3g}") for edge in (edges[0], edges[_BINS // 2], edges[-1])]
    parts = [_axes(title, "image score", "share of images", ticks, edges[-1] - edges[0], edges[0], top)]
    names = ((f"normal ({len(good)})", BLUE), (f"anomalous ({len(bad)})", ORANGE))
    step = (_WIDTH - _LEFT - _RIGHT) / _BINS
    for i, (share, (name, color)) in enumerate(zip(shares, names, strict=True)):
        for bin_number, value in enumerate(share):
            if value:
                y = _y(value / top)
                parts.append(
                    f'<rect x="{_LEFT + bin_number * step:.1f}" y="{y:.1f}" width="{step:.1f}" '
                    f'height="{_y(0) - y:.1f}" style="fill:{color}" fill-opacity="0.55"/>'
                )
        parts.append(_legend(name, color, i))
    if threshold is not None:
        x = _x((threshold - edges[0]) / (edges[-1] - edges[0]))
        ends = f'x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_y(0)}"'
        parts.append(f'<line {ends} style="stroke:var(--ink)" stroke-dasharray="4 3"/>')
        anchor = "end" if x > _WIDTH / 2 else "start"
        nudge = -4 if anchor == "end" else 4
        parts.append(
            f'<text x="{x + nudge:.1f}" y="{_TOP + 58}" text-anchor="{anchor}">threshold {threshold:.3g}</text>'
        )
    return _svg(title, parts)


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _axes(
    title: str,
    x_label: str,
    y_label: str,
    x_ticks: Sequence[tuple[float, str]],
    span: float,
    start: float = 0.0,
    top: float = 1.0,
) -> str:
    parts = [
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_HEIGHT - _TOP - _BOTTOM}" '
        f'style="fill:none;stroke:{GREY}"/>'
    ]
    for value, label in x_ticks:
        x = _x((value - start) / span)
        anchor = "end" if x > _WIDTH - _RIGHT - 5 else "middle"
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 26}" text-anchor="{anchor}">{escape(label)}</text>')
    for share in (0, 0.5, 1):
        parts.append(f'<text x="{_LEFT - 6}" y="{_y(share) + 4:.1f}" text-anchor="end">{share * top:.2g}</text>')
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(f'<text x="{_x(0.5):.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(
        f'<text x="13" y="{middle}" text-anchor="middle" transform="rotate(-90 13 {middle})">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _legend(name: str, color: str, row: int, bottom: bool = False) -> str:
    y = _y(0) - 28 + 18 * row if bottom else _TOP + 18 + 18 * row
    x = _WIDTH - _RIGHT - 10
    return f'<text x="{x}" y="{y}" text-anchor="end" style="fill:{color}" font-weight="bold">{escape(name)}</text>'


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )
