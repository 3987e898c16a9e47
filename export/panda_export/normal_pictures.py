"""What an export asks of normal pictures once the banks stand; the processes of a group share them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from panda_edge.builder.calibrate import NormalScores, calibrate, normal_scores, picture_scorer, set_color_scale
from panda_edge.builder.held_out import HeldOutWriter, png_of
from panda_edge.builder.pictures import Picture, Pictures, none_readable
from panda_edge.builder.process_group import ProcessGroup, shared
from panda_edge.builder.progress import Progress
from panda_edge.builder.stored import are_whole, read_sizes, scored_without_itself
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.quality import Quality, QualityRange, measure_quality
from panda_export.banks import Banks
from panda_export.network import Network


@dataclass(frozen=True)
class NormalPictures:
    """pictures: those of the banks; sampled: the numbers of those that are asked."""

    pictures: Pictures
    sampled: Sequence[int]
    banks: Banks
    network: Network
    progress: Progress
    group: ProcessGroup

    def stored(self, staging: Path, manifest: Manifest) -> Iterator[NormalScores]:
        """The sampled pictures, each scored without itself; to the first process.

        From what is stored of them where they are there whole, which is all that `extend` will have, so that it
        calibrates just as this does.
        """
        bundle, preprocessing = Bundle(staging, manifest), self.pictures.preprocessing
        exact = manifest.segmentation.bank == "exact" and manifest.detection.scoring == "knn"
        if exact and len(read_sizes(bundle)) == self.banks.pictures and are_whole(bundle, preprocessing):
            numbers = [number for n in self.sampled if (number := self.banks.numbers.get(n)) is not None]

            def look_up(own: Sequence[int]) -> Iterator[NormalScores]:
                return (normal_scores(*one) for one in scored_without_itself(staging, manifest, preprocessing, own))

            yield from self.progress(shared(self.group, numbers, look_up), "calibrate", len(numbers))
            return
        apart = manifest.detection.bank != "kmeans" and manifest.detection.count > 1

        def work(own: Sequence[int]) -> Iterator[NormalScores | None]:
            scorer = picture_scorer(staging, manifest, self.network)
            for picture in self.pictures.each(own):
                if picture is None:
                    yield None
                    continue
                itself = self.banks.numbers[picture.number] if apart else None
                yield normal_scores(picture.view, scorer.score(picture.view, picture.canvas, exclude=itself))

        found = self.progress(shared(self.group, self.sampled, work), "calibrate", len(self.sampled))
        yield from (scores for scores in found if scores is not None)

    def held_out(self, staging: Path, manifest: Manifest, paths: Sequence[Path], keep: bool) -> Iterator[NormalScores]:
        """Pictures that are not in the bank, scored; to the first process. keep: in the bundle, too.

        Raises DataError where none of them can be read.
        """
        pictures = Pictures(paths, self.pictures.preprocessing)

        def work(own: Sequence[int]) -> Iterator[tuple[NormalScores, tuple[int, int], bytes] | None]:
            scorer = picture_scorer(staging, manifest, self.network)
            for picture in pictures.each(own):
                if picture is None:
                    yield None
                    continue
                scores = normal_scores(picture.view, scorer.score(picture.view, picture.canvas))
                yield scores, picture.view.picture, png_of(picture) if keep else b""

        writer = HeldOutWriter(staging) if keep and self.group.is_rank_zero else None
        readable = 0
        for found in self.progress(shared(self.group, range(len(paths)), work), "calibrate", len(paths)):
            if found is not None:
                scores, size, png = found
                readable += 1
                if writer is not None:
                    writer.add(size, png)
                yield scores
        if self.group.is_rank_zero and not readable:
            raise none_readable(len(paths))
        if writer is not None:
            writer.close()

    def calibrated(self, staging: Path, manifest: Manifest, scored: Iterator[NormalScores], kind: str) -> Manifest:
        """The manifest that tells of these scores, in every process."""
        taken = list(scored)
        return self.group.on_rank_zero(lambda: calibrate(staging, manifest, taken, kind))

    def coloured(self, staging: Path, manifest: Manifest) -> Manifest:
        """The manifest with the colours that stored pictures set, in every process."""
        taken = list(self.stored(staging, manifest))
        return self.group.on_rank_zero(lambda: set_color_scale(manifest, taken))

    def quality(self) -> QualityRange | None:
        """How bright and sharp normal pictures are, so that a device knows what it cannot judge; to the first
        process."""
        frame = Preprocessing(self.pictures.preprocessing.height, self.pictures.preprocessing.width)

        def work(own: Sequence[int]) -> Iterator[Quality | None]:
            for picture in self.pictures.each(own):
                yield None if picture is None else _quality(picture, frame)

        found = [quality for quality in shared(self.group, self.sampled, work) if quality is not None]
        return QualityRange.of(found) if self.group.is_rank_zero else None


def _quality(picture: Picture, frame: Preprocessing) -> Quality:
    width, height = picture.view.scaled
    return measure_quality(Image.fromarray(picture.canvas[:height, :width]), frame)
