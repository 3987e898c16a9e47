"""The command `panda-train choose`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panda_edge.commands.console import print_json
from panda_edge.commands.grouped import grouped, option
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_train.commands.options import Data, Json, NetworkOptions, Normal, Seed, SmallestDefect, listed

if TYPE_CHECKING:
    from panda_train.choosing.halving import Row


@dataclass(frozen=True)
class DeviceOptions:
    """What the device can bear."""

    ms: float = option(30.0, "Most milliseconds a picture may take on the device.")
    bank_mb: float | None = option(
        None, "Most megabytes the bank may take. If not given: as many as it needs.", metavar="MB"
    )
    device_speed: Path | None = option(
        None,
        "What `panda-edge bench --json` printed on the device. If not given: this machine's speed.",
        metavar="FILE",
    )


@dataclass(frozen=True)
class DefectOptions:
    """What is to be found."""

    smallest_defect: SmallestDefect = None
    largest_defect: float | None = option(
        None,
        "Size of the largest defect, in pixels of your own pictures. If not given: 4 times the smallest, or a "
        "quarter of the picture.",
        metavar="PIXELS",
    )
    fpr: float = option(DEFAULT_FPR, "False-alarm rate at which found defects are counted.")


@dataclass(frozen=True)
class TriedNetworkOptions(NetworkOptions):
    """Which networks."""

    also: str | None = option(
        None,
        "Other networks to try as well, on whole pictures, with commas between: efficientnet-lite1,resnet18.",
        metavar="NAMES",
    )


@dataclass(frozen=True)
class RunOptions:
    """How the search runs."""

    seed: Seed = 0
    state: Path | None = option(
        None, "Keep what is done in this file. The same command goes on from it.", metavar="FILE"
    )


@grouped
def choose(
    data: Data,
    device: DeviceOptions,
    defects: DefectOptions,
    network: TriedNetworkOptions,
    run: RunOptions,
    normal: Normal = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw accuracy against milliseconds, as PNG or SVG.")
    ] = None,
    json: Json = False,
) -> None:
    """Choose a bank, a resolution and a score by what they find of defects painted into normal pictures.

    Ctrl-C ends it with the best so far.
    """
    from panda_train.choosing.options import ChooseOptions, check, check_chart
    from panda_train.progress import waiting

    named = {**vars(network), "also": listed("--also", network.also, "efficientnet-lite1,resnet18")}
    asked = ChooseOptions(normal=normal, **vars(device), **vars(defects), **named, **vars(run))
    if plot is not None:
        check_chart(plot)
    check(data, asked)
    with waiting("loading torch"):
        from panda_train.choosing.chart import draw
        from panda_train.choosing.choosing import choose
        from panda_train.choosing.plain import fit_command, in_numbers
    rows = choose(data, asked)
    if rows[0].verdict.lost:
        print("painted defects are lost in these pictures: whole ones are compared, by embeddings", file=sys.stderr)
    if plot is not None:
        draw(rows, asked.ms, plot)
    if json:
        print_json(in_numbers(data, asked, rows))
    else:
        print("\n".join([*_table(rows), "", fit_command(data, asked, rows[0])]))


def _table(rows: Sequence[Row]) -> list[str]:
    """Lines for a terminal, the chosen one first."""
    width = max(len(row.candidate.name) for row in rows)
    lines = [f"{'':{width}}  rung  score  image  found  pixel    PRO      ms     MB  by"]
    for row in rows:
        found = row.verdict
        lines.append(
            f"{row.candidate.name:{width}}  {row.rung:4}  {found.score:.3f}  {found.image:.3f}  {found.found:.3f}  "
            f"{found.pixel:.3f}  {found.pro:.3f}  {found.ms:6.1f} {found.megabytes:6.1f}  "
            f"{found.rule:9} {row.left_out or 'chosen'}"
        )
    return lines
