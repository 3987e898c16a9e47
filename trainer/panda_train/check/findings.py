"""What is wrong with a data set, by what its files are; nothing here needs a network."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_edge.builder.copies import LOOK_SIZE, first_of_copies
from panda_edge.decide.false_alarms import images_needed
from panda_edge.errors import DataError
from panda_edge.images.quality import Quality
from panda_train.check.looks import Look
from panda_train.data.folders import Dataset
from panda_train.data.mask_pixels import read_masks

_MEASURES = ("brightness", "contrast", "burnt_out", "detail")
_ODD = 0.03  # share of the training pictures, at least one, that may be odd themselves
# Shares of what most have at least, below which a picture is said to be odd.
_BLACK, _FLAT, _BLURRED = 0.25, 0.2, 0.5
_SIZES = 4  # that a line names


@dataclass(frozen=True)
class Finding:
    """Something that a user should look at. kind: one word; text: one line; paths: of the pictures or masks that it is
    about; problem: false of a remark that asks for nothing."""

    kind: str
    text: str
    paths: tuple[Path, ...] = ()
    problem: bool = True


def findings(dataset: Dataset, looks: Sequence[Look], fpr: float) -> list[Finding]:
    """What the files alone tell, the worst first."""
    readable = [look for look in looks if not look.error]
    found = [
        _unreadable(looks),
        *_copies(readable),
        *_masks(dataset, {look.place.path: look.size for look in readable}),
        *quality_findings(readable),
        *_shapes(readable),
        _too_few(sum(look.place.part == "train" for look in readable), fpr),
    ]
    return [finding for finding in found if finding is not None]


def _unreadable(looks: Sequence[Look]) -> Finding | None:
    bad = [look for look in looks if look.error]
    if not bad:
        return None
    return Finding("unreadable", f"{_counted(bad, 'picture')} cannot be read: {bad[0].error}", _paths(bad))


def _copies(looks: Sequence[Look]) -> list[Finding]:
    """Groups of pictures that are the same, to the byte or nearly so."""
    firsts: dict[str, int] = {}
    exact = [firsts.setdefault(look.digest, number) for number, look in enumerate(looks)]
    colours = [look.colours for look in looks if look.colours is not None]
    near = first_of_copies(np.stack(colours) if colours else np.zeros((0, LOOK_SIZE), np.float32))
    groups: dict[int, list[int]] = defaultdict(list)
    for number in range(len(looks)):
        groups[int(near[exact[number]])].append(number)
    several = [[looks[number] for number in group] for group in groups.values() if len(group) > 1]
    torn = [group for group in several if len({look.place.anomalous for look in group}) > 1]
    leaks = [group for group in several if group not in torn and len({look.place.part for look in group}) > 1]
    inside = [group for group in several if group not in torn and group not in leaks]
    told = (
        ("both", torn, "shown as normal and as anomalous"),
        ("leak", leaks, "in train and in test, so that figures come out too good"),
        ("copies", inside, "in the same part, so that they count twice"),
    )
    return [
        Finding(
            kind,
            f"{_counted(some, 'group')} of copies {what}: {', '.join(look.place.path.name for look in some[0])}"
            f"{'' if len({look.digest for look in some[0]}) == 1 else ' (nearly the same)'}",
            tuple(look.place.path for group in some for look in group),
        )
        for kind, some, what in told
        if some
    ]


def _masks(dataset: Dataset, sizes: dict[Path, tuple[int, int]]) -> Iterable[Finding]:
    masked = [sample for sample in dataset.test if sample.anomalous and sample.masks]
    bare = [sample.path for sample in dataset.without_mask]
    if masked and bare:
        yield Finding("no-mask", f"{_counted(bare, 'anomalous picture')} without a mask, others have one", tuple(bare))
    if dataset.stray:
        yield Finding("stray-mask", f"{_counted(dataset.stray, 'mask')} without a picture", dataset.stray)
    wrong: dict[str, list[Path]] = defaultdict(list)
    for sample in masked:
        try:
            mask = read_masks(sample.masks)
        except DataError as error:
            wrong[str(error)].append(sample.masks[0])
            continue
        if not mask.any():
            wrong["nothing is shown, though the picture is anomalous"].append(sample.masks[0])
        elif mask.shape[::-1] != sizes.get(sample.path, mask.shape[::-1]):
            wrong["not of their picture's size"].append(sample.masks[0])
    for why, paths in wrong.items():
        yield Finding("bad-mask", f"{_counted(paths, 'mask')}: {why}", tuple(paths))


def quality_findings(looks: Sequence[Look]) -> Iterable[Finding]:
    """Pictures so dark, bright, flat or soft beside most normal ones that nobody could judge them."""
    normal = [look.quality for look in looks if look.place.part == "train" and look.quality]
    if not normal:
        return
    odd_ones = math.ceil(_ODD * (len(normal) - 1))  # at either end, which do not count
    low, high = dict[str, float](), dict[str, float]()
    for name in _MEASURES:
        values = sorted(getattr(quality, name) for quality in normal)
        low[name], high[name] = values[odd_ones], values[-1 - odd_ones]
    tests: tuple[tuple[str, Callable[[Quality], bool]], ...] = (
        ("black", lambda q: q.brightness < _BLACK * low["brightness"]),
        ("overexposed", lambda q: q.burnt_out > (1 + high["burnt_out"]) / 2),
        ("flat", lambda q: q.contrast < _FLAT * low["contrast"]),
        ("blurred", lambda q: q.detail < _BLURRED * low["detail"] and q.contrast >= _FLAT * low["contrast"]),
    )
    for kind, is_so in tests:
        odd = [look for look in looks if look.quality and is_so(look.quality)]
        if odd:
            yield Finding(kind, f"{_counted(odd, 'picture')} {kind} beside most normal ones", _paths(odd))


def _shapes(looks: Sequence[Look]) -> Iterable[Finding]:
    upright = [look for look in looks if look.size[1] > look.size[0]]
    lying = [look for look in looks if look.size[0] > look.size[1]]
    if upright and lying:
        fewer = min(upright, lying, key=len)
        text = f"{len(upright)} pictures are upright and {len(lying)} lie; turn them alike"
        yield Finding("turned", text, _paths(fewer))
    modes = Counter(look.mode for look in looks)
    if len(modes) > 1:
        rare = [look for look in looks if look.mode != modes.most_common(1)[0][0]]
        yield Finding("modes", f"pictures of several modes: {_listed(modes)}", _paths(rare))
    sizes = Counter(f"{look.size[0]}×{look.size[1]}" for look in looks)
    if len(sizes) > 1:
        yield Finding("sizes", f"pictures of {len(sizes)} sizes: {_listed(sizes)}", problem=False)


def _too_few(normal: int, fpr: float) -> Finding | None:
    missing = images_needed(fpr) - normal
    if missing <= 0:
        return None
    given = f"{normal} normal picture{'' if normal == 1 else 's'}"
    text = f"{given}; {missing} more are needed to promise a false-alarm rate of {fpr:g}"
    return Finding("few", text)


def _listed(counts: Counter[str]) -> str:
    shown = [f"{name} {count}" for name, count in counts.most_common(_SIZES)]
    return ", ".join(shown) + (", …" if len(counts) > _SIZES else "")


def _counted(things: Sequence[object], what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"


def _paths(looks: Iterable[Look]) -> tuple[Path, ...]:
    return tuple(look.place.path for look in looks)
