"""Rows of the paper's protocol: what each holds, against the network run by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from panda_train.adapt import METHODS, AdaptedHead
from panda_train.evaluation.metrics import auroc
from panda_train.paper import adapted_scores as paper_scores
from panda_train.paper.features import Features
from panda_train.paper.options import ALL_METHODS, PaperOptions
from panda_train.paper.protocol import run_paper
from panda_train.paper.table import table
from small_paper import CLASSES, FAST, TEST, TRAIN, small_backbone

PROMISED = {
    "dataset", "method", "class", "backbone", "train_images", "test_images", "steps", "seed", "image_auroc", "seconds",
    "device",
}  # fmt: skip


class TestRows:
    def test_every_method_gives_what_is_promised(self, cifar10: Path, tmp_path: Path, options: PaperOptions) -> None:
        methods = ALL_METHODS
        rows = run_paper("cifar10", cifar10, tmp_path / "out", replace(options, methods=methods))
        assert rows == json.loads((tmp_path / "out" / "cifar10.json").read_text())
        assert {row["method"] for row in rows} == set(methods)
        for row in rows:
            assert row.keys() >= PROMISED
            adapted = row["method"] in METHODS
            assert (row["dataset"], row["class"], row["backbone"]) == ("cifar10", "cat", options.backbone)
            assert (row["train_images"], row["seed"], row["device"]) == (TRAIN, 0, "cpu")
            assert row["steps"] == (4 if adapted else 0)
            assert row["test_images"] == (7 if row["method"] == "panda-oe" else 10) * TEST
            assert 0 <= row["image_auroc"] <= 100
            assert row["seconds"] >= 0
        runs = {(row["method"], row["embedding"]) for row in rows}
        assert {("dn2", "raw"), ("dn2", "unit"), ("oc-svm-pixels", "raw"), ("panda-ewc", "unit")} <= runs
        assert len(rows) == len(runs) == 2 * 5 + 1 + 3 + 6

    def test_auroc_is_that_of_the_network_run_by_hand(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions
    ) -> None:
        (row, _) = run_paper("cifar10", cifar10, tmp_path / "out", options)
        network = small_backbone()
        from torchvision.datasets import CIFAR10

        train, test = CIFAR10(str(cifar10), train=True), CIFAR10(str(cifar10), train=False)

        def embedded(images: np.ndarray) -> np.ndarray:
            # The paper's crop, 224 of 256 pixels, is 28 of these 32.
            crops = [Image.fromarray(i).resize((32, 32), Image.Resampling.BILINEAR, (2, 2, 30, 30)) for i in images]
            frames = np.stack([np.asarray(crop) for crop in crops])
            with torch.no_grad():
                return network(network.normalise(torch.from_numpy(frames)))[0].double().numpy()

        cats = CLASSES.index("cat")
        bank = embedded(train.data[np.array(train.targets) == cats])
        difference = embedded(test.data)[:, None] - bank[None]
        scores = np.sort(np.square(difference).sum(axis=2), axis=1)[:, :2].mean(axis=1)
        by_hand = auroc(scores, np.array(test.targets) != cats)
        assert by_hand is not None
        assert 0.5 < by_hand < 0.99
        assert row["embedding"] == "raw"
        assert row["image_auroc"] == pytest.approx(100 * by_hand, abs=0.2)

    def test_comparators_beside_whitened_embeddings_are_on_those_of_unit_length(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions
    ) -> None:
        unit = run_paper("cifar10", cifar10, tmp_path / "a", options)
        whitened = replace(options, adapt=replace(FAST, embedding="whitened"))
        rows = run_paper("cifar10", cifar10, tmp_path / "b", whitened)
        assert [{**row, "seconds": 0} for row in rows] == [{**row, "seconds": 0} for row in unit]

    def test_a_root_is_the_same_of_any_length(self, cifar10: Path, tmp_path: Path, options: PaperOptions) -> None:
        rooted = replace(options, methods=("rooted",))
        (row,) = run_paper("cifar10", cifar10, tmp_path / "unit", rooted)
        (raw,) = run_paper("cifar10", cifar10, tmp_path / "raw", replace(rooted, adapt=replace(FAST, embedding="raw")))
        assert (row["method"], row["embedding"], row["knn"]) == ("rooted", "raw", options.knn)
        assert {**row, "seconds": 0} == {**raw, "seconds": 0}

    def test_limits_take_the_first_so_many(self, cifar10: Path, tmp_path: Path, options: PaperOptions) -> None:
        limited = replace(options, train_images=16, test_images=2)
        row = run_paper("cifar10", cifar10, tmp_path / "out", limited)[0]
        assert (row["train_images"], row["test_images"]) == (16, 20)

    def test_early_beside_ses_is_early_alone(self, cifar10: Path, tmp_path: Path, options: PaperOptions) -> None:
        alone = run_paper("cifar10", cifar10, tmp_path / "a", replace(options, methods=("panda-early",)))
        both = run_paper("cifar10", cifar10, tmp_path / "b", replace(options, methods=("panda-ses", "panda-early")))
        (early,) = [row for row in both if row["method"] == "panda-early"]
        assert {**alone[0], "seconds": 0} == {**early, "seconds": 0}

    def test_ses_runs_each_test_image_through_its_heads_once(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batches, embedded = [], AdaptedHead.embedded

        def counted(head: AdaptedHead, activation: torch.Tensor) -> object:
            batches.append(len(activation))
            return embedded(head, activation)

        monkeypatch.setattr(AdaptedHead, "embedded", counted)
        (row,) = run_paper("cifar10", cifar10, tmp_path, replace(options, methods=("panda-ses",)))
        assert row["test_images"] == sum(batches) == 10 * TEST  # and no training image
        assert 0 <= row["centre_auroc"] <= 100

    def test_the_table_has_every_run(self, cifar10: Path, tmp_path: Path, options: PaperOptions) -> None:
        rows = run_paper("cifar10", cifar10, tmp_path / "out", replace(options, classes=("cat", "dog")))
        lines = table(rows).splitlines()
        assert lines[0].startswith("| method | embedding | steps | cat | dog | mean |")
        raw = [row["image_auroc"] for row in rows if row["embedding"] == "raw"]
        assert f"| dn2 | raw | 0 | {raw[0]:.1f} | {raw[1]:.1f} | {np.mean(raw):.2f} | 92.5 |" in lines

    def test_the_table_tells_runs_of_other_settings_apart(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions
    ) -> None:
        run_paper("cifar10", cifar10, tmp_path / "out", options)
        rows = run_paper("cifar10", cifar10, tmp_path / "out", replace(options, knn=3))
        lines = table(rows).splitlines()[2:6]
        assert [line.split("|")[1].strip() for line in lines] == ["dn2, knn 2"] * 2 + ["dn2, knn 3"] * 2


class TestExposure:
    def test_the_next_classes_are_exposed_and_not_tested(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen, stored = [], {}
        adapt, keep = paper_scores.adapt, Features._stored

        def watched(*arguments: object, **more: object) -> object:
            seen.append(more["others"])
            return adapt(*arguments, **more)  # type: ignore[arg-type]

        def kept(features: Features, name: str, images: object) -> object:
            stored[name] = keep(features, name, images)  # type: ignore[arg-type]
            return stored[name]

        monkeypatch.setattr(paper_scores, "adapt", watched)
        monkeypatch.setattr(Features, "_stored", kept)
        exposing = replace(options, classes=("ship",), methods=("panda-oe",))
        (row,) = run_paper("cifar10", cifar10, tmp_path / "out", exposing)
        assert row["exposed"] == ["truck", "airplane", "automobile"]  # round the end of the list
        assert row["test_images"] == 7 * TEST
        assert {name for name in stored if name.startswith("test-")} == {
            f"test-{name}" for name in CLASSES if name not in row["exposed"]
        }
        everything = np.arange(3 * TRAIN)
        expected = torch.cat([stored[f"train-{name}"].batch(np.arange(TRAIN)) for name in row["exposed"]])
        assert torch.equal(seen[0].activations.batch(everything), expected)
        for figure in ("dn2_same_test", "dn2_unit_same_test", "knn_auroc", "logit_and_knn_auroc"):
            assert 0 <= row[figure] <= 100

    def test_a_folder_of_outliers_instead(
        self, cifar10: Path, folders: Path, tmp_path: Path, options: PaperOptions
    ) -> None:
        outliers = tuple(sorted((folders / "train" / "dog").iterdir()))
        given = replace(options, methods=("panda-oe",), exposed=0, exposure=outliers)
        (row,) = run_paper("cifar10", cifar10, tmp_path / "out", given)
        assert row["test_images"] == 10 * TEST
        assert row["exposed"] == []
        # The same outliers by content, and others of the same number.
        renamed = tmp_path / "renamed"
        renamed.mkdir()
        copies = tuple(renamed / path.name for path in outliers)
        for path, copy in zip(outliers, copies, strict=True):
            copy.write_bytes(path.read_bytes())
        assert run_paper("cifar10", cifar10, tmp_path / "out", replace(given, exposure=copies)) == [row]
        others = tuple(sorted((folders / "train" / "cat").iterdir()))
        (_, second) = run_paper("cifar10", cifar10, tmp_path / "out", replace(given, exposure=others))
        assert second["exposure"] != row["exposure"]

    def test_outliers_made_of_the_normal_class_and_nothing_left_out(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions
    ) -> None:
        (row,) = run_paper(
            "cifar10", cifar10, tmp_path, replace(options, methods=("panda-oe",), exposed=0, outliers="turned")
        )
        assert (row["test_images"], row["exposed"], row["outliers"]) == (10 * TEST, [], "turned")
        assert [path.name for path in tmp_path.rglob("outliers-*")] == [f"outliers-turned-cat-{TRAIN}-seed0.npy"]
