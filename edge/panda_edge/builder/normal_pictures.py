"""What is asked of normal pictures once the banks stand; the processes of a group share them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from panda_edge.banks import traits_of
from panda_edge.banks.embeddings import EMBEDDING_KINDS
from panda_edge.builder.build import Build
from panda_edge.builder.calibrate import NormalScores, normal_scores, picture_scorer
from panda_edge.builder.held_out import HeldOutWriter, png_of, read_held_out
from panda_edge.builder.pictures import Picture, Pictures, none_readable
from panda_edge.builder.stored import are_whole, read_sizes, scored_without_itself
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.quality import Quality, QualityRange, measure_quality
from panda_edge.process_group import shared


@dataclass(frozen=True)
class HeldOut:
    """Normal pictures that are not in the bank. there: a bundle that keeps some, of which `left_out` do not count.
    pictures, numbers: further ones."""

    there: Bundle | None
    pictures: Pictures
    numbers: Sequence[int]
    left_out: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self._stored) + len(self.numbers)

    @property
    def _stored(self) -> list[int]:
        count = 0 if self.there is None else (self.there.manifest.calibration or {"images": 0})["images"]
        return [number for number in range(count) if number not in self.left_out]

    def each(self, wanted: Sequence[int]) -> Iterator[Picture | None]:
        """Those of these places in the order, None where one cannot be read. Raises BundleError."""
        there = self._stored
        stored = [there[number] for number in wanted if number < len(there)]
        if self.there is not None:
            yield from read_held_out(self.there, self.pictures.preprocessing, stored)
        yield from self.pictures.each(self.numbers[number - len(there)] for number in wanted[len(stored) :])


def held_out_scores(build: Build, manifest: Manifest, held_out: HeldOut, keep: bool) -> Iterator[NormalScores]:
    """Scores of pictures that are not in the bank; to the first process. keep: in the bundle, too.

    Raises DataError where none of them can be read.
    """

    def work(own: Sequence[int]) -> Iterator[tuple[NormalScores, tuple[int, int], bytes] | None]:
        scorer = picture_scorer(build.staging, manifest, build.network)
        for picture in held_out.each(own):
            if picture is None:
                yield None
                continue
            scores = normal_scores(picture.view, scorer.score(picture.view, picture.canvas))
            yield scores, picture.view.picture, png_of(picture) if keep else b""

    writer = HeldOutWriter(build.staging) if keep and build.group.is_rank_zero else None
    readable = 0
    count = len(held_out)
    for found in build.progress(shared(build.group, range(count), work), "calibrate", count):
        if found is not None:
            scores, size, png = found
            readable += 1
            if writer is not None:
                writer.add(size, png)
            yield scores
    if build.group.is_rank_zero and not readable:
        raise none_readable(count)
    if writer is not None:
        writer.close()


def stored_scores(build: Build, manifest: Manifest, numbers: Sequence[int]) -> Iterator[NormalScores]:
    """Scores of stored pictures of an exact bank, by their order there, each scored without itself; to the first
    process. From what is stored of them, which is all that `extend` has."""
    preprocessing = build.pictures.preprocessing

    def work(own: Sequence[int]) -> Iterator[NormalScores]:
        scored = scored_without_itself(build.staging, manifest, preprocessing, own)
        return (normal_scores(*one) for one in scored)

    yield from build.progress(shared(build.group, numbers, work), "calibrate", len(numbers))


def bank_scores(
    build: Build, manifest: Manifest, in_bank: dict[int, int | None], sampled: Sequence[int]
) -> Iterator[NormalScores]:
    """Scores of pictures that the bank is made of, each scored without itself where it can be left out; to the first
    process. in_bank: pictures of the build → in the bank. sampled: those that are asked."""
    bundle = Bundle(build.staging, manifest)
    if traits_of(manifest).stores_frames and manifest.detection.scoring == "knn":
        whole = are_whole(bundle, build.pictures.preprocessing)
        if whole and len(read_sizes(bundle)) == manifest.recipe.train_images:
            there = [number for n in sampled if (number := in_bank.get(n)) is not None]
            yield from stored_scores(build, manifest, there)
            return
    apart = EMBEDDING_KINDS[manifest.detection.bank].of_images and manifest.detection.count > 1

    def work(own: Sequence[int]) -> Iterator[NormalScores | None]:
        scorer = picture_scorer(build.staging, manifest, build.network)
        for picture in build.pictures.each(own):
            if picture is None:
                yield None
                continue
            itself = in_bank[picture.number] if apart else None
            yield normal_scores(picture.view, scorer.score(picture.view, picture.canvas, exclude=itself))

    found = build.progress(shared(build.group, sampled, work), "calibrate", len(sampled))
    yield from (scores for scores in found if scores is not None)


def qualities_of(build: Build, numbers: Sequence[int]) -> list[Quality]:
    """How bright and sharp each of these pictures is that can be read; to the first process."""
    frame = Preprocessing(build.pictures.preprocessing.height, build.pictures.preprocessing.width)

    def work(own: Sequence[int]) -> Iterator[Quality | None]:
        for picture in build.pictures.each(own):
            yield None if picture is None else _quality(picture, frame)

    return [quality for quality in shared(build.group, numbers, work) if quality is not None]


def quality_of(build: Build, numbers: Sequence[int]) -> QualityRange | None:
    """The range of these, so that a device knows what it cannot judge; to the first process."""
    found = qualities_of(build, numbers)
    return QualityRange.of(found) if build.group.is_rank_zero else None


def _quality(picture: Picture, frame: Preprocessing) -> Quality:
    width, height = picture.view.scaled
    return measure_quality(Image.fromarray(picture.canvas[:height, :width]), frame)
