"""`panda-edge extend --remove`: a bundle as if some of the pictures that were added to it never had been."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_edge.banks import traits_of
from panda_edge.builder.added import Added, read_added, write_added
from panda_edge.builder.assemble import sealed, searchable
from panda_edge.builder.build import Build
from panda_edge.builder.bundle_writer import staged_bundle
from panda_edge.builder.copies import read_looks, write_looks
from panda_edge.builder.extendable import calibrated_again, open_extendable, renewed
from panda_edge.builder.normal_pictures import HeldOut
from panda_edge.builder.pictures import Pictures
from panda_edge.builder.progress import Progress, silent
from panda_edge.builder.stored import read_places
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.selftest import read_selftest
from panda_edge.errors import PandaError

_NAMED = 8  # names that a message lists


@dataclass(frozen=True)
class Removed:
    """manifest: of the new bundle. removed: pictures that are no longer in it."""

    manifest: Manifest
    removed: int


def remove_pictures(
    path: Path,
    names: Sequence[str],
    out: Path,
    require_signature: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Removed:
    """Write the bundle of `path` without these added pictures to `out`, or into its own place, whole or not at all.

    names: as `read_added` lists them. Bank, calibration and steps are those of a bundle that never had them; the
    pictures that are held out stay the ones that were drawn. Raises PandaError, BundleError.
    """
    opened = open_extendable(path, out, require_signature)
    bundle, manifest = opened.bundle, opened.bundle.manifest
    added, looks = read_added(bundle), read_looks(bundle)
    chosen = _chosen(path, added, names)
    _check_removable(bundle, added, len(looks))
    banked = _numbers(added, "bank", manifest.recipe.train_images)
    held = _numbers(added, "held-out", (manifest.calibration or {"images": 0})["images"])
    gone = [banked[name] for name in chosen if name in banked]
    kept = np.flatnonzero(~np.isin(_pictures(bundle), gone))
    left, rows = added.without(chosen), [i for i, one in enumerate(added.pictures) if one.name in chosen]
    with staged_bundle(out) as staging:
        write_looks(staging, np.delete(looks, added.looks + np.array(rows), axis=0))
        write_added(staging, left)
        pictures = Pictures((), opened.preprocessing, manifest.recipe.augment)
        build = Build(
            staging,
            opened.network(staging),
            pictures,
            (),
            opened.settings,
            opened.steps,
            seed=manifest.recipe.seed,
            there=bundle,
            kept=kept,
            extendable=True,
            progress=progress,
        )
        quality = added.fitted if not left.pictures else left.quality
        new, _ = searchable(build, lambda banks: renewed(build, manifest, banks, quality))
        left_out = frozenset(held[name] for name in chosen if name in held)
        new = calibrated_again(build, new, HeldOut(bundle, pictures, (), left_out))
        return Removed(sealed(build, new, lambda: read_selftest(bundle).frames), len(chosen))


def _chosen(path: Path, added: Added, names: Sequence[str]) -> set[str]:
    known = [picture.name for picture in added.pictures]
    for name in names:
        if name not in known:
            there = f"it has {', '.join(known[-_NAMED:])}" if known else "none was, or before names were kept"
            more = f" and {len(known) - _NAMED} more; see --list" if len(known) > _NAMED else ""
            raise PandaError(f"{path}: no picture {name} was added to it; {there}{more}")
    return set(names)


def _check_removable(bundle: Bundle, added: Added, looks: int) -> None:
    """Raise PandaError where what the pictures left in the bank cannot be told from what others did."""
    bank = bundle.manifest.segmentation.bank
    if not traits_of(bundle.manifest).stores_frames:
        raise PandaError(
            f"{bundle.path}: a {bank} bank keeps no single pictures, so that none can be taken out; go back to the "
            "bundle before, or fit again without it"
        )
    whole = len(np.unique(_pictures(bundle))) == bundle.manifest.recipe.train_images
    if not whole or looks != added.looks + len(added.pictures):
        raise PandaError(
            f"{bundle.path}: --max-bank-mb has dropped pictures, or some could not be read, so that others cannot be "
            "told apart; go back to the bundle before, or fit again"
        )


def _numbers(added: Added, kind: str, pictures: int) -> dict[str, int]:
    """Of each added picture of a kind its number among all of that kind."""
    count = sum(picture.kind == kind for picture in added.pictures)
    return added.numbers(kind, pictures - count)


def _pictures(bundle: Bundle) -> np.ndarray:
    """Of each stored frame its picture's place in the order of the bank; int64 (N,)."""
    return np.unique(read_places(bundle)[:, 0], return_inverse=True)[1].reshape(-1)
