"""What both programs, `panda-edge` and `panda-train`, are made of: `--version`, `-h`, flags, an example a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from panda_edge import __version__

_COMPLETION = "Completion of commands and options in your shell: --install-completion, once."


class Command(TyperCommand):
    """A command that knows its program's `--version`, and whose help shows a flag without a type."""

    def get_params(self, ctx: Any) -> list[Any]:
        params = list(super().get_params(ctx))
        own = {param.name for param in params}
        if ctx.parent is not None and "version" not in own:
            params += [param for param in ctx.parent.command.params if param.name == "version"]
        return _flags_without_type(params)


class Commands(TyperGroup):
    """The program itself, with its flags shown alike."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _flags_without_type(list(super().get_params(ctx)))


def program(help: str, commands: Mapping[Callable[..., Any], str]) -> typer.Typer:
    """help: what the program is for. commands: each with the example that its help ends with."""
    app = typer.Typer(
        help=help,
        cls=Commands,
        epilog=_COMPLETION,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_program)
    for command, example in commands.items():
        app.command(epilog=f"Example: {example}", cls=Command)(command)
    return app


def _flags_without_type(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


def _say_version(asked: bool) -> None:
    if asked:
        print(f"panda-edge {__version__}")
        raise typer.Exit


def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, expose_value=False, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass
