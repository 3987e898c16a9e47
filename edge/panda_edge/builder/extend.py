"""`panda-edge extend`: a bundle and further normal pictures become a bundle of both, without torch."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_edge import __version__
from panda_edge.banks import BANKS, check_banks, traits_of
from panda_edge.banks.embeddings import EMBEDDING_KINDS, EMBEDDINGS_FILE, HNSW_FILE
from panda_edge.banks.settings import read_settings
from panda_edge.builder.assemble import calibrated, coloured, sealed, searchable
from panda_edge.builder.banks import Banks
from panda_edge.builder.build import LEAVE_ONE_OUT_IMAGES, Build
from panda_edge.builder.bundle_writer import check_target, staged_bundle
from panda_edge.builder.calibrate import SCALE_IMAGES
from panda_edge.builder.copies import LOOKS_FILE, read_looks, without_copies, write_looks
from panda_edge.builder.held_out import HELD_OUT_FILE
from panda_edge.builder.normal_pictures import HeldOut, held_out_scores, quality_of, stored_scores
from panda_edge.builder.pictures import Pictures
from panda_edge.builder.progress import Progress, silent
from panda_edge.builder.spread import evenly_spread
from panda_edge.builder.steps import read_recipes
from panda_edge.builder.stored import are_whole, read_sizes
from panda_edge.bundle.folder import Bundle, open_bundle
from panda_edge.bundle.manifest import MANIFEST_NAME, Level, Manifest, check_seal
from panda_edge.bundle.model import Model, default_threads
from panda_edge.bundle.roi_file import open_roi
from panda_edge.bundle.selftest import read_selftest
from panda_edge.bundle.signature import SIGNATURE_NAME
from panda_edge.decide.calibration import open_calibration
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.roi_mask import Rois
from panda_edge.search.candidates import PLACES_FILE
from panda_edge.search.picture import FeatureFunction
from panda_edge.search.steps import STEPS


@dataclass(frozen=True)
class Extended:
    """manifest: of the new bundle. added: pictures that went into the bank; held_out: that only calibrate; copies: left
    out, of others or of what the bundle has. said: what that was, in one line, and what a limit of megabytes chose;
    '' where there is nothing to say."""

    manifest: Manifest
    added: int
    held_out: int
    copies: int
    said: tuple[str, str]


def extend_bundle(
    path: Path,
    new: Sequence[Path],
    out: Path,
    max_bank_mb: float | None = None,
    hold_out: int | None = None,
    require_signature: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Extended:
    """Write the bundle of `path` with the normal pictures `new` to `out`, or into its own place, whole or not at all.

    An exact bank is calibrated by leaving out each stored picture; other banks, and adapted features, by the pictures
    held out at `fit` and as large a share of the new ones, drawn at random: hold_out of them, where given. max_bank_mb:
    of `bank/`; None keeps the bundle's own limit. Pictures that cannot be read are named on stderr and left out. The
    new bundle is not signed, so that a signed one is not replaced. Raises PandaError, DataError, BundleError.
    """
    check_target(out)
    if os.path.lexists(out / SIGNATURE_NAME):  # devices that require it would take the new one no more
        raise PandaError(f"{out}: signed, which the new bundle cannot be; give another --out, and sign that")
    bundle = open_bundle(path, require_signature)
    if bundle.signature is None:
        check_seal(path)
    for name in bundle.manifest.files:
        bundle.checked_file(name)
    roi = open_roi(bundle)
    preprocessing = dataclasses.replace(bundle.manifest.preprocessing, rois=None if roi is None else Rois(roi))
    _check_extendable(bundle, preprocessing)
    steps = read_recipes(bundle.manifest, str(path))
    settings = read_settings(bundle.manifest.recipe.bank, f"{path}: recipe: bank")
    open_calibration(bundle)
    with staged_bundle(out) as staging:
        for name in bundle.manifest.files:
            if name == MODEL_FILE or name.startswith("roi."):
                shutil.copyfile(bundle.checked_file(name), staging / name)
        seen = read_looks(bundle)
        distinct = without_copies(new, progress, seen, preprocessing.white)
        if not distinct.paths:
            raise PandaError(f"{path}: it has every picture given already; there is nothing to add")
        pictures = Pictures(distinct.paths, preprocessing, bundle.manifest.recipe.augment)
        given = range(0, len(pictures), pictures.copies)
        if preprocessing.tiles is None:  # large ones would fill the disk
            pictures.keep(given)
        unseen = [picture.number for picture in pictures.read(given)]
        write_looks(staging, np.concatenate([seen, distinct.looks]))
        banked, held = _split(bundle, unseen, hold_out)
        limit = settings.max_bank_mb if max_bank_mb is None else max_bank_mb
        build = Build(
            staging,
            _Network(staging / MODEL_FILE, bundle.manifest),
            pictures,
            banked,
            dataclasses.replace(settings, max_bank_mb=limit),
            steps,
            bundle.manifest.recipe.seed,
            bundle,
            extendable=True,
            progress=progress,
        )
        manifest, banks = searchable(build, lambda banks: _renewed(build, bundle.manifest, banks, unseen))
        manifest = _calibrated(build, bundle, manifest, held)
        manifest = sealed(build, manifest, lambda: read_selftest(bundle).frames)
        return Extended(manifest, len(banked), len(held), len(distinct.copies), (distinct.said, banks.said))


class _Network:
    """The bundle's own model."""

    def __init__(self, model: Path, manifest: Manifest) -> None:
        self.levels: tuple[Level, ...] = manifest.levels
        self.embedding_size = manifest.embedding_size
        self.run: FeatureFunction = Model(model, default_threads()).run
        self.worker: Callable[[], FeatureFunction] = lambda: Model(model, 1).run


