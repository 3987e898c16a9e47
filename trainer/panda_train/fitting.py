"""`panda-train fit`: a folder of normal images becomes a bundle.

Whatever needs torch is imported where it is used: a wrong path is said before the seconds that torch takes to load.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panda_edge.banks.settings import BankSettings
from panda_edge.builder.bundle_writer import check_target
from panda_edge.builder.progress import silent
from panda_edge.builder.steps.recipe import Recipe as StepRecipe
from panda_edge.bundle.manifest import Manifest, read_manifest
from panda_edge.decide.calibration import DEFAULT_RULE, MAP_RULES, RULES, TILES_RULE
from panda_edge.decide.false_alarms import DEFAULT_FPR, images_needed
from panda_edge.errors import BundleError, ImageError, PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import image_size
from panda_edge.images.roi import Roi, read_roi
from panda_edge.images.roi_mask import Rois
from panda_edge.printable import printable
from panda_export.options import ExportOptions
from panda_train import adapt, backbones
from panda_train.adapt import AdaptOptions
from panda_train.check.short import Seen, far_from_others, look_through
from panda_train.data.folders import Dataset, open_dataset
from panda_train.data.held_out import split_normal
from panda_train.progress import show, waiting
from panda_train.resolution import Resolution, preprocessing_of

if TYPE_CHECKING:
    from panda_export.graph import ExportableBackbone
    from panda_train.adapt.distributed import Workers
    from panda_train.backbones import Backbone

PRECISIONS = ("float32", "int8")
METHODS = ("dn2", *adapt.METHODS)
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class FitOptions:
    """What `fit` does with the images; the fields are the command's options.

    held_out: normal images kept out of the bank to calibrate with. None: as many as `calibrate.split_normal` takes,
    or none where stored images can be scored as if they were new (an exact bank of features fitted to nothing).
    outputs: which feature maps become levels, of a backbone where that can be chosen; see `backbones.check`.
    adapt: how features change. None: the method's defaults.
    adapt_from: the backbone's stage where adaptation begins; None: its own, or, for an adapted pyramid, one that
    reaches the coarsest level.
    """

    method: str = "dn2"
    backbone: str = backbones.DEFAULT
    weights: Path | None = None
    outputs: tuple[str, ...] = ()
    adapt_from: int | None = None
    resolution: Resolution = field(default_factory=Resolution)
    normal: str | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    bank: BankSettings = field(default_factory=BankSettings)
    steps: tuple[StepRecipe, ...] | None = None
    held_out: int | None = None
    rule: str | None = None
    roi: Path | None = None
    extendable: bool = False
    augment: str = "none"
    adapt: AdaptOptions | None = None

    @property
    def adaptation(self) -> AdaptOptions:
        """`adapt`; where it is not given, the method's defaults, which are the command's."""
        return self.adapt or AdaptOptions(adapt.config_of(self.method))


def fit(data: Path, out: Path, options: FitOptions) -> Manifest | None:
    """Write the bundle of the normal images in `data` to `out`. Raises PandaError, DataError.

    Under torchrun all processes share the work and the first writes; the others get None.
    """
    if not backbones.adaptable(options.backbone):  # which sizes it takes, it says itself
        options = replace(options, resolution=replace(options.resolution, multiple=1))
    dataset, roi = _checked(data, out, options)
    with waiting("loading torch"):
        from panda_train.adapt.distributed import workers

        device = device_of(options.device)
    with workers(device) as group:
        manifest = _fitted(dataset, roi, out, options, group)
        group.wait()  # until the bundle stands
    return manifest if group.is_rank_zero else None


def _checked(data: Path, out: Path, options: FitOptions) -> tuple[Dataset, Roi | None]:
    """The data set, and the roi that was asked for: all that can be refused without torch is refused here."""
    check_target(out)
    if options.method not in METHODS:
        raise PandaError(f"unknown method {options.method!r}; expected one of {', '.join(METHODS)}")
    if options.precision not in PRECISIONS:
        raise PandaError(f"unknown --precision {options.precision!r}; expected one of {', '.join(PRECISIONS)}")
    if options.rule not in (None, *RULES):
        raise PandaError(f"unknown --score {options.rule!r}; expected one of {', '.join(RULES)}")
    check_device(options.device)
    backbones.check(options.backbone, options.weights, options.outputs)
    if not backbones.adaptable(options.backbone) and _reads_parts(options):
        raise PandaError(
            f"--backbone {options.backbone} is used as it is: leave out --method and --embedding, or choose one of "
            f"{', '.join(backbones.names())}"
        )
    options.adaptation.check(options.method)
    roi = None if options.roi is None else _checked_roi(options.roi, options.rule)
    dataset = open_dataset(data, options.normal)
    if options.adaptation.exposure is not None:
        open_dataset(options.adaptation.exposure)
    preprocessing = preprocessing_of(options.resolution, dataset.train, quiet=True)
    if roi is not None:
        _check_on_first(replace(preprocessing, rois=Rois(roi)), dataset.train)
    return dataset, roi


def _fitted(dataset: Dataset, roi: Roi | None, out: Path, options: FitOptions, group: Workers) -> Manifest:
    with waiting("loading torch"):
        import torch

        from panda_export.export import export_bundle

    if group.on_rank_zero(lambda: dataset.train) != dataset.train:
        raise PandaError(f"{dataset.root}: process {group.rank} sees other pictures there; all need the same")
    seen = group.on_rank_zero(lambda: _looked_through(dataset.train))
    normal = seen.distinct
    leave_one_out = options.held_out is None and not _fits_scores(options) and options.bank.kind.traits.stores_frames
    kept, held_out = split_normal(normal.paths, 0 if leave_one_out else options.held_out, options.seed)
    preprocessing = preprocessing_of(options.resolution, normal.paths, quiet=not group.is_rank_zero)
    in_roi = preprocessing if roi is None else replace(preprocessing, rois=Rois(roi))
    torch.manual_seed(options.seed)
    device = device_of(options.device)
    backbone, facts = _adapted(kept, preprocessing, out, options, device, group)
    manifest = export_bundle(
        out,
        backbone,
        kept,
        in_roi,
        ExportOptions(
            method={"name": options.method, **facts},
            bank=options.bank,
            steps=options.steps,
            rule=options.rule or (DEFAULT_RULE if preprocessing.tiles is None else TILES_RULE),
            leave_one_out=leave_one_out,
            seed=options.seed,
            device=device,
            precision=options.precision,
            extendable=options.extendable,
            augment=options.augment,
            progress=show if group.is_rank_zero else silent,
        ),
        held_out,
        group=group,
        looks=normal.looks,
    )
    if group.is_rank_zero:
        _state_file(out).unlink(missing_ok=True)
        with unless_replaced(out, manifest):
            for line in far_from_others(out, [path for path in kept if path not in seen.unreadable]):
                print(printable(line), file=sys.stderr)
        if manifest.calibration is None and options.held_out is None:
            print(_undecided(len(normal.paths), 2 if leave_one_out else 3), file=sys.stderr)
    return manifest


@contextmanager
def unless_replaced(out: Path, manifest: Manifest) -> Iterator[None]:
    """Reading the bundle just written: what cannot be read because another command has put its own there is said so.
    Raises PandaError."""
    try:
        yield
    except BundleError as error:
        if read_manifest(out).identity == manifest.identity:
            raise
        raise PandaError(f"{out}: written, and replaced by another command since; fit to one path at a time") from error


def _looked_through(images: Sequence[Path]) -> Seen:
    """A look at the pictures, told on stderr."""
    seen = look_through(images)
    for line in seen.lines:
        print(printable(line), file=sys.stderr)
    return seen


def _undecided(pictures: int, least: int) -> str:
    few = f"{pictures} normal picture{'s' if pictures > 1 else ''}"
    return (
        f"warning: {few}: scores and heat maps, but no decisions; decisions need at least {least} different ones, and "
        f"{images_needed(DEFAULT_FPR)} for a false-alarm rate of {DEFAULT_FPR:g}"
    )


def _checked_roi(file: Path, rule: str | None) -> Roi:
    if rule not in (None, *MAP_RULES):
        raise PandaError(
            f"--score {rule} with --roi: an embedding sees the whole picture; choose {' or '.join(MAP_RULES)}"
        )
    return read_roi(file)


def _check_on_first(preprocessing: Preprocessing, images: Sequence[Path]) -> None:
    """Raise PandaError, before the work, where the roi does not lie on the first picture."""
    try:
        preprocessing.view(image_size(images[0]))
    except ImageError as error:
        raise PandaError(f"{images[0]}: {error}") from None


def _adapted(
    images: Sequence[Path], preprocessing: Preprocessing, out: Path, options: FitOptions, device: str, group: Workers
) -> tuple[ExportableBackbone, dict[str, Any]]:
    if not backbones.adaptable(options.backbone):
        size = preprocessing.height, preprocessing.width
        return backbones.load_fixed(options.backbone, options.weights, options.outputs, size), {}
    backbone = _backbone(options, group.is_rank_zero)
    if not _reads_parts(options):
        return backbone, {}
    from panda_train.adapt.adaptation import adapt_to

    adapt_options = replace(options.adaptation, knn=options.bank.knn or AdaptOptions.knn)
    done = adapt_to(backbone.to(device), images, preprocessing, options.method, adapt_options, _state_file(out), group)
    if done.said:
        print(done.said, file=sys.stderr)
    return done.backbone, done.facts


def _backbone(options: FitOptions, speaks: bool) -> Backbone:
    """Cut where adaptation begins, so that an adapted pyramid has an adapted level."""
    backbone = backbones.load(options.backbone, options.weights, options.adapt_from)
    if options.method == "dn2" or options.adaptation.pyramid != "adapted" or backbone.adapted_levels:
        return backbone
    reaching = backbone.last_level
    if options.adapt_from is not None:
        raise PandaError(
            f"--pyramid adapted: no level of the pyramid changes with --adapt-from {options.adapt_from}; "
            f"{backbone.name} needs {reaching} or less"
        )
    if speaks:
        print(
            f"--pyramid adapted: adaptation begins at stage {reaching}, which gives the coarsest level, "
            f"instead of {backbone.split} (--adapt-from)",
            file=sys.stderr,
        )
    return backbones.load(options.backbone, options.weights, reaching)


def _reads_parts(options: FitOptions) -> bool:
    """Whether the backbone's parts are needed, which only an adaptable one has."""
    return _fits_scores(options) or options.adaptation.config.embedding != "raw"


def _fits_scores(options: FitOptions) -> bool:
    """Whether more than the bank comes from the normal images: adapted weights, a whitening, or a centre."""
    adapt_options = options.adaptation
    return options.method != "dn2" or adapt_options.config.embedding in adapt.RIDGES or adapt_options.distance != "knn"


def _state_file(out: Path) -> Path:
    """Where adaptation keeps its state, for --resume, until the bundle stands."""
    return out.with_name(f".{out.stem}.adapting.pt")


def check_device(name: str) -> None:
    """Raises PandaError for a name that is none of DEVICES."""
    if name not in DEVICES:
        raise PandaError(f"unknown --device {name!r}; expected auto, cpu or cuda")


def device_of(name: str) -> str:
    """`auto` is a GPU where torch sees one. Raises PandaError where one is asked for and absent."""
    import torch

    check_device(name)
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise PandaError("--device cuda: torch sees no CUDA device here; use --device cpu")
    return name
