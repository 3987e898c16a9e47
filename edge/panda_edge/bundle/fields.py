"""Readers of parsed JSON: each takes a value and where it stands, and gives it back checked, or raises BundleError.

A format is written down as one expression of them; see `manifest.py`. Unknown fields are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from panda_edge.errors import BundleError

T = TypeVar("T")
Reader = Callable[[Any, str], T]

_MAX_COUNT = 1_000_000_000


def whole(low: int = 1, high: int = _MAX_COUNT) -> Reader[int]:
    """An integer within [low, high]."""
    return _value(f"a whole number from {low} to {high}", lambda value: type(value) is int and low <= value <= high)


def number(low: float, high: float) -> Reader[float]:
    """A float or an integer within [low, high], as a float. NaN is within nothing."""
    real = _value(
        f"a number from {low:g} to {high:g}", lambda value: type(value) in (int, float) and low <= value <= high
    )
    return lambda value, where: float(real(value, where))


def choice(*names: str) -> Reader[str]:
    return _value(" or ".join(names), lambda value: isinstance(value, str) and value in names)


def flag() -> Reader[bool]:
    return _value("true or false", lambda value: isinstance(value, bool))


def text(pattern: str = ".*", expected: str = "a string") -> Reader[str]:
    """A string that matches the whole pattern; expected: what an error calls it."""
    return _value(expected, lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.S) is not None)


def any_table() -> Reader[dict[str, Any]]:
    """A JSON object of any fields."""
    return _value("an object", lambda value: isinstance(value, dict))


def optional(reader: Reader[T], default: Any = None) -> Reader[Any]:
    """The default where the field is absent or null."""
    return lambda value, where: default if value is None else reader(value, where)


def table(make: Callable[..., T], **fields: Reader[Any]) -> Reader[T]:
    """A JSON object whose fields are read one by one and given to `make` by name."""

    def read(value: Any, where: str) -> T:
        plain = any_table()(value, where)
        return make(**{name: reader(plain.get(name), f"{where}: {name}") for name, reader in fields.items()})

    return read


def rows(reader: Reader[T]) -> Reader[tuple[T, ...]]:
    """A JSON list of like items."""
    items = _value("a list", lambda value: isinstance(value, list))
    return lambda value, where: tuple(reader(item, f"{where}[{i}]") for i, item in enumerate(items(value, where)))


def by_name(names: str, expected: str, reader: Reader[T]) -> Reader[dict[str, T]]:
    """A JSON object of like items under names that all match the whole pattern; expected: what a name is."""

    def read(value: Any, where: str) -> dict[str, T]:
        plain = any_table()(value, where)
        for name in plain:
            if not re.fullmatch(names, name):
                raise BundleError(f"{where}: {short(name)} is not {expected}")
        return {name: reader(item, f"{where}: {name}") for name, item in plain.items()}

    return read


def short(value: Any) -> str:
    """A value as an error shows it: one line of at most 60 characters."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "…"


def _value(expected: str, right: Callable[[Any], bool]) -> Reader[Any]:
    def read(value: Any, where: str) -> Any:
        if not right(value):
            raise BundleError(f"{where} is {short(value)}, expected {expected}")
        return value

    return read
