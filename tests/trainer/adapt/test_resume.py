"""Adaptation that was stopped goes on where it was."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from panda_edge.errors import PandaError
from panda_train import backbones
from panda_train.adapt import Run, Source, adapt, store
from small_adaptation import FAST, IMAGES, small_resnet, small_stages, weights


class TestResume:
    def test_goes_on_where_it_stopped(self, backbone: backbones.Backbone, normal: Source, tmp_path: Path) -> None:
        undisturbed = adapt(backbone, normal, replace(FAST, method="panda-ses", every=1))
        state = tmp_path / "state.pt"

        class Killed(Exception):
            pass

        def kill(step: int, total: int) -> None:
            if step == 7:
                raise Killed

        config = replace(FAST, method="panda-ses", every=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("panda_train.adapt.loop.SAVE_SECONDS", 0.0)
            with pytest.raises(Killed):
                adapt(backbone, normal, config, run=Run(state_file=state, on_step=kill))
        resumed = adapt(backbone, normal, config, run=Run(state_file=state))
        assert torch.equal(weights(resumed), weights(undisturbed))
        assert resumed.looks == undisturbed.looks
        assert resumed.steps == undisturbed.steps
        assert np.array_equal(resumed.centres, undisturbed.centres)

    def test_another_cut_is_refused(
        self, backbone: backbones.Backbone, normal: Source, frames: np.ndarray, tmp_path: Path
    ) -> None:
        state = tmp_path / "state.pt"
        adapt(backbone, normal, replace(FAST, steps=1), run=Run(state_file=state))
        network = small_resnet()
        deeper = backbones.Backbone("small", small_stages(split=4), network.weights_sha256, {})
        with pytest.raises(PandaError, match="other settings"):
            adapt(
                deeper, Source(store(deeper, frames, IMAGES), IMAGES), replace(FAST, steps=1), run=Run(state_file=state)
            )

    def test_other_settings_are_refused(self, backbone: backbones.Backbone, normal: Source, tmp_path: Path) -> None:
        state = tmp_path / "state.pt"
        adapt(backbone, normal, replace(FAST, steps=1), run=Run(state_file=state))
        with pytest.raises(PandaError, match="other settings"):
            adapt(backbone, normal, replace(FAST, steps=2), run=Run(state_file=state))

    def test_damaged_state_is_refused(self, backbone: backbones.Backbone, normal: Source, tmp_path: Path) -> None:
        state = tmp_path / "state.pt"
        state.write_bytes(b"half a file")
        with pytest.raises(PandaError, match="not a checkpoint"):
            adapt(backbone, normal, FAST, run=Run(state_file=state))
