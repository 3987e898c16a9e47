"""The paper's protocol: every class in turn is normal, every method is trained on it, and scored on all test images.

Each run is a row of a JSON list, written as soon as it is there, so that a stopped protocol goes on where it was.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import ImageLike
from panda_export.progress import Progress, silent
from panda_train import backbones
from panda_train.adapt import (
    METHODS,
    AdaptConfig,
    Adapted,
    AdaptedHead,
    Source,
    StoredActivations,
    adapt,
    embeddings,
    fisher,
    last_checkpoint,
    store,
    trained_images,
    verdict,
)
from panda_train.adapt.adaptation import PRETRAINING_IMAGES
from panda_train.adapt.objectives import embed
from panda_train.backbones import Backbone
from panda_train.data import natural_images
from panda_train.evaluate.metrics import auroc
from panda_train.paper import comparators
from panda_train.paper import rows as paper_rows
from panda_train.paper.datasets import Protocol, open_protocol
from panda_train.paper.published import MEAN_AUROC, SOURCE
from panda_train.paper.rows import Row

COMPARATORS = ("dn2", "centre", "kmeans", "whitened", "oc-svm", "oc-svm-pixels")
ALL_METHODS = (*COMPARATORS, *METHODS)
SCORED_BY_NEIGHBOURS = ("dn2", "whitened", "panda-early", "panda-ses", "panda-ewc", "panda-oe", "jo")
_PIXELS = 32  # side to which images are brought for the SVM on pixels


@dataclass(frozen=True)
class PaperOptions:
    """train_images, test_images: the first so many of each class, None for all. embedding: of all methods; `dn2` is
    run on `raw` besides, which is the paper's. exposed: panda-oe sees training images of so many classes that follow
    the normal one, and its test leaves those out; 0: the images of `exposure` are exposed. adapt_from: the backbone's
    stage where adaptation begins, None for its own."""

    methods: tuple[str, ...] = ("dn2", "panda-early", "panda-ses", "panda-ewc")
    classes: tuple[str, ...] = ()
    backbone: str = backbones.DEFAULT
    weights: Path | None = None
    adapt_from: int | None = None
    train_images: int | None = None
    test_images: int | None = None
    knn: int = 2
    input_size: int = 224
    exposed: int = 4
    exposure: tuple[Path, ...] = ()
    fisher: Path | None = None
    device: str = "cpu"
    adapt: AdaptConfig = field(default_factory=lambda: AdaptConfig("panda-early"))


def run_paper(dataset: str, data: Path, out: Path, options: PaperOptions, progress: Progress = silent) -> list[Row]:
    """All rows of the protocol, with those that `out`/<dataset>.json already holds. Raises PandaError, DataError."""
    for method in options.methods:
        if method not in ALL_METHODS:
            raise PandaError(f"no method {method!r}; there are {', '.join(ALL_METHODS)}")
    protocol = open_protocol(dataset, data)
    classes = options.classes or protocol.classes
    for name in classes:
        if name not in protocol.classes:
            raise PandaError(f"{dataset} has no class {name!r}; there are {', '.join(protocol.classes)}")
    torch.manual_seed(options.adapt.seed)
    backbone = backbones.load(options.backbone, options.weights, options.adapt_from).to(options.device)
    backbone = backbone.to(memory_format=torch.channels_last)
    file = out / f"{dataset}.json"
    rows = paper_rows.read(file)
    features = _Features(backbone, protocol, options, out / "activations" / dataset, progress)
    for normal in classes:
        for method, embedding in _runs(options):
            key = _key(dataset, normal, method, embedding, features, options)
            if any(paper_rows.same_run(row, key) for row in rows):
                continue
            started = time.perf_counter()
            facts = _run(normal, method, embedding, features, options)
            rows.append({**key, **facts, "seconds": round(time.perf_counter() - started, 1), "device": options.device})
            paper_rows.write(file, rows)
    return rows


def _runs(options: PaperOptions) -> list[tuple[str, str]]:
    """Method and embedding of each run of a class: comparators on raw features as in the paper, and on the others'.

    Whitening is a comparator of its own; beside whitened embeddings, comparators are run on what was whitened.
    """
    runs = []
    for method in options.methods:
        if method in COMPARATORS and options.adapt.embedding != "raw":
            runs.append((method, "raw"))
        if method != "oc-svm-pixels":
            whitened = options.adapt.embedding == "whitened" and method in COMPARATORS
            runs.append((method, "unit" if whitened else options.adapt.embedding))
    return runs


def _key(dataset: str, normal: str, method: str, embedding: str, features: "_Features", options: PaperOptions) -> Row:
    """What tells runs apart: a row that has all of this need not be made again."""
    adapted = method in METHODS
    key: Row = {
        "dataset": dataset,
        "method": method,
        "class": normal,
        "backbone": options.backbone,
        "embedding": embedding,
        "steps": options.adapt.steps if adapted else 0,
        "learning_rate": options.adapt.learning_rate if adapted else None,
        "seed": options.adapt.seed,
        "train_images_limit": options.train_images,
        "test_images_limit": options.test_images,
        "input_size": options.input_size,
        "weights": features.backbone.weights_sha256[:12] if options.weights else None,
    }
    if method in SCORED_BY_NEIGHBOURS:
        key["knn"] = options.knn
    if adapted:
        key["clip"] = options.adapt.clip
        key["adapt_from"] = options.adapt_from
        key["mixed_precision"] = options.adapt.mixed_precision
    if method == "panda-ses":
        key["every"] = options.adapt.every
        key["distance"] = "knn"
    if method == "panda-ewc":
        key["ewc"] = options.adapt.ewc
    if method == "panda-oe":
        key["prior"] = options.adapt.prior
        key["exposed"] = features.exposed(normal)
        key["exposure"] = features.exposure_digest
    return key


class _Features:
    """Activations of each class's images, computed once and kept in files."""

    def __init__(
        self, backbone: Backbone, protocol: Protocol, options: PaperOptions, folder: Path, progress: Progress
    ) -> None:
        self.backbone = backbone
        self.protocol = protocol
        self._options = options
        # The name is as it was before the cut could be chosen, so that activations kept then are still found.
        cut = "" if options.adapt_from is None else f"-from{backbone.split}"
        self._folder = folder / f"{backbone.name}-{backbone.weights_sha256[:12]}-{options.input_size}{cut}"
        self.exposure_digest = _digest(options.exposure) if options.exposure else None
        self.progress = progress
        self.preprocessing = Preprocessing.paper_crop(options.input_size, options.input_size)
        # Of the class at hand: panda-early trains just as panda-ses, and is its last checkpoint.
        self.checkpoints: dict[str, Adapted] = {}
        self._opened: dict[str, StoredActivations] = {}
        self._embedded: dict[int, Tensor] = {}
        self._pretraining: tuple[StoredActivations, Tensor] | None = None

    def train(self, name: str) -> StoredActivations:
        return self._stored(f"train-{name}", self.images(self.protocol.train[name], self._options.train_images))

    def test(self, name: str) -> StoredActivations:
        return self._stored(f"test-{name}", self.images(self.protocol.test[name], self._options.test_images))

    def defects(self, name: str) -> StoredActivations:
        assert self.protocol.defects is not None
        return self._stored(f"defects-{name}", self.images(self.protocol.defects[name], self._options.test_images))

    def embedded(self, source: StoredActivations, embedding: str) -> np.ndarray:
        """Pretrained embeddings of a stored set, float32 (N, D), `raw` or of unit length."""
        if id(source) not in self._embedded:
            self._embedded[id(source)] = embeddings(self.backbone.adaptable, source, unit=False)
        return embed(self._embedded[id(source)], embedding != "raw").numpy()

    def exposed(self, normal: str) -> list[str]:
        """The classes whose training images panda-oe sees as outliers: those that follow the normal one."""
        classes = self.protocol.classes
        position = classes.index(normal)
        return [classes[(position + 1 + i) % len(classes)] for i in range(self._options.exposed)]

    def exposure(self) -> StoredActivations:
        return self._stored(f"exposure-{self.exposure_digest}", self._options.exposure)

    def pretraining(self) -> tuple[StoredActivations, Tensor]:
        """Natural crops with the classes that the backbone itself gives them; made once."""
        if self._pretraining is not None:
            return self._pretraining
        size = self._options.input_size
        frames = natural_images.crops(PRETRAINING_IMAGES, size, size, self._options.adapt.seed)
        stored = store(self.backbone, frames, PRETRAINING_IMAGES)
        with torch.no_grad():
            values = embeddings(self.backbone.adaptable, stored, unit=False)
            classes = self.backbone.classifier(values.to(self._options.device)).argmax(dim=1).cpu()
        self._pretraining = stored, classes
        return self._pretraining

    @staticmethod
    def images(images: Sequence[ImageLike], limit: int | None) -> Sequence[ImageLike]:
        return images[:limit] if limit else images

    def _stored(self, name: str, images: Sequence[ImageLike]) -> StoredActivations:
        file = self._folder / f"{name}-{len(images)}.npy"
        if file.name in self._opened:
            return self._opened[file.name]
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            frames = (self.preprocessing.apply(image) for image in self.progress(images, name, len(images)))
            store(self.backbone, frames, len(images), file=part)
            os.replace(part, file)
        self._opened[file.name] = StoredActivations(np.load(file, mmap_mode="r"))
        return self._opened[file.name]


