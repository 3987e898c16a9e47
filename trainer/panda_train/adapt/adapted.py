"""What adaptation gives, and the network that scores with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from panda_edge.errors import PandaError
from panda_train.adapt.collapse import Look
from panda_train.adapt.config import RIDGES
from panda_train.adapt.whitening import Whitening, before_whitening, whiten
from panda_train.backbones import AdaptablePart, Backbone

SCORES = ("knn", "centre", "ses-knn", "ses-centre", "exposure", "exposure-knn")
PYRAMIDS = ("pretrained", "adapted")

_SMALLEST_SCALE = 1e-20  # where features are all zero
_MOST_BANK_BYTES = 1 << 29  # of normal embeddings kept in the graph
_ROWS = 512  # embeddings that are compared at once


@dataclass(frozen=True)
class Adapted:
    """Adapted heads, with what their scores need.

    heads: one, or for panda-ses T of them, the earliest first. centres: float32 (T, D) and scales: float32 (T,), the
    mean squared distance s_t of the training images to them. banks: for panda-ses and panda-oe float32 (T, N, D), the
    normal images' embeddings by each head, else None; of them the first `trained` were trained on, the others held
    out. weight: float32 (D,) of Eq. 5, else None. looks: the watch on collapse. embedding: `raw`, `unit`, `whitened` or
    `rooted`, the last two with their `whitening`.
    """

    method: str
    embedding: str
    heads: Sequence[AdaptablePart]
    centres: np.ndarray
    scales: np.ndarray
    weight: np.ndarray | None = None
    whitening: Whitening | None = None
    steps: Sequence[int] = ()
    banks: np.ndarray | None = None
    trained: int = 0
    looks: Sequence[Look] = field(default=(), repr=False)

    @property
    def score(self) -> str:
        """The method's own way to score: one of SCORES."""
        return {"panda-ses": "ses-knn", "panda-oe": "exposure"}.get(self.method, "knn")


