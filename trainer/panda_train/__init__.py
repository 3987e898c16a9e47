"""The workstation side: adapt features with PANDA, export bundles, evaluate them.

import panda_train
panda_train.fit("parts", "parts.panda")
panda_train.evaluate("parts.panda", "parts")["image_auroc"]
panda_train.choose("parts", ms=30)["command"]
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panda_train.public import choose, evaluate, fit

__all__ = ["choose", "evaluate", "fit"]


class _Package(ModuleType):
    """`panda_train.fit` is the function, though a module has that name, too; so are `evaluate` and `choose`.

    torch is only imported by the first who asks for one.
    """


def _function(name: str) -> property:
    def get(package: ModuleType) -> Any:
        return getattr(import_module("panda_train.public"), name)

    def ignore(package: ModuleType, module: ModuleType) -> None:
        """The import system hands in the module of that name, which `import_module` finds without."""

    return property(get, ignore)


for _name in __all__:
    setattr(_Package, _name, _function(_name))
sys.modules[__name__].__class__ = _Package
