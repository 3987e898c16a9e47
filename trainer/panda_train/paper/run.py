"""One run of the protocol: a method on a class that is normal, scored on all test images."""

from collections.abc import Callable, Sequence

import numpy as np

from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import ImageLike
from panda_train.paper import comparators
from panda_train.paper.adapted_scores import adapted_scores
from panda_train.paper.deep_svdd import deep_svdd
from panda_train.paper.features import Features
from panda_train.paper.mhrot import mhrot
from panda_train.paper.options import COMPARATORS, ON_PIXELS, PaperOptions
from panda_train.paper.rows import Row, auroc_of

_PIXELS = 32  # side to which images are brought for methods on pixels


def run(normal: str, method: str, embedding: str, features: Features, options: PaperOptions) -> Row:
    """What a row says beside its key: image_auroc in percent, how many images, and the method's own facts."""
    anomalous_classes = [name for name in features.protocol.classes if name != normal]
    if method == "panda-oe":
        exposed = features.exposed(normal)
        anomalous_classes = [name for name in anomalous_classes if name not in exposed]
    tests = [features.test(normal)]
    tests += [features.defects(normal)] if features.protocol.defects else [features.test(c) for c in anomalous_classes]
    labels = np.repeat(np.arange(len(tests)) > 0, [len(test) for test in tests])
    facts: Row = {"train_images": len(features.train(normal)), "test_images": len(labels)}
    if method in ON_PIXELS:
        scores = _pixel_scores(method, normal, anomalous_classes, features, options)
    elif method in COMPARATORS:
        bank = features.embedded(features.train(normal), embedding)
        scores = _compare(method, bank, np.concatenate([features.embedded(t, embedding) for t in tests]), options.knn)
    else:
        scores, more = adapted_scores(normal, method, tests, labels, features, options)
        facts |= more
        if method == "panda-oe":
            for name, like in (("dn2_same_test", "raw"), ("dn2_unit_same_test", "unit")):
                bank = features.embedded(features.train(normal), like)
                queries = np.concatenate([features.embedded(t, like) for t in tests])
                facts[name] = auroc_of(_compare("dn2", bank, queries, options.knn), labels)
    return {**facts, "image_auroc": auroc_of(scores, labels)}


def _compare(method: str, bank: np.ndarray, queries: np.ndarray, knn: int) -> np.ndarray:
    rules: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
        "dn2": lambda normal, others: comparators.nearest_neighbours(normal, others, knn),
        "centre": comparators.centre_distance,
        "kmeans": comparators.nearest_mean,
        "whitened": lambda normal, others: comparators.whitened_neighbours(normal, others, knn),
        "rooted": lambda normal, others: comparators.rooted_neighbours(normal, others, knn),
        "oc-svm": comparators.one_class_svm,
    }
    return rules[method](bank, queries)


def _pixel_scores(
    method: str, normal: str, others: Sequence[str], features: Features, options: PaperOptions
) -> np.ndarray:
    small = Preprocessing.paper_crop(_PIXELS, _PIXELS)

    def pixels(images: Sequence[ImageLike], limit: int | None) -> np.ndarray:
        chosen = features.images(images, limit)
        return np.stack([small.apply(image) for image in chosen])

    protocol = features.protocol
    tests = [pixels(protocol.test[normal], options.test_images)]
    if protocol.defects is not None:
        tests.append(pixels(protocol.defects[normal], options.test_images))
    else:
        tests += [pixels(protocol.test[name], options.test_images) for name in others]
    bank, queries = pixels(protocol.train[normal], options.train_images), np.concatenate(tests)
    if method == "deep-svdd":
        return deep_svdd(bank, queries, options.adapt.seed)
    if method == "mhrot":
        return mhrot(bank, queries, options.adapt.seed)
    bank, queries = (images.reshape(len(images), -1).astype(np.float32) / 255 for images in (bank, queries))
    return comparators.one_class_svm(bank, queries)
