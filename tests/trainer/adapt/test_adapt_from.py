"""Where adaptation begins: the cut that a user chooses, and the one that an adapted pyramid needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from panda_edge.errors import PandaError
from panda_train import backbones, fitting
from panda_train.adapt import AdaptConfig, AdaptedBackbone, Source, adapt, fisher, store
from panda_train.adapt.adaptation import AdaptOptions
from panda_train.fitting import FitOptions

NAME = "efficientnet-lite0"


class TestCut:
    def test_is_of_no_consequence_before_adaptation(self) -> None:
        frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))
        own, deeper = backbones.load(NAME), backbones.load(NAME, adapt_from=4)
        with torch.no_grad():
            embedding, levels = own(own.normalise(frames))
            others = deeper(deeper.normalise(frames))
        torch.testing.assert_close(others[0], embedding, rtol=1e-4, atol=1e-5)
        for mine, other in zip(levels, others[1], strict=True):
            torch.testing.assert_close(other, mine, rtol=1e-4, atol=1e-4)

    def test_says_how_many_levels_are_adapted(self) -> None:
        assert [backbones.load(NAME, adapt_from=stage).adapted_levels for stage in (6, 5, 3, 2, 1)] == [0, 1, 2, 3, 3]

    @pytest.mark.parametrize("stage", [0, -1, 9])
    def test_beyond_the_stages(self, stage: int) -> None:
        with pytest.raises(PandaError, match=f"--adapt-from {stage}: {NAME} has the stages 1 to 8"):
            backbones.load(NAME, adapt_from=stage)

    def test_each_has_its_fisher_diagonal(self) -> None:
        files = {fisher.default_file(backbones.load(NAME, adapt_from=stage)) for stage in (None, 7, 5)}
        assert len(files) == 2


class TestAdaptedPyramid:
    OPTIONS = FitOptions(method="panda-early", adapt=AdaptOptions(pyramid="adapted"))

    def test_reaches_the_coarsest_level_and_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        backbone = fitting._backbone(self.OPTIONS, speaks=True)
        assert (backbone.split, backbone.adapted_levels) == (5, 1)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("--pyramid adapted: adaptation begins at stage 5")

    def test_leaves_a_backbone_whose_cut_reaches_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(backbones, "load", lambda name, weights, adapt_from: backbones.untrained(name))
        assert fitting._backbone(replace(self.OPTIONS, backbone="resnet18"), speaks=True).split == 3
        assert capsys.readouterr().err == ""

    def test_a_cut_that_changes_no_level_is_refused(self) -> None:
        with pytest.raises(PandaError, match=f"--adapt-from 6; {NAME} needs 5 or less"):
            fitting._backbone(replace(self.OPTIONS, adapt_from=6), speaks=True)

    @pytest.mark.parametrize(("stage", "changed"), [(7, [False] * 3), (5, [True, False, False])])
    def test_changes_the_levels_behind_the_cut(self, stage: int, changed: list[bool]) -> None:
        backbone = backbones.load(NAME, adapt_from=stage)
        frames = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
        config = AdaptConfig("panda-early", steps=3, batch=8, learning_rate=0.5)
        adapted = adapt(backbone, Source(store(backbone, frames, 16), 16), config)
        x = backbone.normalise(torch.from_numpy(frames[:2]))
        with torch.no_grad():
            before = backbone(x)[1]
            after = AdaptedBackbone(backbone, adapted, pyramid="adapted")(x)[1]
        assert [not torch.equal(a, b) for a, b in zip(before, after, strict=True)] == changed


def test_fit_takes_it(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(20):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(images / f"{number:02d}.png")
    with pytest.raises(PandaError, match="--adapt-from 99"):
        fitting.fit(images, tmp_path / "x.panda", replace(TestAdaptedPyramid.OPTIONS, adapt_from=99))
    assert not (tmp_path / "x.panda").exists()