def _run(normal: str, method: str, embedding: str, features: _Features, options: PaperOptions) -> Row:
    anomalous_classes = [name for name in features.protocol.classes if name != normal]
    exposed: list[str] = []
    if method == "panda-oe":
        exposed = features.exposed(normal)
        anomalous_classes = [name for name in anomalous_classes if name not in exposed]
    tests = [features.test(normal)]
    tests += [features.defects(normal)] if features.protocol.defects else [features.test(c) for c in anomalous_classes]
    labels = np.repeat(np.arange(len(tests)) > 0, [len(test) for test in tests])
    facts: Row = {"train_images": len(features.train(normal)), "test_images": len(labels)}
    if method == "oc-svm-pixels":
        scores = _pixel_scores(normal, anomalous_classes, features, options)
    elif method in COMPARATORS:
        bank = features.embedded(features.train(normal), embedding)
        scores = _compare(method, bank, np.concatenate([features.embedded(t, embedding) for t in tests]), options.knn)
    else:
        scores, more = _adapted_scores(normal, method, tests, exposed, features, options)
        facts |= more
        if method == "panda-oe":
            for name, like in (("dn2_same_test", "raw"), ("dn2_unit_same_test", "unit")):
                bank = features.embedded(features.train(normal), like)
                queries = np.concatenate([features.embedded(t, like) for t in tests])
                facts[name] = _percent(_compare("dn2", bank, queries, options.knn), labels)
    return {**facts, "image_auroc": _percent(scores, labels)}


