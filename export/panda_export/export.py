"""The exporter: backbone + normal pictures → bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from panda_edge import __version__
from panda_edge.builder.assemble import calibrated, coloured, sealed, searchable
from panda_edge.builder.banks import Banks
from panda_edge.builder.build import LEAVE_ONE_OUT_IMAGES, Build
from panda_edge.builder.bundle_writer import staged_bundle, write_manifest
from panda_edge.builder.calibrate import SCALE_IMAGES
from panda_edge.builder.copies import looks_of, write_looks
from panda_edge.builder.normal_pictures import HeldOut, bank_scores, held_out_scores, quality_of
from panda_edge.builder.pictures import Pictures
from panda_edge.builder.selftest import FRAMES, mirrored_frames
from panda_edge.builder.steps import recipes_as_json
from panda_edge.bundle.manifest import DecisionRule, Manifest
from panda_edge.bundle.recipe import Recipe
from panda_edge.bundle.roi_file import write_roi
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.process_group import ALONE, ProcessGroup
from panda_export.augment import augmented
from panda_export.centres import KMeansCentres
from panda_export.compare import with_compare
from panda_export.graph import ExportableBackbone
from panda_export.network import Network, write_network
from panda_export.onnx_file import OPSET
from panda_export.options import ExportOptions


def export_bundle(
    out: Path,
    backbone: ExportableBackbone,
    images: Sequence[Path],
    preprocessing: Preprocessing,
    options: ExportOptions,
    held_out: Sequence[Path] = (),
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
        options = options.resolved(preprocessing.tiles is not None, len(backbone.levels))
        traits = options.bank.kind.traits
        leave_one_out = options.leave_one_out and traits.stores_frames and not held_out
        asked = LEAVE_ONE_OUT_IMAGES if leave_one_out else SCALE_IMAGES
        pictures = Pictures(images, preprocessing)
        if options.bank.kind.by_place:
            pictures.preprocessing = group.on_rank_zero(pictures.with_same_tiles)
        pictures.keep(pictures.spread(asked))
        # One item, so that a person sees what goes on: writing the graph takes a while.
        [network] = [
            write_network(staging, backbone, pictures, options, group) for _ in options.progress([0], "network", 1)
        ]
        augment = group.on_rank_zero(
            lambda: augmented(options.augment, images, pictures.preprocessing, traits.takes_copies, network)
        )
        if augment != "none":
            pictures = Pictures(images, pictures.preprocessing, augment)
            pictures.keep(pictures.spread(asked))
        build = build_of(staging, network, pictures, options, group)
        manifest, banks = searchable_bundle(build, backbone, options)
        sampled = pictures.spread(asked)
        if held_out:
            given = HeldOut(None, Pictures(held_out, pictures.preprocessing), range(len(held_out)))
            scores = held_out_scores(build, manifest, given, options.extendable)
            manifest = calibrated(build, manifest, scores, "held-out")
        elif leave_one_out and banks.pictures > 1:
            scores = bank_scores(build, manifest, banks.numbers, sampled)
            manifest = calibrated(build, manifest, scores, "leave-one-out")
        if manifest.calibration is None:
            manifest = coloured(build, manifest, bank_scores(build, manifest, banks.numbers, sampled))
        manifest = dataclasses.replace(manifest, normal_pictures=quality_of(build, sampled))

        def selftest() -> np.ndarray:
            return mirrored_frames(list(islice(pictures.read(sampled), FRAMES)))

        if group.is_rank_zero and (options.extendable or traits.stores_frames):
            write_looks(staging, looks_of([*images, *held_out], preprocessing.white) if looks is None else looks)
        return sealed(build, manifest, selftest)


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


def build_of(
    staging: Path,
    network: Network,
    pictures: Pictures,
    options: ExportOptions,
    group: ProcessGroup = ALONE,
) -> Build:
    """A build of all these pictures, from nothing. options: resolved."""
    given = range(0, len(pictures), pictures.copies)
    return Build(
        staging,
        network,
        pictures,
        given,
        options.bank,
        options.steps or (),
        seed=options.seed,
        extendable=options.extendable,
        progress=options.progress,
        group=group,
        centres=KMeansCentres(),
    )


def searchable_bundle(build: Build, backbone: ExportableBackbone, options: ExportOptions) -> tuple[Manifest, Banks]:
    """Write the banks of all pictures, and the manifest by which they are searched; neither decisions nor colours yet.

    options: resolved. The pictures' preprocessing becomes the manifest's. Raises PandaError, DataError.
    """
    rois = build.pictures.preprocessing.rois

    def manifest_of(banks: Banks) -> Manifest:
        manifest = write_manifest(build.staging, _manifest(build, backbone, options, banks))
        return with_compare(build.staging, manifest, build.pictures, options.bank.kind)

    manifest, banks = searchable(build, manifest_of)
    build.pictures.preprocessing = dataclasses.replace(manifest.preprocessing, rois=rois)
    return manifest, banks


def _manifest(build: Build, backbone: ExportableBackbone, options: ExportOptions, banks: Banks) -> Manifest:
    network, pictures = build.network, build.pictures
    assert isinstance(network, Network)
    rois = pictures.preprocessing.rois
    facts = getattr(backbone, "facts", {})  # a caller's own backbone may have none
    looked_in = None if rois is None or rois.bundle is None else rois.bundle
    return Manifest(
        method=dict(options.method),
        backbone={"name": backbone.name, "weights_sha256": backbone.weights_sha256, **facts},
        preprocessing=dataclasses.replace(pictures.preprocessing, rois=None),
        embedding_size=network.embedding_size,
        levels=network.levels,
        detection=dataclasses.replace(banks.detection, scoring="graph" if network.scores else "knn"),
        segmentation=banks.segmentation,
        decision=DecisionRule(options.rule),
        recipe=Recipe(
            opset=OPSET,
            precision=network.precision,
            seed=options.seed,
            train_images=banks.pictures,
            bank=options.bank.plain(),
            steps=recipes_as_json(build.steps),
            max_abs_difference={name: float(f"{value:.1e}") for name, value in network.differences.items()},
            augment=pictures.augment,
            shrunk_to=banks.said,
        ),
        calibration=None,
        evaluation=None,
        files={},
        created_with=f"panda-edge {__version__}",
        roi=None if looked_in is None else write_roi(build.staging, looked_in, pictures.first().view),
    )
