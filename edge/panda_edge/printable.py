"""What may be printed: names, which may hold what a terminal obeys, and numbers with the digits that they have."""

from __future__ import annotations

import math
from typing import Any

_DIGITS = 7  # that a float32 has, as all scores are computed in


def printable(text: object) -> str:
    """Text on one line, each character that cannot be seen written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def rounded(value: Any) -> Any:
    """A number, or what JSON can hold of numbers, with seven digits, and at least three decimals: 44.23310089 is
    44.2331, and seconds since 1970 keep their milliseconds. Everything else is as it was."""
    if isinstance(value, float) and value and math.isfinite(value):
        return round(value, max(_DIGITS - 1 - math.floor(math.log10(abs(value))), 3))
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value
