"""How an embedding becomes what is compared: of unit length, rooted, whitened."""

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from panda_train.adapt.config import RIDGES


@dataclass(frozen=True)
class Whitening:
    """z = (φ − mean) · matrix, in which normal embeddings have about unit covariance (section 4.3.2).

    mean: float32 (D,); matrix: float32 (D, D).
    """

    mean: np.ndarray
    matrix: np.ndarray


def whiten(embeddings: np.ndarray, ridge: float = RIDGES["whitened"]) -> Whitening:
    """Fit on normal embeddings (N, D). `ridge`: added to each variance, in shares of the mean variance.

    With fewer images than dimensions the ridge decides how much the unseen directions count.
    """
    mean = embeddings.mean(axis=0, dtype=np.float64)
    count, size = embeddings.shape
    if count >= size:
        variances, directions = np.linalg.eigh(np.cov(embeddings.T.astype(np.float64)))
        scale = 1 / np.sqrt(np.clip(variances, 0, None) + ridge * max(variances.mean(), 1e-12))
        return Whitening(mean.astype(np.float32), (directions * scale).astype(np.float32))
    # Fewer images than dimensions: their few directions, and one scale for all others. The same but for a rotation.
    centred = (embeddings - mean) / np.sqrt(max(1, count - 1))
    variances, combinations = np.linalg.eigh(centred @ centred.T)
    added = ridge * max(variances.clip(min=0).sum() / size, 1e-12)
    seen = variances > variances.max() * 1e-12
    directions = centred.T @ combinations[:, seen] / np.sqrt(variances[seen])
    more = 1 / np.sqrt(variances[seen] + added) - 1 / np.sqrt(added)
    matrix = np.eye(size) / np.sqrt(added) + (directions * more) @ directions.T
    return Whitening(mean.astype(np.float32), matrix.astype(np.float32))


def before_whitening(values: Tensor, embedding: str) -> Tensor:
    """Raw ψ(x), (B, D), as an embedding of this name has it before any whitening.

    `raw` ψ; `unit` and `whitened` ψ/‖ψ‖; `rooted` √ψ/‖√ψ‖: ψ is a mean of values that are not below 0, and the squared
    distance of two such roots is Hellinger's (RootSIFT, Arandjelović and Zisserman, CVPR 2012). A root brings large and
    small channels nearer to one another; one below 0, of a network that ends otherwise, counts as 0.
    """
    if embedding == "raw":
        return values
    return F.normalize(values.clamp(min=0).sqrt() if embedding == "rooted" else values, dim=1)
