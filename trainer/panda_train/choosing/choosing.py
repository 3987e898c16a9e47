"""`panda-train choose`: from normal pictures to the bank, the resolution and the score rule that find most in time."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from panda_edge import __version__
from panda_edge.builder.copies import without_copies
from panda_edge.errors import PandaError
from panda_edge.printable import printable
from panda_export.graph import ExportableBackbone
from panda_train import backbones
from panda_train.choosing.candidates import Look, candidates, looks, looks_also
from panda_train.choosing.device_speed import slowness
from panda_train.choosing.halving import RUNGS, Halving, Row
from panda_train.choosing.options import ChooseOptions, check_enough
from panda_train.choosing.pictures import judged
from panda_train.choosing.state import State
from panda_train.choosing.trial import OpenLook
from panda_train.data.folders import open_dataset
from panda_train.data.headers import headers_of
from panda_train.data.held_out import split_normal

_INT8_FROM, _INT8_TO = 0.5, 1.7  # shares of the budget that the float32 model takes, between which int8 is tried


def choose(data: Path, options: ChooseOptions) -> list[Row]:
    """All candidates, the chosen one first. Only normal pictures are read.

    Raises DataError where there are too few normal pictures, copies left out, PandaError where no candidate is within
    the budgets.
    """
    given = open_dataset(data, options.normal).train
    distinct = without_copies(given, white=headers_of(given).white)
    normal = distinct.paths
    if distinct.said:
        print(distinct.said, file=sys.stderr)
    check_enough(data, len(normal))
    kept, held_out = split_normal(normal, seed=options.seed)
    white = headers_of(normal).white
    pictures = judged(held_out, options.smallest_defect, RUNGS[-1].painted, options.seed, options.largest_defect, white)
    backbone = backbones.load_any(options.backbone, options.weights)
    networks: dict[str | None, ExportableBackbone] = {None: backbone}
    networks.update((name, backbones.load_any(name)) for name in options.also)
    state = State(options.state, _settings(normal, options))
    with ExitStack() as stack:
        opened: dict[Look, OpenLook] = {}

        def open_look(look: Look) -> OpenLook:
            if look not in opened:
                opened[look] = stack.enter_context(OpenLook(look, networks[look.backbone], kept, options.seed))
            return opened[look]

        def bare(look: Look) -> float:
            return open_look(look).model_ms

        slower = 1.0
        if options.device_speed is not None:
            slower = slowness(options.device_speed, backbone.name, bare)
            print(f"the device takes {slower:.2f} times as long as this machine", file=sys.stderr)
        wanted = [*looks(options.smallest_defect, pictures.size), *looks_also(options.also, pictures.size)]
        tried = _within(wanted, lambda look: bare(look) * slower, options.ms)
        halving = Halving(open_look, pictures, options.ms, slower, options.fpr, state)
        return halving.run(candidates(tried, options.bank_mb))


def _within(of: Sequence[Look], model_ms: Callable[[Look], float], ms: float) -> list[Look]:
    """The looks whose bare model leaves time for a search, in int8, too, where float32 takes most of it."""
    found: list[Look] = []
    for look in of:
        try:
            share = model_ms(look) / ms
        except PandaError as error:  # a transformer takes multiples of its patches
            print(f"{look.name} is left out: {printable(str(error))}", file=sys.stderr)
            continue
        if share < 1:
            found.append(look)
        if _INT8_FROM < share < _INT8_TO:
            found.append(replace(look, name=f"{look.name} int8", precision="int8", usual=False))
        if share >= _INT8_TO:
            print(f"{look.name} is left out: the model alone takes {share * ms:.0f} ms a picture", file=sys.stderr)
    return found or list(of[:1])


def _settings(normal: Sequence[Path], options: ChooseOptions) -> dict[str, object]:
    """All that verdicts depend on."""
    digest = hashlib.sha256()
    for path in normal:
        digest.update(f"{path.name} {os.path.getsize(path)}\n".encode())
    plain = {key: value if value is None else str(value) for key, value in asdict(options).items() if key != "state"}
    return {"version": __version__, "pictures": digest.hexdigest(), **plain}
