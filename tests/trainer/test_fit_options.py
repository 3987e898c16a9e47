"""Options of `fit` that would do nothing are refused in one line, over the whole table of who reads what."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from panda_edge.banks.settings import CHOICES as BANKS
from panda_edge.errors import PandaError
from panda_train.adapt import EMBEDDINGS
from panda_train.commands import app as cli
from panda_train.commands.unread import READ_WITH, refuse_unread
from panda_train.fitting import METHODS

FIT = typer.main.get_command(cli.app).commands["fit"]  # type: ignore[attr-defined]
PARAMETERS = {parameter.name: parameter for parameter in FIT.params}
OPTION = {name: parameter.opts[0] for name, parameter in PARAMETERS.items()}
VALUES: dict[str, tuple[str | None, ...]] = {
    "method": METHODS,
    "bank": (*BANKS, "auto"),
    "distance": ("knn", "centre", "none"),
    "embedding": (None, *EMBEDDINGS),
    "epochs": (None, "3"),
}
"""All values of the options that decide; None: not given."""

CASES = [(name, other, value) for name, needs in READ_WITH.items() for other in needs for value in VALUES[other]]


def check(*arguments: str) -> None:
    """What `fit` does with a command line before any work."""
    with FIT.make_context("panda-train fit", ["data", "--out", "x.panda", *arguments]) as context:
        refuse_unread(context)


def given(name: str) -> list[str]:
    """The option as on a command line; a flag alone, anything else with a value that parses."""
    return [OPTION[name]] if PARAMETERS[name].is_flag else [OPTION[name], "1"]


def chosen(options: dict[str, str | None]) -> list[str]:
    return [word for name, value in options.items() if value is not None for word in (OPTION[name], value)]


def reading(name: str) -> dict[str, str | None]:
    """Values with which an option is read."""
    return {other: values[0] for other, values in READ_WITH[name].items()}


def test_the_table_speaks_of_options_and_values_that_there_are() -> None:
    for name, needs in READ_WITH.items():
        assert name in PARAMETERS
        for other, values in needs.items():
            assert other in PARAMETERS
            assert set(values) < set(VALUES[other]), (name, other)


@pytest.mark.parametrize(("name", "other", "value"), CASES)
def test_an_option_is_refused_exactly_where_nobody_reads_it(name: str, other: str, value: str | None) -> None:
    line = [*given(name), *chosen({**reading(name), other: value})]
    if value in READ_WITH[name][other]:
        check(*line, *(["--ewc", "1"] if (name, value) == ("fisher_file", "panda-msc") else []))
        return
    default = value if value is not None else PARAMETERS[other].default
    with pytest.raises(PandaError) as refused:
        check(*line)
    message = str(refused.value)
    assert message.startswith(f"{OPTION[name]} does nothing with {OPTION[other]} {default}; ")
    wanted = [choice for choice in READ_WITH[name][other] if choice is not None]
    assert all(choice in message for choice in wanted) if wanted else message.endswith("leave one of them out")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bank", BANKS)
def test_defaults_are_never_refused(method: str, bank: str) -> None:
    check("--method", method, "--bank", bank)
    check("--method", method, "--bank", bank, "--seed", "1", "--embedding", "unit")


def test_a_fisher_file_is_refused_where_msc_is_not_pulled() -> None:
    with pytest.raises(PandaError, match="--fisher does nothing with --method panda-msc alone; add --ewc"):
        check("--method", "panda-msc", "--fisher", "diagonal.pt")
    check("--method", "panda-msc", "--fisher", "diagonal.pt", "--ewc", "1000")
    check("--method", "panda-ewc", "--fisher", "diagonal.pt")


def test_the_command_refuses_before_any_work() -> None:
    done = CliRunner().invoke(cli.app, ["fit", "no-such-folder", "--out", "x.panda", "--means", "7"])
    assert isinstance(done.exception, PandaError)
    assert str(done.exception) == (
        "--means does nothing with --bank exact; it is read with --bank kmeans or kmeans-levels"
    )


def test_an_unknown_bank_is_called_unknown() -> None:
    done = CliRunner().invoke(cli.app, ["fit", "data", "--out", "x.panda", "--bank", "flat", "--means", "7"])
    assert str(done.exception).startswith("unknown --bank 'flat'")
