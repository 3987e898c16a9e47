"""Options that arrive in dataclasses, one for each panel of a command's help."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_args, get_type_hints

import typer


def option(default: Any, help: str = "", *names: str, **more: Any) -> Any:
    """A dataclass's field that is an option. default: ... where it must be given. A bool is a flag, without `--no-`.

    The others are as `typer.Option` takes them.
    """
    about = {"option": (names, {"help": help, **more})}
    return dataclasses.field(metadata=about) if default is ... else dataclasses.field(default=default, metadata=about)


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """A command as typer takes it, each option a parameter, of one whose parameters may be dataclasses of options.

    A dataclass's `panel` names the panel of the help where its options stand; the first where it has none.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, tuple[type[Any], list[str]]] = {}
    flat: list[Parameter] = []
    for name, given in signature(command).parameters.items():
        kind = hints[name]
        if not dataclasses.is_dataclass(kind):
            flat.append(given.replace(kind=Parameter.KEYWORD_ONLY, annotation=kind))
            continue
        options = _options(kind)  # type: ignore[arg-type]
        groups[name] = kind, [option.name for option in options]  # type: ignore[assignment]
        flat += options

    def call(**given: Any) -> None:
        for name, (kind, options) in groups.items():
            given[name] = kind(**{option: given.pop(option) for option in options})
        command(**given)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__annotations__ = {option.name: option.annotation for option in flat}
    call.__signature__ = Signature(flat)  # type: ignore[attr-defined]
    return call


def _options(kind: type[Any]) -> list[Parameter]:
    """The fields of a dataclass as parameters whose options stand in its panel."""
    hints, found = get_type_hints(kind, include_extras=True), []
    for field in dataclasses.fields(kind):
        annotation = hints[field.name]
        if "option" in field.metadata:
            names, more = field.metadata["option"]
            if annotation is bool:
                names = names or (f"--{field.name.replace('_', '-')}",)
            annotation = Annotated[annotation, typer.Option(*names, **more)]
        get_args(annotation)[1].rich_help_panel = getattr(kind, "panel", None)
        default = Parameter.empty if field.default is dataclasses.MISSING else field.default
        found.append(Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation))
    return found
