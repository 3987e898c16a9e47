"""What a program calls: the commands `fit`, `evaluate` and `choose` as functions, with the options that matter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

from panda_edge.banks.settings import bank_settings
from panda_edge.bundle.manifest import Manifest
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_train.choosing import choosing
from panda_train.choosing.options import ChooseOptions, check
from panda_train.choosing.plain import in_numbers
from panda_train.data.folders import open_dataset
from panda_train.evaluation.evaluation import evaluate as evaluate_dataset
from panda_train.fitting import FitOptions
from panda_train.fitting import fit as fit_bundle
from panda_train.resolution import Resolution

PathLike: TypeAlias = str | os.PathLike[str]


def fit(
    data: PathLike,
    out: PathLike,
    *,
    bank: str = "exact",
    smallest_defect: float | None = None,
    max_bank_mb: float | None = None,
    roi: PathLike | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Manifest | None:
    """Write the bundle of a folder of normal images, as `panda-train fit` does.

    Args:
        data: A folder of normal images, or a data set in one of the layouts that `panda-train fit --help` names.
        out: The bundle, a folder named X.panda; an older one there is replaced at the end.
        bank: What is kept of the images: exact, coreset, gaussian, kmeans, kmeans-levels, hnsw or joint-hnsw.
        smallest_defect: In pixels of the pictures; the resolution follows from it. None: 224 pixels a side.
        max_bank_mb: Most megabytes of the bank. None: as many as it needs.
        roi: Where to look: a mask's file, or polygons in a .json file. None: everywhere.
        seed: Of every random choice.
        device: auto, cpu or cuda.

    Returns:
        The bundle's manifest; None in all processes but the first under torchrun.

    Raises:
        DataError: data has no normal images, or none of the layouts.
        PandaError: An option, or the place of the bundle, cannot be used.
    """
    options = FitOptions(
        bank=bank_settings(bank, max_bank_mb=max_bank_mb),
        resolution=Resolution(smallest_defect=smallest_defect),
        roi=None if roi is None else Path(roi),
        seed=seed,
        device=device,
    )
    return fit_bundle(Path(data), Path(out), options)


def evaluate(
    bundle: PathLike, data: PathLike, *, threads: int | None = None, fpr: float = DEFAULT_FPR
) -> dict[str, Any]:
    """Figures of a bundle on the test images of a data set, as `panda-train evaluate --json` prints them.

    Args:
        bundle: A folder X.panda.
        data: A data set with test images, in one of the layouts that `panda-train evaluate --help` names.
        threads: Of the model and the search. None: every processor.
        fpr: The share of normal images that may be called anomalous, in (0, 1).

    Returns:
        image_auroc, pixel_auroc, pro (0 to 1, None where not defined), kinds, at_threshold and more; see
        `panda_train.evaluation.evaluation.evaluate`.

    Raises:
        DataError: Nothing to test.
        BundleError: The bundle cannot be read.
    """
    return evaluate_dataset(Path(bundle), open_dataset(Path(data)), threads, fpr)


def choose(
    data: PathLike,
    *,
    ms: float = 30.0,
    bank_mb: float | None = None,
    smallest_defect: float | None = None,
    fpr: float = DEFAULT_FPR,
    seed: int = 0,
) -> dict[str, Any]:
    """Try banks, resolutions and scores on defects painted into normal images, as `panda-train choose --json` does.

    Args:
        data: As for `fit`; at least 12 normal images.
        ms: Most milliseconds of an image on this machine.
        bank_mb: Most megabytes of the bank. None: as many as it needs.
        smallest_defect: In pixels of the pictures. None: not known.
        fpr: False-alarm rate at which finds are counted, in (0, 1).
        seed: Of every random choice.

    Returns:
        command: the `panda-train fit` that makes what was chosen. chosen: its figures. candidates: those of all tried,
        with left_out, the reason why one was not taken.

    Raises:
        DataError: Too few normal images.
        PandaError: An option cannot be used, or nothing is within the limits.
    """
    asked = ChooseOptions(ms, bank_mb, smallest_defect=smallest_defect, fpr=fpr, seed=seed)
    check(Path(data), asked)
    return in_numbers(Path(data), asked, choosing.choose(Path(data), asked))
