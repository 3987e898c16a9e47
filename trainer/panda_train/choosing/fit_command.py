"""A chosen candidate in the words of `panda-train fit`."""

from __future__ import annotations

import shlex
from pathlib import Path

from panda_edge.banks.settings import BankSettings, own_options
from panda_train.choosing.candidates import Candidate, with_vectors
from panda_train.choosing.judge import Verdict


def bank_of(candidate: Candidate, verdict: Verdict) -> BankSettings:
    """The options of its bank, with as many descriptors of a coreset as were tried."""
    return candidate.bank if candidate.share is None else with_vectors(candidate.bank, verdict.vectors)


def arguments(candidate: Candidate, verdict: Verdict) -> list[str]:
    """The options of `fit` that make the candidate's bundle; those that hold their defaults are left out."""
    bank, resolution = bank_of(candidate, verdict), candidate.look.resolution
    usual = type(bank.kind)()
    own = ((name, getattr(bank.kind, name), getattr(usual, name)) for name in own_options(bank.title))
    pairs: list[tuple[str, object, object]] = [
        ("--bank", bank.title, None),
        *((f"--{name}", value, left_out) for name, value, left_out in own),
        ("--neighbors", bank.neighbors, None),
        ("--average", bank.average, None),
        ("--level-weights", bank.level_weights and ",".join(f"{weight:g}" for weight in bank.level_weights), None),
        ("--max-bank-mb", None if bank.max_bank_mb is None else f"{bank.max_bank_mb:g}", None),
        ("--input-size", resolution.input_size, None),
        ("--tiles", resolution.tiles, None),
        ("--smallest-defect", resolution.smallest_defect and f"{resolution.smallest_defect:g}", None),
        ("--score", verdict.rule if verdict.lost else None, None),
        # By embeddings alone rooted ones find more, or as much: `benchmarks/studies/{unadapted_rules,cifar10}`.
        ("--embedding", "rooted" if verdict.lost else None, None),
        ("--precision", candidate.look.precision, "float32"),
    ]
    return [str(part) for name, value, left_out in pairs if value not in (None, left_out) for part in (name, value)]


def command(data: Path, given: list[str], chosen: list[str]) -> str:
    """The whole line. given: options of `choose` that `fit` has, too."""
    return shlex.join(["panda-train", "fit", str(data), "--out", f"{data.resolve().name}.panda", *given, *chosen])
