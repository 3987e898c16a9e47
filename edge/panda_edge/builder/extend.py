"""`panda-edge extend`: a bundle and further normal pictures become a bundle of both, without torch."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from panda_edge import __version__
from panda_edge.builder.bundle_writer import check_target, staged_bundle, write_manifest
from panda_edge.builder.calibrate import SCALE_IMAGES, calibrate, normal_scores, scored_pictures, set_color_scale
from panda_edge.builder.copies import read_looks, without_copies, write_looks
from panda_edge.builder.extend_banks import check_extendable, extend_banks, held_out_kind
from panda_edge.builder.held_out import keep_held_out, read_held_out
from panda_edge.builder.pictures import Picture, Pictures
from panda_edge.builder.progress import Progress, silent
from panda_edge.builder.selftest import write_selftest
from panda_edge.builder.spread import evenly_spread
from panda_edge.builder.steps import read_recipes, with_steps
from panda_edge.builder.stored import read_sizes, scored_without_itself
from panda_edge.bundle.folder import Bundle, open_bundle
from panda_edge.bundle.manifest import Manifest, check_seal
from panda_edge.bundle.model import Model, default_threads
from panda_edge.bundle.roi_file import open_roi
from panda_edge.bundle.selftest import read_selftest
from panda_edge.bundle.signature import SIGNATURE_NAME
from panda_edge.decide.calibration import open_calibration
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.quality import QualityRange, measure_quality
from panda_edge.images.roi_mask import Rois
from panda_edge.search.picture import FeatureFunction

LEAVE_ONE_OUT_IMAGES = 400  # stored images that calibrate: p-values down to 1 / 401


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


@dataclass(frozen=True)
class _Network:
    run: FeatureFunction
    worker: Callable[[], FeatureFunction]


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
    check_extendable(bundle, preprocessing)
    recipes = read_recipes(bundle.manifest, str(path))
    open_calibration(bundle)
    with staged_bundle(out) as staging:
        for name in bundle.manifest.files:
            if name == MODEL_FILE or name.startswith("roi."):
                shutil.copyfile(bundle.checked_file(name), staging / name)
        network = _Network(
            Model(staging / MODEL_FILE, default_threads()).run, lambda: Model(staging / MODEL_FILE, 1).run
        )
        seen = read_looks(bundle)
        distinct = without_copies(new, progress, seen, preprocessing.white)
        if not distinct.paths:
            raise PandaError(f"{path}: it has every picture given already; there is nothing to add")
        pictures = Pictures(distinct.paths, preprocessing, bundle.manifest.export.get("augment", "none"))
        given = range(0, len(pictures), pictures.copies)
        if preprocessing.tiles is None:  # large ones would fill the disk
            pictures.keep(given)
        unseen = [picture.number for picture in pictures.read(given)]
        write_looks(staging, np.concatenate([seen, distinct.looks]))
        banked, held = _split(bundle, unseen, hold_out)
        manifest, said = extend_banks(staging, bundle, network.run, pictures, banked, max_bank_mb)
        manifest = write_manifest(staging, _renewed(bundle, manifest, pictures, unseen))
        manifest = with_steps(staging, manifest, recipes, progress)
        manifest = _calibrated(staging, bundle, manifest, preprocessing, pictures, held, network, progress)
        manifest = write_manifest(staging, manifest)
        write_selftest(staging, manifest, read_selftest(bundle).frames, network.run)
        manifest = write_manifest(staging, manifest)
        return Extended(manifest, len(banked), len(held), len(distinct.copies), (distinct.said, said))


def _split(bundle: Bundle, numbers: Sequence[int], hold_out: int | None) -> tuple[list[int], list[int]]:
    """(for the bank, to calibrate with): drawn at random, as the promise needs; none where the bank's own calibrate."""
    facts = bundle.manifest.calibration
    if not held_out_kind(bundle):
        if hold_out:
            raise PandaError(f"--hold-out {hold_out}: this bundle is not calibrated by pictures held out; leave it out")
        return list(numbers), []
    assert facts is not None
    share = facts["images"] / (facts["images"] + bundle.manifest.export["train_images"])
    count = (max(1, round(share * len(numbers))) if len(numbers) > 1 else 0) if hold_out is None else hold_out
    if count >= len(numbers):
        raise PandaError(f"--hold-out {count} of {len(numbers)} new pictures: leave at least one for the bank")
    drawn = np.random.default_rng(bundle.manifest.export["seed"]).permutation(len(numbers))[:count]
    held = sorted(numbers[i] for i in drawn)
    return [number for number in numbers if number not in held], held


def _renewed(bundle: Bundle, manifest: Manifest, pictures: Pictures, unseen: Sequence[int]) -> Manifest:
    """The manifest of the larger banks, with what is known of the new pictures; not calibrated yet."""
    normal = bundle.manifest.normal_pictures
    if normal is not None:
        frame = Preprocessing(manifest.preprocessing.height, manifest.preprocessing.width)
        found = []
        for picture in pictures.read(unseen):
            width, height = picture.view.scaled
            found.append(measure_quality(Image.fromarray(picture.canvas[:height, :width]), frame))
        normal = normal.joined(QualityRange.of(found))
    return dataclasses.replace(
        manifest,
        calibration=None,
        evaluation=None,  # its figures are of the smaller bank
        normal_pictures=normal,
        created_with=f"panda-edge {__version__}",
    )


def _calibrated(
    staging: Path,
    bundle: Bundle,
    manifest: Manifest,
    preprocessing: Preprocessing,
    pictures: Pictures,
    held: Sequence[int],
    network: _Network,
    progress: Progress,
) -> Manifest:
    facts = bundle.manifest.calibration
    if held_out_kind(bundle):
        assert facts is not None
        new = pictures.read(held) if held else iter(())
        kept: Iterable[Picture] = keep_held_out(staging, chain(read_held_out(bundle, preprocessing), new))
        kept = progress(kept, "calibrate", facts["images"] + len(held))
        scored = scored_pictures(staging, manifest, ((None, picture) for picture in kept), network)
        return calibrate(staging, manifest, (normal_scores(*one) for one in scored), facts["kind"])
    if manifest.segmentation.bank != "exact":
        return manifest  # not calibrated, and nothing to show colours by but what there was
    count = len(read_sizes(Bundle(staging, manifest)))
    most = SCALE_IMAGES if facts is None else LEAVE_ONE_OUT_IMAGES
    numbers = evenly_spread(count, most).tolist()
    shown = progress(numbers, "calibrate", len(numbers))
    found = (normal_scores(*one) for one in scored_without_itself(staging, manifest, preprocessing, shown))
    return set_color_scale(manifest, found) if facts is None else calibrate(staging, manifest, found, facts["kind"])
