"""Names as they may be printed: a file's name may hold what a terminal obeys, or the end of a line."""

from __future__ import annotations


def printable(text: object) -> str:
    """Text on one line, each character that cannot be seen written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
