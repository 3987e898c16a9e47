"""What `detect` and `segment` do alike: a line of result for each image."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from panda_edge.commands.console import print_error, print_json, print_line, print_remark
from panda_edge.errors import DiskError, PandaError

if TYPE_CHECKING:
    from panda_edge.detector import Detector
    from panda_edge.images.inputs import Input
    from panda_edge.result import Result


def each_image(
    inputs: list[str], score: Callable[[Input], dict[str, Any]], json: bool, csv: Path | None = None
) -> None:
    """One line of result an image. A bad image is reported and the others go on; exit code 2 tells of it at the end.

    csv: a file of the same lines. Raises DiskError, which every other image would meet, too.
    """
    from panda_edge.images.inputs import expand_inputs
    from panda_edge.visualise.csv_lines import COLUMNS, CsvFile, picture_row

    table = None if csv is None else CsvFile(csv, COLUMNS)
    failed = done = 0
    try:
        for item in _reported(expand_inputs(inputs)):
            try:
                if item.error:
                    raise item.error
                result = score(item)
            except DiskError:
                raise
            except PandaError as error:
                failed += 1
                print_error(error)
                line = {"input": str(item.path), "error": str(error)}
                if table is not None:
                    table.add(picture_row(line))
                if json:
                    print_json(line)
                continue
            done += 1
            if table is not None:
                table.add(picture_row({"input": str(item.path), **result}))
            if json:
                print_json({"input": str(item.path), **result})
            else:
                print_line(f"{result['score']:12.4f}  {_in_words(result)}{item.path}")
    finally:
        if table is not None:
            table.close()  # with what was scored, whatever ended it
    if not done and not failed:
        raise PandaError("no input: the list on stdin is empty")
    if failed:
        raise typer.Exit(2)


def warn_of(detector: Detector) -> None:
    """Lines on stderr where the false-alarm rate cannot be promised, or a roi changes what is."""
    for remark in detector.remarks:
        print_remark(f"warning: {remark}")


def decided(result: Result) -> dict[str, Any]:
    """The score and the decision of a result line; of the decision nulls without calibration."""
    return result.to_dict()


def _in_words(result: dict[str, Any]) -> str:
    """The decision, in columns; nothing where there is none."""
    if result["anomalous"] is None:
        return ""
    return f"p {result['p_value']:.4f}  {'anomalous' if result['anomalous'] else 'normal':9}  "


def _reported(items: Iterator[Input]) -> Iterator[Input]:
    """The same items, with a progress line on stderr where that is a terminal and stdout is not."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(list(items), description="images", console=Console(stderr=True))
