"""Why something failed, as a notice says it."""

from __future__ import annotations

from panda_edge.errors import PandaError


def why(error: Exception) -> str:
    """In a few words, on one line."""
    text = " ".join(str(error).split())[:1000]
    if isinstance(error, PandaError):
        return text
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
