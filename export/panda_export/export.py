"""The exporter: backbone + normal pictures → bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from panda_edge import __version__
from panda_edge.builder.bundle_writer import staged_bundle, write_manifest
from panda_edge.builder.calibrate import SCALE_IMAGES
from panda_edge.builder.copies import looks_of, write_looks
from panda_edge.builder.pictures import Pictures
from panda_edge.builder.process_group import ALONE, ProcessGroup
from panda_edge.builder.progress import Progress, silent
from panda_edge.builder.selftest import FRAMES, mirrored_frames, write_selftest
from panda_edge.builder.steps import recipes_as_json, with_steps
from panda_edge.bundle.manifest import DecisionRule, Manifest, RoiEntry
from panda_edge.bundle.roi_file import write_roi
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_export.augment import augmented
from panda_export.banks import Banks, write_banks
from panda_export.compare import with_compare
from panda_export.graph import ExportableBackbone
from panda_export.network import Network, write_network
from panda_export.normal_pictures import NormalPictures
from panda_export.onnx_file import OPSET
from panda_export.options import ExportOptions

_LEAVE_ONE_OUT_IMAGES = 400  # stored images that calibrate: p-values down to 1 / 401


def export_bundle(
    out: Path,
    backbone: ExportableBackbone,
    images: Sequence[Path],
    preprocessing: Preprocessing,
    options: ExportOptions,
    held_out: Sequence[Path] = (),
    progress: Progress = silent,
    group: ProcessGroup = ALONE,
    looks: np.ndarray | None = None,
) -> Manifest:
    """Write the bundle of `backbone` and the normal `images` to `out`, whole or not at all.

    preprocessing: with the roi that the bundle is calibrated in, where there is one. held_out: normal images not among
    `images`, to calibrate decisions with. Images that cannot be read are named on
    stderr and left out. The same inputs and seed give the same bytes, whatever the group: all its processes call this,
    and the first writes, where all must see it. looks: of all pictures (`builder.copies`), read here where not given;
    whoever calls this takes each picture once.
    Raises PandaError, DataError (no readable image), BundleError.
    """
    with _staged(out, group) as staging:
        pictures = Pictures(images, preprocessing)
        options = dataclasses.replace(options, bank=options.bank.resolved(preprocessing.tiles is not None))
        if options.bank.by_place:
            pictures.preprocessing = group.on_rank_zero(pictures.with_same_tiles)
        asked = _LEAVE_ONE_OUT_IMAGES if _leaves_one_out(options, held_out) else SCALE_IMAGES
        sampled = pictures.spread(asked)
        pictures.keep(sampled)
        # One item, so that a person sees what goes on: writing the graph takes a while.
        [network] = [write_network(staging, backbone, pictures, options, group) for _ in progress([0], "network", 1)]
        gallery = options.bank.gallery
        augment = group.on_rank_zero(
            lambda: augmented(options.augment, images, pictures.preprocessing, gallery, network)
        )
        if augment != "none":
            pictures = Pictures(images, pictures.preprocessing, augment)
            sampled = pictures.spread(asked)
            pictures.keep(sampled)
        manifest, banks = write_searchable(staging, backbone, network, pictures, options, progress, group)
        normal = NormalPictures(pictures, sampled, banks, network, progress, group)
        manifest = _calibrated(staging, manifest, normal, banks, options, held_out)
        quality = normal.quality()

        def finish() -> Manifest:
            if options.extendable or options.bank.gallery == "exact":
                own = looks_of([*images, *held_out], preprocessing.white) if looks is None else looks
                write_looks(staging, own)
            write_manifest(staging, manifest)
            shown = mirrored_frames(list(islice(pictures.read(sampled), FRAMES)))
            write_selftest(staging, manifest, shown, network.run)
            return write_manifest(staging, dataclasses.replace(manifest, normal_pictures=quality))

        return group.on_rank_zero(finish)


@contextmanager
def _staged(out: Path, group: ProcessGroup) -> Iterator[Path]:
    """The first process's temporary folder, for all."""
    if group.is_rank_zero:
        with staged_bundle(out) as staging:
            yield group.on_rank_zero(lambda: staging)
        return
    staging = group.on_rank_zero(lambda: out)
    if not staging.is_dir():
        raise PandaError(
            f"{staging}: not seen by process {group.rank}; all need the pictures and the folder of --out under the "
            "same paths: on one machine, or on a file system that they share"
        )
    yield staging


