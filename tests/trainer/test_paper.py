"""The paper's protocol on a made CIFAR-10 and on class folders, with a small network: rows, resuming, refusals."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.datasets import CIFAR10

from panda_edge.errors import DataError, PandaError
from panda_train import backbones
from panda_train.adapt import METHODS, AdaptConfig, AdaptedHead, fisher
from panda_train.backbones import Backbone
from panda_train.backbones.backbone import Stages
from panda_train.commands import app as cli
from panda_train.evaluate.metrics import auroc
from panda_train.paper import adapted_scores as paper_scores
from panda_train.paper import datasets as paper_datasets
from panda_train.paper import features as paper_features
from panda_train.paper import rows as paper_rows
from panda_train.paper import run as paper_run
from panda_train.paper.features import Features
from panda_train.paper.options import ALL_METHODS, PaperOptions
from panda_train.paper.protocol import run_paper
from panda_train.paper.table import table

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN, TEST = 20, 6  # images a class
PROMISED = {
    "dataset", "method", "class", "backbone", "train_images", "test_images", "steps", "seed", "image_auroc", "seconds",
    "device",
}  # fmt: skip
FAST = AdaptConfig("panda-early", steps=4, batch=8, learning_rate=0.1, every=1, watch=2)


def small_backbone() -> Backbone:
    """Frozen and adaptable part, three levels, few random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = [(3, 8, 4), (8, 8, 2), (8, 12, 2)]
        stages = [nn.Sequential(nn.Conv2d(a, b, 5, stride, padding=2), nn.ReLU()) for a, b, stride in sizes]
        levels = {0: (4, 8), 1: (8, 8), 2: (16, 12)}
        return Backbone("small", Stages(stages, nn.Linear(12, 10), levels, 1, (127.0,) * 3, (40.0,) * 3), "0" * 64)


