"""The runs of a class, and what tells one from another."""

from panda_train.adapt import METHODS, RIDGES
from panda_train.paper.features import Features
from panda_train.paper.options import COMPARATORS, ON_PIXELS, SCORED_BY_NEIGHBOURS, PaperOptions
from panda_train.paper.rows import Row


def runs_of(options: PaperOptions) -> list[tuple[str, str]]:
    """Method and embedding of each run of a class: comparators on raw features as in the paper, and on the others'.

    Whitening and rooting are comparators of their own; beside embeddings of that name, comparators are run on unit
    ones. A root is of the raw features, and the same of those of unit length.
    """
    runs = []
    for method in options.methods:
        if (method in COMPARATORS and options.adapt.embedding != "raw") or method == "rooted":
            runs.append((method, "raw"))
        if method not in (*ON_PIXELS, "rooted"):
            whitened = options.adapt.embedding in RIDGES and method in COMPARATORS
            runs.append((method, "unit" if whitened else options.adapt.embedding))
    return runs


def key_of(dataset: str, normal: str, method: str, embedding: str, features: Features, options: PaperOptions) -> Row:
    """What tells runs apart: a row that has all of this need not be made again."""
    adapted = method in METHODS
    config = options.config_of(method) if adapted else options.adapt
    key: Row = {
        "dataset": dataset,
        "method": method,
        "class": normal,
        "backbone": options.backbone,
        "embedding": embedding,
        "steps": config.steps if adapted else 0,
        "learning_rate": config.learning_rate if adapted else None,
        "seed": config.seed,
        "train_images_limit": options.train_images,
        "test_images_limit": options.test_images,
        "input_size": options.input_size,
        "weights": features.backbone.weights_sha256[:12] if options.weights else None,
    }
    if method in SCORED_BY_NEIGHBOURS:
        key["knn"] = options.knn
    if adapted:
        key["clip"] = config.clip
        key["adapt_from"] = options.adapt_from
        key["mixed_precision"] = config.mixed_precision
    if method == "panda-ses":
        key["every"] = config.every
        key["distance"] = "knn"
    if adapted and config.pulled:
        key["ewc"] = config.ewc
    if method == "panda-msc":
        names = ("batch", "views", "temperature", "angular", "whiten_loss", "pull")
        key |= {name: getattr(config, name) for name in names}
    if method == "panda-oe":
        key["prior"] = config.prior
        key["exposed"] = features.exposed(normal)
        key["exposure"] = features.exposure_digest
        key["outliers"] = options.outliers
    return key
