"""`panda-edge extend --list` and `--remove`: a bundle as if an added picture never had been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panda_edge.builder.added import ADDED_FILE, read_added
from panda_edge.builder.extend import extend_bundle
from panda_edge.builder.remove import remove_pictures
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.manifest import MANIFEST_NAME, read_manifest
from panda_edge.detector import load
from panda_edge.errors import PandaError
from panda_edge.images.tiling import Tiling
from panda_edge.inspect.verify import verify

OLD = 8


def same_but_for(one: Path, other: Path, *names: str) -> None:
    """Both bundles have the same bytes in every file but these."""
    first, second = read_manifest(one), read_manifest(other)
    left_out = {MANIFEST_NAME, *names}
    files = [{n: e.sha256 for n, e in found.files.items() if n not in left_out} for found in (first, second)]
    assert files[0] == files[1]
    for what in ("detection", "segmentation", "decision", "calibration", "normal_pictures"):
        assert getattr(first, what) == getattr(second, what)
    assert first.recipe == second.recipe


@pytest.mark.parametrize(
    "more", [{}, {"bank": "hnsw"}, {"dtype": "uint8"}, {"tiles": Tiling(0.25, 2.0), "neighbors": 20}]
)
def test_removed_is_as_if_never_added(fit: Callable[..., Path], many: list[Path], tmp_path: Path, more: Any) -> None:
    base, one, two = fit(many[:OLD], **more), tmp_path / "one.panda", tmp_path / "two.panda"
    with_both, without = tmp_path / "both.panda", tmp_path / "without.panda"
    extend_bundle(base, many[OLD : OLD + 2], two)
    extend_bundle(two, many[OLD + 2 : OLD + 4], with_both)
    removed = remove_pictures(with_both, [many[OLD].name, many[OLD + 3].name], without)
    assert (removed.removed, removed.manifest.recipe.extended_by) == (2, 2)
    assert verify(without)["ok"]
    extend_bundle(base, [many[OLD + 1]], two)
    extend_bundle(two, [many[OLD + 2]], one)
    same_but_for(without, one)
    # All of them: the bundle of `fit`, in its own place.
    remove_pictures(without, [many[OLD + 1].name, many[OLD + 2].name], without)
    same_but_for(without, base)
    assert ADDED_FILE not in read_manifest(without).files


def test_a_picture_that_only_calibrates_goes_too(fit: Callable[..., Path], many: list[Path], tmp_path: Path) -> None:
    base, more, less = fit(many[:OLD], held_out=tuple(many[OLD : OLD + 4])), tmp_path / "a.panda", tmp_path / "b.panda"
    extend_bundle(base, many[12:16], more, hold_out=2)
    held = [one.name for one in read_added(open_bundle(more)).pictures if one.kind == "held-out"]
    assert len(held) == 2
    manifest = remove_pictures(more, held[:1], less).manifest
    assert manifest.calibration == {"images": 5, "kind": "held-out"}
    assert manifest.recipe.train_images == OLD + 2
    kept = many[12:16][[path.name for path in many[12:16]].index(held[1])]
    decider = load(less).decider
    assert decider is not None
    decision = load(less).segment(kept).decision
    assert decision is not None
    assert np.isclose(decider.calibration.normal_scores("max"), load(less).segment(kept).heatmap.max()).any()
    assert decision.p_value >= 1 / 6


def test_names_tell_pictures_apart(fit: Callable[..., Path], many: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "x.panda"
    same = tmp_path / "again" / many[OLD].name
    same.parent.mkdir()
    same.write_bytes(many[OLD + 1].read_bytes())
    extend_bundle(fit(many[:OLD]), [many[OLD], same], out)
    extend_bundle(out, [many[OLD + 2]], out)
    found = [(one.name, one.extension, one.kind) for one in read_added(open_bundle(out)).pictures]
    assert found == [
        (many[OLD].name, 1, "bank"), (f"{many[OLD].name}~2", 1, "bank"), (many[OLD + 2].name, 2, "bank"),
    ]  # fmt: skip
    with pytest.raises(PandaError, match=r"no picture a\.png was added"):
        remove_pictures(out, ["a.png"], tmp_path / "y.panda")
    assert not (tmp_path / "y.panda").exists()


def test_where_none_can_be_taken_out_it_is_said(fit: Callable[..., Path], many: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "x.panda"
    extend_bundle(fit(many[:OLD], bank="gaussian", held_out=tuple(many[OLD : OLD + 3])), many[12:14], out, hold_out=0)
    with pytest.raises(PandaError, match=r"keeps no single pictures.*go back"):
        remove_pictures(out, [many[12].name], tmp_path / "y.panda")
    small = tmp_path / "small.panda"
    size = sum(entry.bytes for name, entry in read_manifest(fit(many[:OLD])).files.items() if name.startswith("bank/"))
    extend_bundle(fit(many[:OLD]), many[12:14], small, max_bank_mb=size / 1e6)
    with pytest.raises(PandaError, match="dropped pictures"):
        remove_pictures(small, [many[12].name], tmp_path / "y.panda")
