"""Opening a bundle whose bank is to change: what `extend` and `--remove` ask of it, and do at the end."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from panda_edge import __version__
from panda_edge.banks import BANKS, check_banks, traits_of
from panda_edge.banks.embeddings import EMBEDDING_KINDS, EMBEDDINGS_FILE, HNSW_FILE
from panda_edge.banks.settings import BankSettings, read_settings
from panda_edge.builder.assemble import calibrated, coloured
from panda_edge.builder.banks import Banks
from panda_edge.builder.build import LEAVE_ONE_OUT_IMAGES, Build
from panda_edge.builder.bundle_writer import check_target
from panda_edge.builder.calibrate import SCALE_IMAGES
from panda_edge.builder.copies import LOOKS_FILE
from panda_edge.builder.held_out import HELD_OUT_FILE
from panda_edge.builder.normal_pictures import HeldOut, held_out_scores, stored_scores
from panda_edge.builder.spread import evenly_spread
from panda_edge.builder.steps import read_recipes
from panda_edge.builder.steps.recipe import Recipe as StepRecipe
from panda_edge.builder.stored import are_whole, read_sizes
from panda_edge.bundle.folder import Bundle, open_bundle
from panda_edge.bundle.manifest import MANIFEST_NAME, Level, Manifest, check_seal
from panda_edge.bundle.model import Model, default_threads
from panda_edge.bundle.roi_file import open_roi
from panda_edge.bundle.signature import SIGNATURE_NAME
from panda_edge.decide.calibration import open_calibration
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.quality import QualityRange
from panda_edge.images.roi_mask import Rois
from panda_edge.search.candidates import PLACES_FILE
from panda_edge.search.picture import FeatureFunction
from panda_edge.search.steps import STEPS


@dataclass(frozen=True)
class Extendable:
    """A bundle, checked file by file, and what its bank is made again by. preprocessing: with its roi."""

    bundle: Bundle
    preprocessing: Preprocessing
    steps: Sequence[StepRecipe]
    settings: BankSettings

    @property
    def is_held_out(self) -> bool:
        """Whether it is calibrated by pictures that are not in its bank."""
        return _is_held_out(self.bundle.manifest)

    def network(self, staging: Path) -> BundleNetwork:
        """Copy model and roi to the new bundle's folder; the model there."""
        for name in self.bundle.manifest.files:
            if name == MODEL_FILE or name.startswith("roi."):
                shutil.copyfile(self.bundle.checked_file(name), staging / name)
        return BundleNetwork(staging / MODEL_FILE, self.bundle.manifest)


def open_extendable(path: Path, out: Path, require_signature: str | os.PathLike[str] | None) -> Extendable:
    """out: where the new bundle will stand. Raises PandaError, BundleError."""
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
    _check(bundle, preprocessing)
    steps = read_recipes(bundle.manifest, str(path))
    settings = read_settings(bundle.manifest.recipe.bank, f"{path}: recipe: bank")
    open_calibration(bundle)
    return Extendable(bundle, preprocessing, steps, settings)


class BundleNetwork:
    """The bundle's own model."""

    def __init__(self, model: Path, manifest: Manifest) -> None:
        self.levels: tuple[Level, ...] = manifest.levels
        self.embedding_size = manifest.embedding_size
        self.run: FeatureFunction = Model(model, default_threads()).run
        self.worker: Callable[[], FeatureFunction] = lambda: Model(model, 1).run


def renewed(build: Build, before: Manifest, banks: Banks, quality: QualityRange | None) -> Manifest:
    """The manifest of the banks as they are now; not calibrated yet. quality: of all their pictures."""
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
        evaluation=None,  # its figures are of the bank that was
        normal_pictures=quality if before.normal_pictures is not None else None,
        created_with=f"panda-edge {__version__}",
    )


def calibrated_again(build: Build, manifest: Manifest, held_out: HeldOut) -> Manifest:
    """The manifest with the calibration of the new banks, in the way of the bundle that was there."""
    assert build.there is not None
    facts = build.there.manifest.calibration
    if facts is not None and _is_held_out(build.there.manifest):
        return calibrated(build, manifest, held_out_scores(build, manifest, held_out, keep=True), facts["kind"])
    if not traits_of(manifest).stores_frames:
        return manifest  # not calibrated, and nothing to show colours by but what there was
    most = SCALE_IMAGES if facts is None else LEAVE_ONE_OUT_IMAGES
    numbers = evenly_spread(len(read_sizes(Bundle(build.staging, manifest))), most).tolist()
    scores = stored_scores(build, manifest, numbers)
    return coloured(build, manifest, scores) if facts is None else calibrated(build, manifest, scores, facts["kind"])


def _is_held_out(manifest: Manifest) -> bool:
    return manifest.calibration is not None and manifest.calibration.get("kind") == "held-out"


def _check(bundle: Bundle, preprocessing: Preprocessing) -> None:
    """Raise PandaError, saying what to do, where the bundle's banks cannot be made again."""
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