def _digest(images: Sequence[Path]) -> str:
    """Of the images' contents, in their order."""
    whole = hashlib.sha256()
    for image in images:
        whole.update(hashlib.sha256(image.read_bytes()).digest())
    return whole.hexdigest()[:12]


def _compare(method: str, bank: np.ndarray, queries: np.ndarray, knn: int) -> np.ndarray:
    rules: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
        "dn2": lambda normal, others: comparators.nearest_neighbours(normal, others, knn),
        "centre": comparators.centre_distance,
        "kmeans": comparators.nearest_mean,
        "whitened": lambda normal, others: comparators.whitened_neighbours(normal, others, knn),
        "oc-svm": comparators.one_class_svm,
    }
    return rules[method](bank, queries)


def _adapted_scores(
    normal: str,
    method: str,
    tests: Sequence[StoredActivations],
    exposed: Sequence[str],
    features: _Features,
    options: PaperOptions,
) -> tuple[np.ndarray, Row]:
    config = replace(options.adapt, method=method)
    train = features.train(normal)
    others, diagonal = None, None
    if method == "panda-oe":
        groups = [features.train(name) for name in exposed] if exposed else [features.exposure()]
        joined = np.concatenate([group._array for group in groups])
        others = Source(StoredActivations(joined), len(joined))
    elif method == "jo":
        stored, classes = features.pretraining()
        others = Source(stored, len(stored), classes)
    elif method == "panda-ewc":
        diagonal = fisher.load_or_make(features.backbone, options.fisher, progress=features.progress)
    # In memory: a mapped file would be read anew, page by page, for every random batch.
    held = StoredActivations(np.asarray(train._array).copy())
    shared = {"panda-early", "panda-ses"} if "panda-ses" in options.methods else set()
    if method in shared and normal in features.checkpoints:
        adapted = features.checkpoints[normal]
    else:
        trained = replace(config, method="panda-ses") if method in shared else config
        adapted = adapt(features.backbone, Source(held, len(held)), trained, others=others, fisher=diagonal)
        if method in shared:
            features.checkpoints = {normal: adapted}
    if method == "panda-early":
        adapted = last_checkpoint(adapted)
    head = AdaptedHead(adapted, adapted.score, options.knn).to(options.device)
    bank, own_scores = _through(head, held, options.device)
    outputs = [_through(head, test, options.device) for test in tests]
    facts: Row = {"verdict": verdict(adapted.looks)}
    queries = np.concatenate([embedded for embedded, _ in outputs])
    scores = np.concatenate([score for _, score in outputs])
    labels = np.repeat(np.arange(len(tests)) > 0, [len(test) for test in tests])
    if adapted.score == "knn":
        facts["centre_auroc"] = _percent(comparators.centre_distance(bank, queries), labels)
        return comparators.nearest_neighbours(bank, queries, options.knn), facts
    if method == "panda-ses":
        facts["checkpoints"] = list(adapted.steps)
        by_centre = AdaptedHead(adapted, "ses-centre").to(options.device)
        centred = np.concatenate([_through(by_centre, test, options.device)[1] for test in tests])
        facts["centre_auroc"] = _percent(centred, labels)
    if method == "panda-oe":
        # Of the normal images, those that w was not fitted to say how far either score spreads.
        seen = trained_images(len(bank))
        by_neighbours = comparators.nearest_neighbours(bank, queries, options.knn)
        facts["knn_auroc"] = _percent(by_neighbours, labels)
        own = comparators.nearest_neighbours(bank[:seen], bank[seen:], options.knn)
        both = comparators.added(scores, own_scores[seen:], by_neighbours, own)
        facts["logit_and_knn_auroc"] = _percent(both, labels)
    return scores, facts


