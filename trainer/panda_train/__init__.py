"""The workstation side: adapt features with PANDA, export bundles, evaluate them.

panda_train.fit("parts", "parts.panda")
panda_train.evaluate("parts.panda", "parts")["image_auroc"]
panda_train.choose("parts", ms=30)["command"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panda_train.public import choose, evaluate, fit

__all__ = ["choose", "evaluate", "fit"]


def __getattr__(name: str) -> Any:
    """The functions, imported when one is asked for: torch takes seconds."""
    if name in __all__:
        from panda_train import public

        return getattr(public, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