def _written_roi(staging: Path, pictures: Pictures) -> RoiEntry | None:
    rois = pictures.preprocessing.rois
    return None if rois is None or rois.bundle is None else write_roi(staging, rois.bundle, pictures.first().view)


def write_searchable(
    staging: Path,
    backbone: ExportableBackbone,
    network: Network,
    pictures: Pictures,
    options: ExportOptions,
    progress: Progress = silent,
    group: ProcessGroup = ALONE,
) -> tuple[Manifest, Banks]:
    """Write the banks of all pictures, and the manifest by which they are searched; neither decisions nor colours yet.

    options: with a resolved bank. The pictures' preprocessing becomes the manifest's. Raises PandaError, DataError.
    """
    banks = write_banks(staging, network, pictures, options.bank, options.seed, progress, options.extendable, group)
    rois = pictures.preprocessing.rois

    def write() -> Manifest:
        roi = _written_roi(staging, pictures)
        options_now = dataclasses.replace(options, augment=pictures.augment)
        written = write_manifest(staging, _manifest(backbone, pictures.preprocessing, options_now, network, banks, roi))
        return with_compare(staging, written, pictures, options.bank)

    manifest = group.on_rank_zero(write)
    pictures.preprocessing = dataclasses.replace(manifest.preprocessing, rois=rois)
    return with_steps(staging, manifest, options.bank.steps or (), progress, group), banks


def _leaves_one_out(options: ExportOptions, held_out: Sequence[Path]) -> bool:
    return options.leave_one_out and options.bank.gallery == "exact" and not held_out


def _calibrated(
    staging: Path,
    manifest: Manifest,
    normal: NormalPictures,
    banks: Banks,
    options: ExportOptions,
    held_out: Sequence[Path],
) -> Manifest:
    """The manifest of decisions and colours, by pictures that were held out, or else stored ones."""
    if held_out:
        scored = normal.held_out(staging, manifest, held_out, options.extendable)
        manifest = normal.calibrated(staging, manifest, scored, "held-out")
    elif _leaves_one_out(options, held_out) and banks.pictures > 1:
        scored = normal.stored(staging, manifest)
        manifest = normal.calibrated(staging, manifest, scored, "leave-one-out")
    return manifest if manifest.calibration is not None else normal.coloured(staging, manifest)


def _manifest(
    backbone: ExportableBackbone,
    preprocessing: Preprocessing,
    options: ExportOptions,
    network: Network,
    banks: Banks,
    roi: RoiEntry | None,
) -> Manifest:
    bank, preprocessing = options.bank, dataclasses.replace(preprocessing, rois=None)
    return Manifest(
        method=dict(options.method),
        backbone={"name": backbone.name, "weights_sha256": backbone.weights_sha256},
        preprocessing=preprocessing,
        embedding_size=network.embedding_size,
        levels=network.levels,
        detection=dataclasses.replace(banks.detection, scoring="graph" if network.scores else "knn"),
        segmentation=banks.segmentation,
        decision=DecisionRule(options.rule),
        export={
            "opset": OPSET,
            "precision": network.precision,
            "seed": options.seed,
            "augment": options.augment,
            "average": bank.averaged,
            "steps": recipes_as_json(bank.steps or ()),
            "standardise": bank.standardise,
            "level_weights": bank.level_weights and list(bank.level_weights),
            "train_images": banks.pictures,
            "neighbors": bank.neighbors,
            "knn": bank.knn,
            "vectors": bank.vectors if bank.gallery == "coreset" else None,
            "shrinkage": bank.shrinkage if bank.gallery == "gaussian" else None,
            "embeddings": bank.embeddings,
            "max_bank_mb": bank.max_bank_mb,
            "max_bank_mb_chose": banks.said,
            "max_abs_difference": {name: float(f"{value:.1e}") for name, value in network.differences.items()},
        },
        calibration=None,
        evaluation=None,
        files={},
        created_with=f"panda-edge {__version__}",
        roi=roi,
    )
