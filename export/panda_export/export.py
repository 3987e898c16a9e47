"""The exporter: backbone + normal pictures → bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from PIL import Image

from panda_edge import __version__
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest, RoiEntry, version_of
from panda_edge.bundle.roi_file import write_roi
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.quality import QualityRange, measure_quality
from panda_edge.learn.bundle_writer import staged_bundle, write_manifest
from panda_edge.learn.calibrate import SCALE_IMAGES, ScoredPicture, calibrate, scored_pictures, set_color_scale
from panda_edge.learn.held_out import keep_held_out
from panda_edge.learn.own_distances import with_own_distances
from panda_edge.learn.pictures import Pictures
from panda_edge.learn.progress import Progress, silent
from panda_edge.learn.selftest import FRAMES, mirrored_frames, write_selftest
from panda_edge.learn.stored import are_whole, read_sizes, scored_without_itself
from panda_export.banks import Banks, write_banks
from panda_export.compare import with_compare
from panda_export.graph import ExportableBackbone
from panda_export.network import Network, write_network
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
) -> Manifest:
    """Write the bundle of `backbone` and the normal `images` to `out`, whole or not at all.

    preprocessing: with the roi that the bundle is calibrated in, where there is one. held_out: normal images not among
    `images`, to calibrate decisions with. Images that cannot be read are named on
    stderr and left out. The same inputs and seed give the same bytes.
    Raises PandaError, DataError (no readable image), BundleError.
    """
    with staged_bundle(out) as staging:
        pictures = Pictures(images, preprocessing)
        options = dataclasses.replace(options, bank=options.bank.resolved(preprocessing.tiles is not None))
        if options.bank.by_place:
            pictures.preprocessing = pictures.with_same_tiles()
        sampled = pictures.spread(_LEAVE_ONE_OUT_IMAGES if _leaves_one_out(options, held_out) else SCALE_IMAGES)
        pictures.keep(sampled)
        network = write_network(staging, backbone, pictures, options)
        manifest, banks = write_searchable(staging, backbone, network, pictures, options, progress)
        manifest = _calibrated(staging, manifest, pictures, sampled, banks, network, options, held_out, progress)
        manifest = write_manifest(staging, manifest)
        shown = mirrored_frames(list(islice(pictures.read(sampled), FRAMES)))
        write_selftest(staging, manifest, shown, network.run)
        manifest = dataclasses.replace(manifest, normal_pictures=_normal_pictures(pictures, sampled))
        return write_manifest(staging, manifest)


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
) -> tuple[Manifest, Banks]:
    """Write the banks of all pictures, and the manifest by which they are searched; neither decisions nor colours yet.

    options: with a resolved bank. The pictures' preprocessing becomes the manifest's. Raises PandaError, DataError.
    """
    banks = write_banks(staging, network, pictures, options.bank, options.seed, progress, options.extendable)
    roi, rois = _written_roi(staging, pictures), pictures.preprocessing.rois
    manifest = write_manifest(staging, _manifest(backbone, pictures.preprocessing, options, network, banks, roi))
    manifest = with_compare(staging, manifest, pictures, options.bank)
    pictures.preprocessing = dataclasses.replace(manifest.preprocessing, rois=rois)
    return with_own_distances(staging, manifest, progress), banks


def _normal_pictures(pictures: Pictures, sampled: Sequence[int]) -> QualityRange:
    """How bright and sharp normal pictures are, so that a device knows what it cannot judge."""
    frame = Preprocessing(pictures.preprocessing.height, pictures.preprocessing.width)
    found = []
    for picture in pictures.read(sampled):
        width, height = picture.view.scaled
        found.append(measure_quality(Image.fromarray(picture.canvas[:height, :width]), frame))
    return QualityRange.of(found)


def _leaves_one_out(options: ExportOptions, held_out: Sequence[Path]) -> bool:
    return options.leave_one_out and options.bank.gallery == "exact" and not held_out


def _calibrated(
    staging: Path,
    manifest: Manifest,
    pictures: Pictures,
    sampled: Sequence[int],
    banks: Banks,
    network: Network,
    options: ExportOptions,
    held_out: Sequence[Path],
    progress: Progress,
) -> Manifest:
    """The manifest of decisions and colours, by pictures that were held out, or else stored ones."""
    if held_out:
        new = progress(Pictures(held_out, pictures.preprocessing).read(), "calibrate", len(held_out))
        new = keep_held_out(staging, new) if options.extendable else new
        scored = scored_pictures(staging, manifest, ((None, picture) for picture in new), network)
        return calibrate(staging, manifest, scored, options.rule, "held-out")
    scored = _without_itself(staging, manifest, pictures, sampled, banks, network, progress)
    if _leaves_one_out(options, held_out) and banks.pictures > 1:
        manifest = calibrate(staging, manifest, scored, options.rule, "leave-one-out")
    return manifest if manifest.calibration is not None else set_color_scale(manifest, scored)


def _without_itself(
    staging: Path,
    manifest: Manifest,
    pictures: Pictures,
    sampled: Sequence[int],
    banks: Banks,
    network: Network,
    progress: Progress,
) -> Iterator[ScoredPicture]:
    """Some pictures of the bank, each scored without itself: from what is stored of them where they are there whole,
    which is all that `extend` will have, so that it calibrates just as this does."""
    bundle = Bundle(staging, manifest)
    exact = manifest.segmentation.bank == "exact" and manifest.detection.scoring == "knn"
    if exact and len(read_sizes(bundle)) == banks.pictures and are_whole(bundle, pictures.preprocessing):
        numbers = [number for n in sampled if (number := banks.numbers.get(n)) is not None]
        shown = progress(numbers, "calibrate", len(numbers))
        return scored_without_itself(staging, manifest, pictures.preprocessing, shown)
    stored = ((banks.numbers[picture.number], picture) for picture in pictures.read(sampled))
    return scored_pictures(staging, manifest, progress(stored, "calibrate", len(sampled)), network)
    return manifest


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
        export={
            "opset": OPSET,
            "precision": network.precision,
            "seed": options.seed,
            "average": bank.averaged,
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
        format_version=version_of(preprocessing, banks.segmentation, roi),
        roi=roi,
    )