def picture(number: int, random: np.random.Generator) -> np.ndarray:
    """Of class `number`: about a colour and a stripe width of its own, and noise, so that classes overlap somewhat.
    uint8 (32, 32, 3)."""
    colour = np.array([40 + 20 * number, 220 - 18 * number, 60 + 50 * (number % 3)]) + random.integers(-60, 61, 3)
    stripes = 30 * (np.arange(32) // (1 + number) % 2)
    return (colour + stripes[:, None, None] + random.integers(-20, 20, (32, 32, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CIFAR-10 as torchvision has it on disk: pickled batches, labels in turns."""
    root = tmp_path_factory.mktemp("cifar10")
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    random = np.random.default_rng(0)
    batches = {f"data_batch_{i}": TRAIN * 10 // 5 for i in range(1, 6)} | {"test_batch": TEST * 10}
    for name, count in batches.items():
        labels = [i % 10 for i in range(count)]
        data = np.stack([picture(label, random).transpose(2, 0, 1).ravel() for label in labels])
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": labels}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASSES)}))
    return root


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cat and dog as class folders: other pictures than CIFAR-10's of these names."""
    root = tmp_path_factory.mktemp("folders")
    random = np.random.default_rng(1)
    for part, count in (("train", TRAIN), ("test", TEST)):
        for number, name in ((0, "cat"), (9, "dog")):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                Image.fromarray(picture(number, random)).save(root / part / name / f"{i:02d}.png")
    return root


@pytest.fixture(autouse=True)
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small network in the default one's place, few natural crops, and torchvision without its checksums."""
    monkeypatch.setattr(backbones, "load", lambda name, weights=None, adapt_from=None: small_backbone())
    monkeypatch.setattr(paper_features, "PRETRAINING_IMAGES", 24)
    for comparator in ("deep_svdd", "mhrot"):  # with few epochs
        whole = getattr(paper_run, comparator)
        monkeypatch.setattr(paper_run, comparator, partial(whole, epochs=2))
    for files in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, files, [[name, None] for name, _ in getattr(CIFAR10, files)])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": None})


@pytest.fixture
def options(tmp_path: Path) -> PaperOptions:
    network = small_backbone()
    diagonal = [torch.rand_like(parameter) for parameter in network.adaptable.parameters()]
    fisher.save(tmp_path / "fisher.pt", network, diagonal, source="test", images=1)
    return PaperOptions(
        classes=("cat",), input_size=32, fisher=tmp_path / "fisher.pt", exposed=3, adapt=FAST, methods=("dn2",)
    )


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


class TestResuming:
    def test_stopped_it_goes_on_and_repeats_nothing(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both = replace(options, methods=("dn2", "panda-early"), classes=("cat", "dog"))
        whole = run_paper("cifar10", cifar10, tmp_path / "whole", both)
        run, done = paper_run.run, []

        def stopping(normal: str, *more: object) -> object:
            if len(done) == 4:
                raise KeyboardInterrupt
            done.append(normal)
            return run(normal, *more)  # type: ignore[arg-type]

        monkeypatch.setattr(paper_run, "run", stopping)
        with pytest.raises(KeyboardInterrupt):
            run_paper("cifar10", cifar10, tmp_path / "out", both)
        kept = json.loads((tmp_path / "out" / "cifar10.json").read_text())
        assert len(kept) == 4
        monkeypatch.setattr(paper_run, "run", lambda *arguments: done.append("again") or run(*arguments))
        rows = run_paper("cifar10", cifar10, tmp_path / "out", both)
        assert rows[:4] == kept
        assert done[4:] == ["again"] * 2
        assert [{**row, "seconds": 0} for row in rows] == [{**row, "seconds": 0} for row in whole]
        assert run_paper("cifar10", cifar10, tmp_path / "out", both) == rows
        assert done[4:] == ["again"] * 2
        more = run_paper("cifar10", cifar10, tmp_path / "out", replace(both, adapt=replace(FAST, seed=1)))
        assert more[:6] == rows
        assert len(more) == 12

    @pytest.mark.parametrize(
        ("method", "change"),
        [
            ("dn2", {"knn": 3}),
            ("dn2", {"input_size": 64}),
            ("panda-early", {"knn": 3}),
            ("panda-early", {"adapt": replace(FAST, clip=0.1)}),
            ("panda-early", {"adapt": replace(FAST, mixed_precision=True)}),
            ("panda-ses", {"adapt": replace(FAST, every=2.0)}),
            ("panda-ewc", {"adapt": replace(FAST, ewc=7.0)}),
            ("panda-msc", {"adapt": replace(FAST, views=3)}),
            ("panda-msc", {"own": {"panda-msc": {"angular": 0.5}}}),
            ("panda-oe", {"exposed": 2}),
            ("panda-oe", {"exposed": 0, "outliers": "made"}),
            ("panda-oe", {"adapt": replace(FAST, prior=1.0)}),
        ],
    )
    def test_another_setting_is_another_run(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions, method: str, change: dict[str, object]
    ) -> None:
        first = replace(options, methods=(method,))
        rows = run_paper("cifar10", cifar10, tmp_path, first)
        more = run_paper("cifar10", cifar10, tmp_path, replace(first, **change))
        assert more[: len(rows)] == rows
        assert len(more) == 2 * len(rows)
        assert run_paper("cifar10", cifar10, tmp_path, first) == more

    def test_a_setting_of_another_method_is_not(self, cifar10: Path, tmp_path: Path, options: PaperOptions) -> None:
        rows = run_paper("cifar10", cifar10, tmp_path, options)
        others = replace(options, adapt=replace(FAST, ewc=7.0, every=9.0))
        assert run_paper("cifar10", cifar10, tmp_path, others) == rows

    def test_rows_from_before_a_setting_was_kept_are_of_its_default(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions
    ) -> None:
        default = replace(options, input_size=224)
        rows = run_paper("cifar10", cifar10, tmp_path, default)
        older = [{name: value for name, value in row.items() if name not in paper_rows.SETTINGS} for row in rows]
        paper_rows.write(tmp_path / "cifar10.json", older)
        assert run_paper("cifar10", cifar10, tmp_path, default) == older
        assert len(run_paper("cifar10", cifar10, tmp_path, replace(default, knn=3))) == 2 * len(older)

    @pytest.mark.parametrize("damage", [b'[{"dataset": "cif', b"\xff\xfe", b"{}", b'[{"dataset": "cifar10"}]'])
    def test_a_damaged_file_of_results(
        self,
        cifar10: Path,
        tmp_path: Path,
        damage: bytes,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        file = tmp_path / "cifar10.json"
        file.write_bytes(damage)
        arguments = ["cifar10", "--data", cifar10, "--out", tmp_path, "--methods", "dn2", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["panda-train", "paper", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        assert (stopped.value.code, said.out) == (2, "")
        (line,) = said.err.splitlines()
        assert line.startswith(f"error: {file}: ")
        assert "move it away" in line
        assert file.read_bytes() == damage

    def test_two_data_sets_with_a_class_of_the_same_name(
        self, cifar10: Path, folders: Path, tmp_path: Path, options: PaperOptions
    ) -> None:
        run_paper("cifar10", cifar10, tmp_path / "out", options)
        beside = run_paper("cats-vs-dogs", folders, tmp_path / "out", options)
        alone = run_paper("cats-vs-dogs", folders, tmp_path / "alone", options)
        assert [row["image_auroc"] for row in beside] == [row["image_auroc"] for row in alone]
        cats = [next((tmp_path / "out" / "activations" / name).rglob(f"train-cat-{TRAIN}.npy"))
                for name in ("cifar10", "cats-vs-dogs")]  # fmt: skip
        assert not np.array_equal(*(np.load(file) for file in cats))


class TestDataSets:
    def test_cifar10(self, cifar10: Path) -> None:
        protocol = paper_datasets.open_protocol("cifar10", cifar10)
        assert protocol.classes == CLASSES
        assert {len(images) for images in protocol.train.values()} == {TRAIN}
        assert {len(images) for images in protocol.test.values()} == {TEST}
        reds = [np.mean([image[..., 0] for image in protocol.train[name]]) for name in CLASSES]
        greens = [np.mean([image[..., 1] for image in protocol.train[name]]) for name in CLASSES]
        assert np.corrcoef(reds, range(10))[0, 1] > 0.95 > -0.95 > np.corrcoef(greens, range(10))[0, 1]

    def test_class_folders(self, folders: Path) -> None:
        protocol = paper_datasets.open_protocol("cats-vs-dogs", folders)
        assert protocol.classes == ("cat", "dog")
        assert list(protocol.train["dog"]) == sorted((folders / "train" / "dog").iterdir())
        assert protocol.defects is None

    def test_every_coarse_class_of_cifar100_has_five_fine_ones(self) -> None:
        assert np.bincount(paper_datasets.COARSE).tolist() == [5] * 20

    def test_a_data_set_with_other_files(self, tmp_path: Path) -> None:
        (tmp_path / "cifar-10-batches-py").mkdir()
        with pytest.raises(DataError, match="not torchvision's cifar10"):
            paper_datasets.open_protocol("cifar10", tmp_path)


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["cifar11"], "no data set 'cifar11' in the paper's protocol; there are cifar10"),
            (["cifar10", "--methods", "dn2,magic"], "no method 'magic'; there are dn2"),
            (["cifar10", "--classes", "cat,unicorn"], "cifar10 has no class 'unicorn'; there are airplane"),
            (["cifar10", "--outliers", "none"], "--outliers 'none'; expected one of made, cut, tiles, turned"),
            (["cifar10", "--embedding", "square"], "--embedding 'square'; expected one of raw"),
            (["flowers"], "expected class folders train/<class> and test/<class>"),
            (["mvtec"], "no category in MVTec layout"),
        ],
    )
    def test_in_one_line(
        self,
        cifar10: Path,
        tmp_path: Path,
        arguments: list[str],
        expected: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        where = ["--data", str(cifar10), "--out", str(tmp_path / "out"), "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["panda-train", "paper", *arguments, *where])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        assert (stopped.value.code, said.out) == (2, "")
        (line,) = said.err.splitlines()
        assert line.startswith("error: ")
        assert expected in line
        assert not (tmp_path / "out").exists()

    def test_no_such_folder(self, tmp_path: Path, options: PaperOptions) -> None:
        with pytest.raises(PandaError, match="give the data set's with --data"):
            run_paper("cifar10", tmp_path / "none", tmp_path / "out", options)


def test_the_command_prints_rows_and_table(
    cifar10: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["cifar10", "--data", cifar10, "--out", tmp_path / "out", "--methods", "dn2", "--classes", "cat"]
    arguments += ["--embedding", "raw", "--device", "cpu", "--json"]
    monkeypatch.setattr(sys, "argv", ["panda-train", "paper", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code in (0, None)
    report = json.loads(capsys.readouterr().out)
    assert [row["method"] for row in report["rows"]] == ["dn2"]
    assert report["table"] == table(report["rows"])
