"""Options of `fit` that not every method or bank reads: refused where they would do nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import typer

from panda_edge.banks.bank import Bank
from panda_edge.banks.settings import CHOICES, own_options
from panda_edge.errors import PandaError
from panda_train.adapt.config import METHODS
from panda_train.commands.fit_options import BankOptions

_BANKS = tuple(CHOICES)  # all but auto


def _banks(which: Callable[[type[Bank]], bool]) -> tuple[str, ...]:
    return tuple(name for name, (kind, _) in CHOICES.items() if which(kind))


# The options that decide whether others are read, each with the values with which they are; None: not given.
_Needs = dict[str, tuple[str | None, ...]]
_GROUPS: tuple[tuple[_Needs, tuple[str, ...]], ...] = (
    ({"bank": ("auto",)}, ("ms",)),
    ({"bank": _BANKS}, ("score", "outputs", "input_size", "resize", "roi", "tiles", "overlap", "scale")),
    ({"bank": _BANKS}, ("average", "standardise", "level_weights", "precision", "augment")),
    ({"bank": _banks(lambda kind: kind.traits.stores_frames)}, ("neighbors", "plain")),
    ({"bank": _banks(lambda kind: kind.traits.keeps_dtype)}, ("dtype",)),
    ({"bank": _banks(lambda kind: kind.traits.extend_files is not None)}, ("extendable",)),
    ({"distance": ("knn",)}, ("knn",)),
    ({"method": METHODS, "epochs": (None,)}, ("steps",)),
    ({"method": METHODS}, ("pyramid", "adapt_from", "epochs", "batch", "learning_rate", "clip", "mixed_precision")),
    ({"method": METHODS}, ("resume", "curves")),
    ({"method": ("panda-ses",)}, ("every",)),
    ({"method": ("panda-ewc", "panda-msc")}, ("ewc", "fisher_file")),
    ({"method": ("panda-oe",)}, ("exposure", "outliers")),
    ({"method": ("panda-msc",)}, ("views", "temperature", "angular", "whiten_loss")),
    ({"method": ("panda-oe",), "embedding": (None, "unit", "whitened")}, ("prior",)),
)
_OWN: dict[str, _Needs] = {
    field.name: {"bank": banks}
    for field in fields(BankOptions)
    if (banks := tuple(bank for bank in CHOICES if field.name in own_options(bank)))
}
READ_WITH = _OWN | {name: needs for needs, names in _GROUPS for name in names}


def refuse_unread(context: typer.Context) -> None:
    """Raises PandaError for the first option that was given on the command line and would do nothing."""
    for parameter in READ_WITH:
        source = context.get_parameter_source(parameter)
        if source is not None and source.name == "COMMANDLINE":
            _refuse_if_unread(context, parameter, context.params)
    given = context.params
    if given.get("fisher_file") is not None and given["method"] == "panda-msc" and given["ewc"] is None:
        raise PandaError("--fisher does nothing with --method panda-msc alone; add --ewc, the strength of the pull")


def _refuse_if_unread(context: typer.Context, parameter: str, chosen: Mapping[str, Any]) -> None:
    names = {declared.name: declared.opts[0] for declared in context.command.params}
    for other, values in READ_WITH[parameter].items():
        if chosen[other] in values:
            continue
        wanted = [value for value in values if value is not None]
        with_what = f"it is read with {names[other]} {_or(wanted)}" if wanted else "leave one of them out"
        raise PandaError(f"{names[parameter]} does nothing with {names[other]} {chosen[other]}; {with_what}")


def _or(values: list[str]) -> str:
    """a, b or c."""
    return " or ".join([", ".join(values[:-1]), values[-1]] if len(values) > 1 else values)
