"""Where the w of outlier exposure (Eq. 5) starts: at the best w for the features as they are.

The published clip bounds how far a step goes, w included: from zero, w would be little more than the direction from
the normal mean to the exposed mean by the end. Fitting w is a convex problem, so it is solved before features move.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_ITERATIONS = 200


def fit_weight(normal: Tensor, exposed: Tensor, decay: float, prior: float) -> tuple[Tensor, Tensor]:
    """w, float32 (D,), and b, float32 (), that minimise over embeddings (n, D) and (m, D)

        ½ mean softplus(w·ψ + b) over normal + ½ mean softplus(−w·ψ − b) over exposed + ½ decay · ‖w − w₀‖²

    which is Eq. 5 as it is trained, both groups counting alike. w₀ = −prior · (normal mean): for unit embeddings
    w₀·ψ is, but for a constant, prior / 2 times the squared distance to that mean; so, where the exposed images say
    nothing of a direction, the score is the one-class one. The prior is of unit embeddings; give 0 for others.
    """
    normal, exposed = normal.double().cpu(), exposed.double().cpu()
    start = -prior * normal.mean(dim=0)
    weight = start.clone().requires_grad_(True)
    bias = (-(normal @ start).mean()).requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=_ITERATIONS, tolerance_grad=1e-7, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        losses = F.softplus(normal @ weight + bias).mean() + F.softplus(-(exposed @ weight) - bias).mean()
        loss = losses / 2 + decay / 2 * (weight - start).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach().float(), bias.detach().float()