def _is_held_out(manifest: Manifest) -> bool:
    """Whether the bundle is calibrated by pictures that are not in its bank."""
    return manifest.calibration is not None and manifest.calibration.get("kind") == "held-out"


def _check_extendable(bundle: Bundle, preprocessing: Preprocessing) -> None:
    """Raise PandaError, saying what to do, where pictures cannot be added to the bundle's banks."""
    manifest, files = bundle.manifest, bundle.manifest.files
    check_banks(manifest, str(bundle.path / MANIFEST_NAME))
    bank, again = BANKS[manifest.segmentation.bank], "fit again with all pictures"
    if manifest.detection.scoring == "graph":
        raise PandaError(f"{bundle.path}: the model itself holds what is normal (scoring graph); {again}")
    needed = bank.traits.extend_files
    if needed is None or not EMBEDDING_KINDS[manifest.detection.bank].of_images:
        able = ", ".join(name for name, one in BANKS.items() if one.traits.extend_files is not None)
        raise PandaError(f"{bundle.path}: a {bank.name} bank cannot take pictures in; {again}, or use one of {able}")
    steps = {name for step in STEPS.values() for name in step.files(manifest.levels)}
    known = bank.files(manifest.levels) | steps | {EMBEDDINGS_FILE, HNSW_FILE, PLACES_FILE}
    if unknown := {name for name in files if name.startswith("bank/")} - known:
        raise PandaError(f"{bundle.path}: {min(unknown)} cannot be brought up to date here; {again}")
    needed = (*needed, LOOKS_FILE, *((HELD_OUT_FILE,) if _is_held_out(manifest) else ()))
    if any(name not in files for name in needed):
        raise PandaError(f"{bundle.path}: fitted without what extend needs; {again} and --extendable")
    if bank.traits.stores_frames and not are_whole(bundle, preprocessing):
        raise PandaError(f"{bundle.path}: --max-bank-mb has dropped tiles or copies of its pictures; {again}")


def _split(bundle: Bundle, numbers: Sequence[int], hold_out: int | None) -> tuple[list[int], list[int]]:
    """(for the bank, to calibrate with): drawn at random, as the promise needs; none where the bank's own calibrate."""
    facts, recipe = bundle.manifest.calibration, bundle.manifest.recipe
    if not _is_held_out(bundle.manifest):
        if hold_out:
            raise PandaError(f"--hold-out {hold_out}: this bundle is not calibrated by pictures held out; leave it out")
        return list(numbers), []
    assert facts is not None
    share = facts["images"] / (facts["images"] + recipe.train_images)
    count = (max(1, round(share * len(numbers))) if len(numbers) > 1 else 0) if hold_out is None else hold_out
    if count >= len(numbers):
        raise PandaError(f"--hold-out {count} of {len(numbers)} new pictures: leave at least one for the bank")
    drawn = np.random.default_rng(recipe.seed).permutation(len(numbers))[:count]
    held = sorted(numbers[i] for i in drawn)
    return [number for number in numbers if number not in held], held


def _renewed(build: Build, before: Manifest, banks: Banks, unseen: Sequence[int]) -> Manifest:
    """The manifest of the larger banks, with what is known of the new pictures; not calibrated yet."""
    normal, found = before.normal_pictures, quality_of(build, unseen)
    recipe = dataclasses.replace(
        before.recipe,
        train_images=banks.pictures,
        extended_by=before.recipe.extended_by + banks.pictures - before.recipe.train_images,
        bank=build.settings.plain(),
        shrunk_to=banks.said,
    )
    return dataclasses.replace(
        before,
        detection=dataclasses.replace(banks.detection, scoring=before.detection.scoring),
        segmentation=banks.segmentation,
        recipe=recipe,
        calibration=None,
        evaluation=None,  # its figures are of the smaller bank
        normal_pictures=normal if normal is None or found is None else normal.joined(found),
        created_with=f"panda-edge {__version__}",
    )


def _calibrated(build: Build, bundle: Bundle, manifest: Manifest, held: Sequence[int]) -> Manifest:
    facts = bundle.manifest.calibration
    if _is_held_out(bundle.manifest):
        assert facts is not None
        held_out = HeldOut(bundle, build.pictures, held)
        return calibrated(build, manifest, held_out_scores(build, manifest, held_out, keep=True), facts["kind"])
    if not traits_of(manifest).stores_frames:
        return manifest  # not calibrated, and nothing to show colours by but what there was
    most = SCALE_IMAGES if facts is None else LEAVE_ONE_OUT_IMAGES
    numbers = evenly_spread(len(read_sizes(Bundle(build.staging, manifest))), most).tolist()
    scores = stored_scores(build, manifest, numbers)
    return coloured(build, manifest, scores) if facts is None else calibrated(build, manifest, scores, facts["kind"])