def centre_and_scale(embeddings: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean of embeddings (N, D), float32 (D,), and the mean squared distance s to it.

    s is at least what float32 tells apart, so that a ratio to it is finite where all images are alike.
    """
    centre = embeddings.mean(axis=0, dtype=np.float64)
    noise = np.square(4 * np.finfo(np.float32).eps) * np.square(centre).sum()
    scale = np.square(embeddings - centre).sum(axis=1).mean()
    return centre.astype(np.float32), float(max(scale, noise, _SMALLEST_SCALE))


def neighbour_scale(embeddings: np.ndarray, knn: int) -> float:
    """Mean over embeddings (N, D) of the mean squared distance to their `knn` nearest others; bounded as s is there."""
    rows = torch.from_numpy(embeddings).double()
    total = 0.0
    for start in range(0, len(rows), _ROWS):
        squared = torch.cdist(rows[start : start + _ROWS], rows).square()
        squared[torch.arange(len(squared)), torch.arange(start, start + len(squared))] = torch.inf
        total += float(squared.topk(min(knn, len(rows) - 1), largest=False).values.mean(dim=1).sum())
    noise = (4 * float(np.finfo(np.float32).eps)) ** 2 * float(rows.square().sum(dim=1).mean())
    return max(total / len(rows), noise, _SMALLEST_SCALE)


def exposure_spreads(bank: np.ndarray, trained: int, weight: np.ndarray, knn: int) -> np.ndarray:
    """Standard deviations over held-out normal images of w·ψ(x) and of the distance to the `knn` nearest: float32 (2,).

    bank: float32 (N, D), of which the first `trained` were trained on, and are what the others are compared with: of
    the images that w was fitted to, neither score says how far it spreads over new ones.
    """
    own, held_out = torch.from_numpy(bank[:trained]).double(), torch.from_numpy(bank[trained:]).double()
    logits = held_out @ torch.from_numpy(weight).double()
    nearest = torch.cdist(held_out, own).square().topk(min(knn, len(own)), largest=False).values.mean(dim=1)
    spreads = [float(values.std(correction=0)) for values in (logits, nearest)]
    return np.maximum(spreads, _SMALLEST_SCALE).astype(np.float32)


def last_checkpoint(adapted: Adapted) -> Adapted:
    """PANDA-Early out of PANDA-SES, whose training is the same: the last checkpoint alone."""
    return replace(
        adapted,
        method="panda-early",
        heads=list(adapted.heads)[-1:],
        centres=adapted.centres[-1:],
        scales=adapted.scales[-1:],
        steps=list(adapted.steps)[-1:],
        banks=None,
    )


def unadapted(backbone: Backbone, embedding: str, embeddings: np.ndarray) -> Adapted:
    """DN2: the pretrained head. embeddings: float32 (N, D) of the normal images, raw."""
    scored = before_whitening(torch.from_numpy(embeddings), embedding).numpy()
    centre, scale = centre_and_scale(scored)
    whitening = whiten(scored, RIDGES[embedding]) if embedding in RIDGES else None
    return Adapted(
        "dn2", embedding, [backbone.adaptable], centre[None], np.array([scale], np.float32), whitening=whitening
    )


class AdaptedHead(nn.Module):
    """From an activation of the frozen part to the embedding and the score: adapted heads side by side.

    score: `knn`, for which there is no score here but an embedding to search a bank with; `centre`: squared distance
    to the centre; `ses-knn`, `ses-centre`: section 3.2, the largest ratio over the checkpoints of such a distance (mean
    over the `knn` nearest normal images, or to the centre) to its mean s_t over the training images, each of which is
    compared with the others; `exposure`: w·ψ(x) (Eq. 5); `exposure-knn`: it and the mean squared distance to the `knn`
    nearest normal images, each over its spread (`exposure_spreads`), added.
    """

    centres: Tensor
    scales: Tensor
    weight: Tensor
    banks: Tensor
    spreads: Tensor
    whitening_mean: Tensor
    whitening_matrix: Tensor

    def __init__(self, adapted: Adapted, score: str, knn: int = 2) -> None:
        super().__init__()
        if score not in SCORES:
            raise PandaError(f"no score {score!r}; there are {', '.join(SCORES)}")
        if score.startswith("exposure") and adapted.weight is None:
            raise PandaError(f"the score w·ψ(x) needs panda-oe; {adapted.method} has no w")
        ses = score.startswith("ses-")
        if ses and adapted.banks is None:
            raise PandaError(f"the score {score} needs the checkpoints of panda-ses; {adapted.method} has none")
        # Only the SES score looks at more than one head; elsewhere the last is the adapted one.
        chosen = slice(None) if ses else slice(-1, None)
        self.heads = nn.ModuleList(list(adapted.heads)[chosen])
        self.score = score
        self.embedding = adapted.embedding
        self.whitened = adapted.whitening is not None and score in ("knn", "centre")
        self.register_buffer("centres", torch.from_numpy(adapted.centres[chosen]))
        self.register_buffer("scales", torch.from_numpy(np.asarray(adapted.scales[chosen], np.float32)))
        if score in ("ses-knn", "exposure-knn"):
            assert adapted.banks is not None
            if adapted.banks.nbytes > _MOST_BANK_BYTES:
                less = "--distance centre, or fewer checkpoints (--every)" if ses else "--distance none"
                raise PandaError(
                    f"{adapted.method} would keep {adapted.banks.nbytes >> 20} MB of embeddings in the graph (at most "
                    f"{_MOST_BANK_BYTES >> 20}); use {less}"
                )
            self.knn = min(knn, adapted.banks.shape[1])
            self.register_buffer("banks", torch.from_numpy(adapted.banks))
        if score == "ses-knn":
            assert adapted.banks is not None
            self.scales = torch.tensor([neighbour_scale(bank, knn) for bank in adapted.banks], dtype=torch.float32)
        if score == "exposure-knn":
            assert adapted.banks is not None
            assert adapted.weight is not None
            spreads = exposure_spreads(adapted.banks[-1], adapted.trained, adapted.weight, knn)
            self.register_buffer("spreads", torch.from_numpy(spreads))
        if adapted.weight is not None:
            self.register_buffer("weight", torch.from_numpy(adapted.weight))
        if self.whitened:
            assert adapted.whitening is not None
            self.register_buffer("whitening_mean", torch.from_numpy(adapted.whitening.mean))
            self.register_buffer("whitening_matrix", torch.from_numpy(adapted.whitening.matrix))

    def forward(self, activation: Tensor) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """(B, C, h, w) → embedding (B, D), the adapted head's levels, score (B,) or None.

        The embedding is the adapted one (for SES the earliest checkpoint's, the most like the pretrained one).
        """
        embeddings, levels = self.embedded(activation)
        return embeddings[:, 0], levels, self.score_of(embeddings)

    def embedded(self, activation: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, h, w) → embeddings by each of the T heads that the score looks at (B, T, D), levels of the first."""
        outputs = [head(activation) for head in self.heads]
        embeddings = torch.stack([before_whitening(values, self.embedding) for values, _ in outputs], dim=1)
        if self.whitened:
            embeddings = (embeddings - self.whitening_mean) @ self.whitening_matrix
        return embeddings, outputs[0][1]

    def score_of(self, embeddings: Tensor) -> Tensor | None:
        """What `embedded` gave, (B, T, D) → score (B,), or None where a bank is to be searched."""
        if self.score == "knn":
            return None
        if self.score == "exposure":
            return embeddings[:, 0] @ self.weight
        if self.score == "exposure-knn":
            nearest = _to_nearest(embeddings[:, 0], self.banks[0], self.knn)
            return embeddings[:, 0] @ self.weight / self.spreads[0] + nearest / self.spreads[1]
        if self.score == "ses-knn":
            distances = [_to_nearest(embeddings[:, t], bank, self.knn) for t, bank in enumerate(self.banks.unbind())]
            return (torch.stack(distances, dim=1) / self.scales).amax(dim=1)
        centres = torch.zeros_like(self.centres) if self.whitened else self.centres
        squared = (embeddings - centres).square().sum(dim=2)
        return squared[:, 0] if self.score == "centre" else (squared / self.scales).amax(dim=1)


def _to_nearest(embeddings: Tensor, bank: Tensor, knn: int) -> Tensor:
    """Mean squared distance of embeddings (B, D) to the `knn` nearest of a bank (N, D): (B,).

    From differences, not expanded squares: near distances keep their digits, and int8 models take no part in it. Of a
    few rows at a time: at most (B, 512, D) differences are held, in torch and in the exported graph.
    """
    squared = [(embeddings[:, None] - rows).square().sum(dim=2) for rows in torch.split(bank, _ROWS)]
    return torch.cat(squared, dim=1).topk(knn, largest=False).values.mean(dim=1)


class AdaptedBackbone(nn.Module):
    """A backbone with adapted heads, for the exporter: the frozen part once, then the heads.

    score: one of SCORES, by default the method's own; knn: see AdaptedHead. pyramid: whether levels behind the frozen
    part come from the `pretrained` head or from the `adapted` one.
    """

    def __init__(
        self,
        backbone: Backbone,
        adapted: Adapted,
        score: str | None = None,
        pyramid: str = "pretrained",
        knn: int = 2,
    ) -> None:
        super().__init__()
        if pyramid not in PYRAMIDS:
            raise PandaError(f"--pyramid {pyramid!r}; expected one of {', '.join(PYRAMIDS)}")
        self.name = backbone.name
        self.weights_sha256 = backbone.weights_sha256
        self.facts = backbone.facts
        self.embedding_size = backbone.embedding_size
        self.levels = backbone.levels
        self.normalise = backbone.normalise
        self.frozen = backbone.frozen
        self.head = AdaptedHead(adapted, score or adapted.score, knn)
        self.has_score = self.head.score != "knn"
        # The pretrained head runs up to its last level only, and not at all where the frozen part holds them all.
        self.pretrained = backbone.adaptable.until_last_level() if pyramid == "pretrained" else None

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]] | tuple[Tensor, list[Tensor], Tensor]:
        """Normalised (B, 3, H, W) → embedding (B, D), levels coarse first and, where `has_score`, score (B,)."""
        activation, fine = self.frozen(x)
        embedding, coarse, score = self.head(activation)
        if self.pretrained is not None:
            coarse = self.pretrained(activation)[1]
        levels = coarse + fine
        return (embedding, levels) if score is None else (embedding, levels, score)
