"""Watching adaptation for collapse: all images, normal or not, drawn to one point (the paper's Fig. 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

COLLAPSED_SPREAD = 0.25
"""Share of the first spread below which features count as collapsed; of the effective rank likewise."""
COLLAPSED_RANK = 0.5


@dataclass(frozen=True)
class Look:
    """Features of a few normal images at one moment of adaptation, the embedding as the score uses it.

    step: mini-batches done. s_t: mean squared distance of training images to the centre. held_out: the same of normal
    images that are not trained on. spread: mean squared distance of held-out images to their own mean. rank:
    effective rank of their covariance, exp of the spectrum's entropy, 1 … D. drift: mean squared distance to the
    same images' first embeddings, over the first mean squared norm. loss: of the last batch, an image; None before.
    """

    step: int
    s_t: float
    held_out: float
    spread: float
    rank: float
    drift: float
    loss: float | None = None


def look(
    step: int, trained: Tensor, held_out: Tensor, first_held_out: Tensor, centre: Tensor, loss: float | None = None
) -> Look:
    """Embeddings (n, D) of trained and of held-out images, and those that the latter had at the start; centre (D,)."""
    centred = held_out - held_out.mean(dim=0)
    return Look(
        step=step,
        s_t=float((trained - centre).square().sum(dim=1).mean()),
        held_out=float((held_out - centre).square().sum(dim=1).mean()),
        spread=float(centred.square().sum(dim=1).mean()),
        rank=effective_rank(centred),
        drift=float((held_out - first_held_out).square().sum(dim=1).mean() / first_held_out.square().sum(1).mean()),
        loss=loss,
    )


def effective_rank(centred: Tensor) -> float:
    """exp(entropy of the covariance's normalised eigenvalues) of centred rows (n, D); 1 where there is no variance."""
    variances = torch.linalg.svdvals(centred.double()).square()
    if not float(variances.sum()) > 0:
        return 1.0
    shares = variances / variances.sum()
    return float(torch.exp(-torch.special.xlogy(shares, shares).sum()))


def verdict(looks: Sequence[Look]) -> str:
    """What the looks say, in one line."""
    first, last = looks[0], looks[-1]
    for seen in looks[1:]:
        spread, rank = _share(seen.spread, first.spread), _share(seen.rank, first.rank)
        if spread < COLLAPSED_SPREAD or rank < COLLAPSED_RANK:
            return (
                f"features collapsed by step {seen.step}: spread {spread:.0%} and effective rank {rank:.0%} of the "
                f"start's; stop earlier (--steps {max(1, seen.step // 2)}) or use panda-ewc or panda-ses"
            )
    return (
        f"no collapse in {last.step} steps: distance to the centre {_share(last.s_t, first.s_t):.0%}, spread "
        f"{_share(last.spread, first.spread):.0%}, effective rank {_share(last.rank, first.rank):.0%} of the start's"
    )


def _share(now: float, before: float) -> float:
    return now / before if before > 0 else 0.0


def plot(looks: Sequence[Look], path: Path, auroc: Sequence[float | None] = ()) -> None:
    """The curves over the steps, as PNG or SVG by the name's end; with the AUROC (percent) of each look where known."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps = [seen.step for seen in looks]
    for name, label in (("s_t", "distance to centre"), ("spread", "spread"), ("rank", "effective rank")):
        first = getattr(looks[0], name)
        axes.plot(steps, [_share(getattr(seen, name), first) for seen in looks], label=f"{label}, of its start")
    axes.plot(steps, [seen.drift for seen in looks], label="drift", linestyle=":")
    axes.set_xlabel("mini-batches")
    axes.set_ylim(bottom=0)
    known = [(seen.step, value) for seen, value in zip(looks, auroc, strict=False) if value is not None]
    if known:
        right = axes.twinx()
        right.plot(*zip(*known, strict=True), color="black", marker="o", label="AUROC")
        right.set_ylabel("AUROC, %")
    axes.legend(frameon=False)
    figure.savefig(path)