def _through(head: AdaptedHead, source: StoredActivations, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (N, D) and scores (N,), the latter zero where the score is no part of the head."""
    values, scores = [], []
    with torch.no_grad():
        for start in range(0, len(source), 32):
            batch = source.batch(np.arange(start, min(start + 32, len(source))))
            embedded, _, score = head(batch.to(device))
            values.append(embedded.cpu().numpy())
            scores.append(np.zeros(len(batch)) if score is None else score.cpu().numpy())
    return np.concatenate(values), np.concatenate(scores)


def _pixel_scores(normal: str, others: Sequence[str], features: _Features, options: PaperOptions) -> np.ndarray:
    small = Preprocessing.paper_crop(_PIXELS, _PIXELS)

    def pixels(images: Sequence[ImageLike], limit: int | None) -> np.ndarray:
        chosen = features.images(images, limit)
        return np.stack([small.apply(image).ravel() for image in chosen]).astype(np.float32) / 255

    protocol = features.protocol
    tests = [pixels(protocol.test[normal], options.test_images)]
    if protocol.defects is not None:
        tests.append(pixels(protocol.defects[normal], options.test_images))
    else:
        tests += [pixels(protocol.test[name], options.test_images) for name in others]
    return comparators.one_class_svm(pixels(protocol.train[normal], options.train_images), np.concatenate(tests))


def _percent(scores: np.ndarray, anomalous: np.ndarray) -> float | None:
    value = auroc(scores, anomalous)
    return None if value is None else round(100 * value, 2)


def table(rows: Sequence[Row]) -> str:
    """A Markdown table: methods, with the embedding they were scored on, by classes; means, and the paper's means."""
    dataset = rows[0]["dataset"]
    classes = list(dict.fromkeys(row["class"] for row in rows))
    labels = [(_label(row, rows), row["embedding"], row["steps"]) for row in rows]
    lines = [
        f"| method | embedding | steps | {' | '.join(classes)} | mean | paper |",
        f"|---|---|---:|{'---:|' * (len(classes) + 2)}",
    ]
    for run in dict.fromkeys(labels):
        own = [row for row, label in zip(rows, labels, strict=True) if label == run]
        found = {row["class"]: row["image_auroc"] for row in own}
        cells = [f"{found[name]:.1f}" if found.get(name) is not None else "" for name in classes]
        known = [value for value in found.values() if value is not None]
        mean = f"{np.mean(known):.2f}" if len(known) == len(classes) else f"({len(known)} of {len(classes)})"
        foreign = own[0].get("exposure") is not None
        paper = "" if foreign else MEAN_AUROC.get(dataset, {}).get(own[0]["method"], "")
        lines.append(f"| {' | '.join(map(str, run))} | {' | '.join(cells)} | {mean} | {paper} |")
    return "\n".join([*lines, "", f"AUROC in percent. The paper's column: {SOURCE}."])


def _label(row: Row, rows: Sequence[Row]) -> str:
    """The method, with those of its settings that are not the same in all of its rows."""
    if row.get("exposure") is not None:
        return f"{row['method']}, exposed to a folder's images"
    of_method = [other for other in rows if other["method"] == row["method"]]
    differing = [
        f"{name} {paper_rows.setting(row, name)}"
        for name in (*paper_rows.SETTINGS, "learning_rate", "prior", "seed")
        if name not in ("exposed", "exposure")
        and len({paper_rows.setting(other, name) for other in of_method if other.get("exposure") is None}) > 1
    ]
    return ", ".join([row["method"], *differing])
