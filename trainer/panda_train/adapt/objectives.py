"""What adaptation minimises. Each objective sums over the images given, so that parts of a batch add up.

`groups` are the embeddings of one step, one tensor (b, D) a data source: normal images first, then, for the joint
objective and outlier exposure, the other images; for the contrastive loss, two views of the same images.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Objective(Protocol):
    """A loss over the embeddings of one step, and the parameters it brings along.

    whole_batch: whether images are compared with one another, so that `loss` wants those of all processes.
    """

    whole_batch: bool

    def parameters(self) -> list[nn.Parameter]:
        """Trained together with the head."""

    def loss(self, groups: Sequence[Tensor], indices: Sequence[Tensor]) -> Tensor:
        """Sum of the images' losses, a scalar. `indices`: the images' positions in their source, (b,) int64 each."""


def embed(embedding: Tensor, unit: bool) -> Tensor:
    """ψ(x), or ψ(x) / ‖ψ(x)‖ where `unit`: (B, D) → (B, D)."""
    return F.normalize(embedding, dim=1) if unit else embedding


class Compactness:
    """Eq. 1: ‖ψ(x) − c‖², c fixed. Not divided by D: under gradient clipping a constant factor has next to no effect.

    centre: (D,).
    """

    whole_batch = False

    def __init__(self, centre: Tensor, unit: bool) -> None:
        self.centre = centre
        self.unit = unit

    def parameters(self) -> list[nn.Parameter]:
        return []

    def loss(self, groups: Sequence[Tensor], indices: Sequence[Tensor]) -> Tensor:
        return (embed(groups[0], self.unit) - self.centre).square().sum()


class Joint(Compactness):
    """Eq. 2 (Perera and Patel): compactness of the normal images and classification of pre-training images.

    labels: int64 (M,), the classes of the second source. The classifier is trained too.
    """

    def __init__(self, centre: Tensor, unit: bool, classifier: nn.Linear, labels: Tensor, weight: float = 1.0) -> None:
        super().__init__(centre, unit)
        self.classifier = classifier
        self.labels = labels
        self.weight = weight

    def parameters(self) -> list[nn.Parameter]:
        return list(self.classifier.parameters())

    def loss(self, groups: Sequence[Tensor], indices: Sequence[Tensor]) -> Tensor:
        labels = self.labels[indices[1]].to(groups[1].device)
        classification = F.cross_entropy(self.classifier(groups[1]), labels, reduction="sum")
        return super().loss(groups, indices) + self.weight * classification


class OutlierExposure:
    """Eq. 5: logistic regression of w·ψ(x) + b, normal images (0) against the exposed outliers (1).

    weight: (D,) and bias: (), where they start. The score is w·ψ(x): b is the same for all images.
    """

    whole_batch = False

    def __init__(self, weight: Tensor, bias: Tensor, unit: bool) -> None:
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
        self.unit = unit

    def parameters(self) -> list[nn.Parameter]:
        return [self.weight, self.bias]

    def loss(self, groups: Sequence[Tensor], indices: Sequence[Tensor]) -> Tensor:
        normal, exposed = (embed(group, self.unit) @ self.weight + self.bias for group in groups)
        return F.softplus(normal).sum() + F.softplus(-exposed).sum()


class MeanShifted:
    """Mean-shifted contrastive loss and angular centre loss (Reiss and Hoshen, AAAI 2023, arXiv 2106.03844).

    With the angular feature φ(x) = ψ(x)/‖ψ(x)‖ and θ(x) = (φ(x) − c) / ‖φ(x) − c‖, an image's direction as seen from
    the normal images' centre, two views x′ and x″ of each of N images, τ the temperature:

        L_msc(x′, x″) = −log ( exp(θ(x′)·θ(x″)/τ) / Σ over the 2N − 1 views y other than x′ of exp(θ(x′)·θ(y)/τ) )
        L_angular(x) = −φ(x)·c

    The loss is the sum over the 2N views of L_msc + angular · L_angular; the paper takes τ = 0.25 and angular = 1.

    centre: c (D,), the mean of φ over the normal images before adaptation, not of unit length. metric: (D, E) or
    None; θ is the direction of (φ(x) − c) · metric, so that a whitening measures angles as a whitened score does.
    """

    whole_batch = True

    def __init__(self, centre: Tensor, temperature: float, angular: float, metric: Tensor | None = None) -> None:
        self.centre = centre
        self.temperature = temperature
        self.angular = angular
        self.metric = metric

    def parameters(self) -> list[nn.Parameter]:
        return []

    def loss(self, groups: Sequence[Tensor], indices: Sequence[Tensor]) -> Tensor:
        features = F.normalize(torch.cat(list(groups)), dim=1)
        shifted = features - self.centre
        directions = F.normalize(shifted if self.metric is None else shifted @ self.metric, dim=1)
        similarity = directions @ directions.T / self.temperature
        others = similarity.masked_fill(torch.eye(len(features), dtype=torch.bool, device=features.device), -torch.inf)
        other_view = torch.arange(len(features), device=features.device).roll(len(groups[0]))
        contrastive = F.cross_entropy(others, other_view, reduction="sum")
        return contrastive - self.angular * (features @ self.centre).sum()


class ElasticPull:
    """Eq. 3: λ/2 · Σ F_i (θ_i − θ*_i)², whose gradient is added once a step.

    fisher: the diagonal, in the order of the head's parameters; θ* are their values now.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], fisher: Sequence[Tensor], strength: float) -> None:
        if [p.shape for p in parameters] != [f.shape for f in fisher]:
            raise ValueError("the Fisher diagonal has other shapes than the parameters; it is of another backbone")
        self.parameters = list(parameters)
        self.fisher = [diagonal.to(p.device) for diagonal, p in zip(fisher, parameters, strict=True)]
        self.anchors = [p.detach().clone() for p in parameters]
        self.strength = strength

    def add_gradient(self) -> None:
        """Add λ F (θ − θ*) to each parameter's gradient."""
        for f, p, a in zip(self.fisher, self.parameters, self.anchors, strict=True):
            assert p.grad is not None
            p.grad.addcmul_(f, p.detach() - a, value=self.strength)
