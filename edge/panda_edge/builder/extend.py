"""`panda-edge extend`: a bundle and further normal pictures become a bundle of both, without torch."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_edge.builder.added import Added, read_added, write_added
from panda_edge.builder.assemble import sealed, searchable
from panda_edge.builder.build import Build
from panda_edge.builder.bundle_writer import staged_bundle
from panda_edge.builder.copies import read_looks, without_copies, write_looks
from panda_edge.builder.extendable import Extendable, calibrated_again, open_extendable, renewed
from panda_edge.builder.normal_pictures import HeldOut, qualities_of
from panda_edge.builder.pictures import Pictures
from panda_edge.builder.progress import Progress, silent
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.selftest import read_selftest
from panda_edge.errors import PandaError
from panda_edge.images.quality import QualityRange


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
    opened = open_extendable(path, out, require_signature)
    bundle, preprocessing, settings = opened.bundle, opened.preprocessing, opened.settings
    with staged_bundle(out) as staging:
        network = opened.network(staging)
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
        banked, held = _split(opened, unseen, hold_out)
        limit = settings.max_bank_mb if max_bank_mb is None else max_bank_mb
        build = Build(
            staging,
            network,
            pictures,
            banked,
            dataclasses.replace(settings, max_bank_mb=limit),
            opened.steps,
            seed=bundle.manifest.recipe.seed,
            there=bundle,
            extendable=True,
            progress=progress,
        )
        names = {number: distinct.paths[number // pictures.copies].name for number in unseen}
        added = _with_new(build, names, set(held), len(seen))
        write_added(staging, added)
        manifest, banks = searchable(build, lambda banks: renewed(build, bundle.manifest, banks, added.quality))
        manifest = calibrated_again(build, manifest, HeldOut(bundle, pictures, held))
        manifest = sealed(build, manifest, lambda: read_selftest(bundle).frames)
        return Extended(manifest, len(banked), len(held), len(distinct.copies), (distinct.said, banks.said))


def _with_new(build: Build, names: dict[int, str], held: set[int], looks: int) -> Added:
    """The list of added pictures with these, by their numbers, in the order in which their looks are stored."""
    assert build.there is not None
    there = read_added(build.there)
    if not there.pictures:
        there = Added((), looks, build.there.manifest.normal_pictures)
    found = qualities_of(build, list(names))
    qualities = [QualityRange.of([quality]) for quality in found] if len(found) == len(names) else [None] * len(names)
    kinds = ("held-out" if number in held else "bank" for number in names)
    return there.with_more(list(zip(names.values(), kinds, qualities, strict=True)))


def _split(opened: Extendable, numbers: Sequence[int], hold_out: int | None) -> tuple[list[int], list[int]]:
    """(for the bank, to calibrate with): drawn at random, as the promise needs; none where the bank's own calibrate."""
    facts, recipe = opened.bundle.manifest.calibration, opened.bundle.manifest.recipe
    if not opened.is_held_out:
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
