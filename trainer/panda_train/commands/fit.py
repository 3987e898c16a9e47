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
from panda_edge.errors import PandaError
from panda_train.commands import fit_options as options
from panda_train.commands.options import Data
from panda_train.commands.unread import refuse_unread

if TYPE_CHECKING:
    from panda_export.options import BankOptions
    from panda_train.choose.options import ChooseOptions
    from panda_train.resolution import Resolution


def fit(
    context: typer.Context,
    data: Data,
    out: options.Out,
    normal: options.Normal = None,
    bank: options.Bank = "exact",
    max_bank_mb: options.MaxBankMb = None,
    score: options.Score = None,
    method: options.Method = "dn2",
    backbone: options.Backbone = "efficientnet-lite0",
    smallest_defect: options.SmallestDefect = None,
    input_size: options.InputSize = None,
    resize: options.Resize = "squash",
    hold_out: options.HoldOut = None,
    seed: options.Seed = 0,
    tiles: options.Tiles = None,
    roi: options.Roi = None,
    overlap: options.Overlap = None,
    scale: options.Scale = None,
    ms: options.Ms = 30.0,
    means: options.Means = 50,
    vectors: options.Vectors = 5000,
    neighbors: options.Neighbors = None,
    embeddings: options.Embeddings = "auto",
    compare: options.Compare = "auto",
    dtype: options.Dtype = "float16",
    window: options.Window = None,
    plain: options.Plain = False,
    average: options.Average = None,
    standardise: options.Standardise = False,
    level_weights: options.LevelWeights = None,
    extendable: options.Extendable = False,
    augment: options.Augment = "none",
    knn: options.Knn = None,
    distance: options.Distance = "knn",
    embedding: options.Embedding = None,
    pyramid: options.Pyramid = "pretrained",
    adapt_from: options.AdaptFrom = None,
    steps: options.Steps = None,
    epochs: options.Epochs = None,
    batch: options.Batch = None,
    learning_rate: options.LearningRate = None,
    clip: options.Clip = None,
    every: options.Every = 5.0,
    ewc: options.Ewc = None,
    fisher_file: options.FisherFile = None,
    exposure: options.Exposure = None,
    prior: options.Prior = 40.0,
    outliers: options.Outliers = None,
    views: options.Views = 8,
    temperature: options.Temperature = 0.25,
    angular: options.Angular = 1.0,
    whiten_loss: options.WhitenLoss = False,
    mixed_precision: options.MixedPrecision = False,
    resume: options.Resume = False,
    curves: options.Curves = None,
    weights: options.Weights = None,
    precision: options.Precision = "float32",
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Turn a folder of normal images into a bundle."""
    started = time.perf_counter()
    from panda_edge.bundle.signature import SIGNATURE_NAME
    from panda_export.options import BankOptions
    from panda_train.adapt import METHODS, AdaptOptions, config_of
    from panda_train.choose.options import ChooseOptions
    from panda_train.commands.fit_summary import in_words, summary
    from panda_train.data.folders import open_dataset
    from panda_train.fit import FitOptions
    from panda_train.fit import fit as fit_bundle
    from panda_train.resolution import Resolution

    bank_options = BankOptions(
        "exact" if bank == "auto" else bank,
        means,
        vectors,
        _neighbors(neighbors),
        knn,
        dtype=dtype,
        max_bank_mb=max_bank_mb,
        average=average,
        standardise=standardise,
        level_weights=_weights(level_weights),
        embeddings=embeddings,
        compare=compare,
        window=window,
        steps=() if plain else None,
    )
    refuse_unread(context)
    resolution = Resolution(input_size, resize, tiles, overlap, scale, smallest_defect)
    if bank == "auto":
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise PandaError("--bank auto times banks on one machine; run `panda-train choose` without torchrun first")
        asked = ChooseOptions(
            ms,
            ChooseOptions.bank_mb if max_bank_mb is None else max_bank_mb,
            smallest_defect=smallest_defect,
            normal=normal,
            backbone=backbone,
            weights=weights,
            seed=seed,
        )
        bank_options, resolution, score, precision, rooted = _chosen(data, out, asked)
        bank_options = replace(bank_options, knn=knn, embeddings=embeddings)
        embedding = embedding or ("rooted" if rooted and method == "dn2" else None)
    config = config_of(
        method if method in METHODS else "panda-early",
        steps=steps,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        clip=clip,
        embedding=embedding or ("raw" if method == "dn2" else "unit"),
        every=every,
        ewc=ewc,
        prior=prior,
        views=views,
        temperature=temperature,
        angular=angular,
        whiten_loss=whiten_loss,
        pull=ewc is not None,
        seed=seed,
        mixed_precision=mixed_precision,
    )
    chosen = FitOptions(
        method,
        backbone,
        weights,
        adapt_from,
        resolution,
        normal,
        seed,
        device,
        precision,
        bank_options,
        hold_out,
        score,
        roi,
        extendable,
        augment,
        AdaptOptions(config, exposure, outliers, fisher_file, distance, pyramid, resume, curves),
    )
    signed = os.path.lexists(out / SIGNATURE_NAME)
    manifest = fit_bundle(data, out, chosen)
    if manifest is None:  # under torchrun, the first process speaks
        return
    if signed:
        print_remark(f"{out}: the bundle that it replaces was signed, this one is not; sign it with `panda-train sign`")
    if manifest.export["max_bank_mb_chose"]:
        print(
            f"--max-bank-mb {bank_options.max_bank_mb:g} keeps {manifest.export['max_bank_mb_chose']}", file=sys.stderr
        )
    if manifest.detection.bank == "hnsw" and bank != "hnsw" and embeddings == "auto":
        print(f"{manifest.detection.count} embeddings get hnswlib's graph; --embeddings exact if not", file=sys.stderr)
    facts = summary(out, manifest, open_dataset(data, normal).train, time.perf_counter() - started)
    if facts["augment"] != "none":
        print_remark(
            f"--augment {facts['augment']}: {manifest.detection.count} frames of {facts['train_images']} pictures; "
            "--bank coreset keeps bank and search small"
        )
    if json:
        print_json(facts)
    else:
        for line in in_words(facts, data):
            print_line(line)


def _chosen(data: Path, out: Path, asked: ChooseOptions) -> tuple[BankOptions, Resolution, str, str, bool]:
    """Bank, resolution, score rule, precision and whether embeddings are rooted of `--bank auto`; says on stderr what
    was chosen."""
    from panda_edge.builder.bundle_writer import check_target
    from panda_train.choose.options import check
    from panda_train.progress import waiting

    check_target(out)  # before minutes of work
    check(data, asked)
    with waiting("loading torch"):
        from panda_train.choose.choosing import choose
        from panda_train.choose.fit_command import arguments, bank_of
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
