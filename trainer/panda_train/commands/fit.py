"""The command `panda-train fit`."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from panda_edge.commands.console import print_json, print_line, print_remark
from panda_edge.commands.grouped import grouped
from panda_edge.errors import PandaError
from panda_train.commands.adaptation_options import AdaptationOptions
from panda_train.commands.fit_options import (
    BankOptions,
    DecisionOptions,
    MachineOptions,
    MainOptions,
    PictureOptions,
)
from panda_train.commands.options import Data, listed

if TYPE_CHECKING:
    from panda_edge.banks.settings import BankSettings
    from panda_train.adapt import AdaptOptions
    from panda_train.resolution import Resolution


@grouped
def fit(
    context: typer.Context,
    data: Data,
    main: MainOptions,
    pictures: PictureOptions,
    bank: BankOptions,
    decision: DecisionOptions,
    adaptation: AdaptationOptions,
    machine: MachineOptions,
) -> None:
    """Turn a folder of normal images into a bundle."""
    started = time.perf_counter()
    from panda_edge.banks.embeddings import EMBEDDING_KINDS
    from panda_edge.bundle.signature import SIGNATURE_NAME
    from panda_train.commands.fit_summary import in_words, summary
    from panda_train.commands.unread import refuse_unread
    from panda_train.data.folders import open_dataset
    from panda_train.fitting import FitOptions, unless_replaced
    from panda_train.fitting import fit as fit_bundle
    from panda_train.resolution import Resolution

    settings = _settings(main, bank, decision)
    refuse_unread(context)
    resolution = Resolution(
        main.input_size, main.resize, pictures.tiles, pictures.overlap, pictures.scale, main.smallest_defect
    )
    score, precision, embedding = main.score, machine.precision, decision.embedding
    if main.bank == "auto":
        settings, resolution, score, precision, rooted = _chosen(data, main, pictures, bank, machine)
        settings = replace(settings, knn=decision.knn, embeddings=bank.embeddings)
        embedding = embedding or ("rooted" if rooted and main.method == "dn2" else None)
    chosen = FitOptions(
        method=main.method,
        backbone=main.backbone,
        weights=machine.weights,
        outputs=listed("--outputs", machine.outputs, "4,8,16"),
        adapt_from=adaptation.adapt_from,
        resolution=resolution,
        normal=main.normal,
        seed=pictures.seed,
        device=machine.device,
        precision=precision,
        bank=settings,
        steps=() if bank.plain else None,
        held_out=pictures.hold_out,
        rule=score,
        roi=pictures.roi,
        extendable=bank.extendable,
        augment=bank.augment,
        adapt=_adapt_options(main.method, embedding, decision.distance, adaptation, pictures.seed),
    )
    signed = os.path.lexists(main.out / SIGNATURE_NAME)
    manifest = fit_bundle(data, main.out, chosen)
    if manifest is None:  # under torchrun, the first process speaks
        return
    if signed:
        print_remark(
            f"{main.out}: the bundle that it replaces was signed, this one is not; sign it with `panda-train sign`"
        )
    if manifest.recipe.shrunk_to:
        print(f"--max-bank-mb {settings.max_bank_mb:g} keeps {manifest.recipe.shrunk_to}", file=sys.stderr)
    if settings.embeddings == "auto" and EMBEDDING_KINDS[manifest.detection.bank].approximate:
        print(f"{manifest.detection.count} embeddings get hnswlib's graph; --embeddings exact if not", file=sys.stderr)
    with unless_replaced(main.out, manifest):
        facts = summary(main.out, manifest, open_dataset(data, main.normal).train, time.perf_counter() - started)
    if facts["augment"] != "none":
        print_remark(
            f"--augment {facts['augment']}: {manifest.detection.count} frames of {facts['train_images']} pictures; "
            "--bank coreset keeps bank and search small"
        )
    if machine.json:
        print_json(facts)
    else:
        for line in in_words(facts, data):
            print_line(line)


def _settings(main: MainOptions, bank: BankOptions, decision: DecisionOptions) -> BankSettings:
    """What the bank is to be; with --bank auto only to be checked."""
    from panda_edge.banks.settings import bank_settings, own_options

    named = "exact" if main.bank == "auto" else main.bank
    return bank_settings(
        named,
        neighbors=_neighbors(bank.neighbors),
        knn=decision.knn,
        dtype=bank.dtype,
        max_bank_mb=main.max_bank_mb,
        average=bank.average,
        standardise=bank.standardise,
        level_weights=_weights(bank.level_weights),
        embeddings=bank.embeddings,
        **{name: getattr(bank, name) for name in own_options(named) if hasattr(bank, name)},
    )


def _adapt_options(
    method: str, embedding: str | None, distance: str, given: AdaptationOptions, seed: int
) -> AdaptOptions:
    from panda_train.adapt import AdaptOptions, config_of

    config = config_of(
        method, epochs=given.epochs, batch=given.batch, embedding=embedding, seed=seed, **given.settings()
    )
    return AdaptOptions(
        config, given.exposure, given.outliers, given.fisher_file, distance, given.pyramid, given.resume, given.curves
    )


def _chosen(
    data: Path, main: MainOptions, pictures: PictureOptions, bank: BankOptions, machine: MachineOptions
) -> tuple[BankSettings, Resolution, str, str, bool]:
    """Bank, resolution, score rule, precision and whether embeddings are rooted of `--bank auto`; says on stderr what
    was chosen."""
    from panda_edge.builder.bundle_writer import check_target
    from panda_train.choosing.options import ChooseOptions, check
    from panda_train.progress import waiting

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise PandaError("--bank auto times banks on one machine; run `panda-train choose` without torchrun first")
    asked = ChooseOptions(
        bank.ms,
        main.max_bank_mb,
        smallest_defect=main.smallest_defect,
        normal=main.normal,
        backbone=main.backbone,
        weights=machine.weights,
        seed=pictures.seed,
    )
    check_target(main.out)  # before minutes of work
    check(data, asked)
    with waiting("loading torch"):
        from panda_train.choosing.choosing import choose
        from panda_train.choosing.fit_command import arguments, bank_of
    best = choose(data, asked)[0]
    print(f"--bank auto: {' '.join(arguments(best.candidate, best.verdict))}", file=sys.stderr)
    look = best.candidate.look
    verdict = best.verdict
    return bank_of(best.candidate, verdict), look.resolution, verdict.rule, look.precision, verdict.lost


def _weights(given: str | None) -> tuple[float, ...] | None:
    if given is None:
        return None
    try:
        return tuple(float(weight) for weight in given.split(","))
    except ValueError:
        raise PandaError(f"--level-weights {given!r}: expected numbers with commas between, such as 1,1,0.5") from None


def _neighbors(given: str | None) -> int | None:
    if given is None:
        return None
    if given == "all":
        return 0
    if not given.isdecimal() or int(given) < 1:
        raise PandaError(f"--neighbors {given!r}: expected a whole number from 1, or all")
    return int(given)
