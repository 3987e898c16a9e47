"""The training loop: SGD on a head over stored activations, interruptible at any step."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from panda_edge.errors import PandaError
from panda_train.adapt import checkpoint
from panda_train.adapt.batches import Batches, Group
from panda_train.adapt.collapse import Look, look
from panda_train.adapt.config import AdaptConfig
from panda_train.adapt.distributed import Workers
from panda_train.adapt.objectives import ElasticPull, Objective, embed
from panda_train.backbones import AdaptablePart

SAVE_SECONDS = 20.0
"""Least time between two checkpoints; the last one is always written."""


@dataclass(frozen=True)
class Watched:
    """Normal images that the watch on collapse looks at: a few of the trained ones, and held-out ones.

    centre: (D,), of the embedding as trained.
    """

    trained: Tensor
    held_out: Tensor
    centre: Tensor


@dataclass
class Trained:
    """snapshots: (step, head) as asked for. looks: the watch on collapse."""

    head: AdaptablePart
    snapshots: list[tuple[int, AdaptablePart]]
    looks: list[Look]


@dataclass(frozen=True)
class Run:
    """How training runs: the processes that share it, where its state is kept, who is told of each step.

    state_file: where to go on from, if it exists, and what to write while training; a run killed at any moment and
    started again ends with the same weights as an undisturbed one. on_step: is given the step and their number.
    """

    workers: Workers = field(default_factory=Workers)
    state_file: Path | None = None
    on_step: Callable[[int, int], None] = lambda step, total: None


def train(
    head: AdaptablePart,
    batches: Batches,
    objective: Objective,
    config: AdaptConfig,
    watched: Watched,
    run: Run,
    *,
    pull: ElasticPull | None = None,
    snapshot_steps: Sequence[int] = (),
) -> Trained:
    """Train `head` in place for `config.total_steps` mini-batches.

    batches: the groups of the objective. snapshot_steps: after which steps to keep a copy of the head.
    """
    workers, state_file = run.workers, run.state_file
    parameters = [*head.parameters(), *objective.parameters()]
    optimizer = torch.optim.SGD(parameters, config.learning_rate, config.momentum, weight_decay=config.weight_decay)
    progress = _Progress(head, objective, optimizer, config)
    if state_file is not None and state_file.exists():
        progress.restore(checkpoint.read(state_file), state_file)
    total = config.total_steps(batches.images)
    if workers.is_rank_zero and progress.first_held_out is None:
        progress.first_held_out = _embeddings(head, watched.held_out, config.unit)
        progress.look(watched)
    saved = time.monotonic()
    while progress.step < total:
        groups = batches.of_step(progress.step)
        loss = _step(head, groups, objective, optimizer, parameters, config, workers, pull)
        progress.step += 1
        step = progress.step
        if not np.isfinite(loss):
            raise PandaError(f"the loss is {loss} after {step} steps; choose a smaller --learning-rate")
        if step in snapshot_steps:
            progress.snapshots.append((step, {k: v.detach().clone() for k, v in head.state_dict().items()}))
        if workers.is_rank_zero and (step % config.watch == 0 or step == total):
            progress.look(watched, loss)
        due = step == total or time.monotonic() - saved > SAVE_SECONDS
        if due and workers.is_rank_zero and state_file is not None:
            checkpoint.save(state_file, progress.state())
            saved = time.monotonic()
        run.on_step(step, total)
    return Trained(head, [(step, _with_weights(head, weights)) for step, weights in progress.snapshots], progress.looks)


def _step(
    head: AdaptablePart,
    groups: Sequence[Group],
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    parameters: list[nn.Parameter],
    config: AdaptConfig,
    workers: Workers,
    pull: ElasticPull | None,
) -> float:
    """One mini-batch; returns the mean loss of its images."""
    device = parameters[0].device
    indices = [numbers for _, numbers in groups]
    batch = torch.cat([source.batch(workers.own_positions(numbers)) for source, numbers in groups])
    images = sum(len(ns) for ns in indices)
    optimizer.zero_grad(set_to_none=False)
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    with torch.autocast(device.type, torch.bfloat16, enabled=config.mixed_precision):
        values = head(batch.to(device, non_blocking=True))[0]
    # The loss itself stays in float32: squares of small differences are what it is made of.
    embeddings = torch.split(values.float(), [len(workers.own_places(ns)) for ns in indices])
    if objective.whole_batch:
        embeddings = tuple(workers.everyones(rows, ns) for rows, ns in zip(embeddings, indices, strict=True))
        own = indices
    else:
        own = [ns[workers.own_places(ns)] for ns in indices]
    loss = objective.loss(embeddings, [torch.from_numpy(ns) for ns in own]) / images
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    # A loss of the whole batch is the same in every process, so that one of them counts.
    total_loss = loss.detach().clone() if workers.is_rank_zero or not objective.whole_batch else torch.zeros_like(loss)
    workers.sum([*gradients, total_loss])
    if pull is not None:
        pull.add_gradient()
    if config.clip:
        nn.utils.clip_grad_norm_(parameters, config.clip)
    optimizer.step()
    return float(total_loss)


class _Progress:
    """All that changes while training, as one plain dictionary for checkpoints."""

    def __init__(
        self, head: AdaptablePart, objective: Objective, optimizer: torch.optim.Optimizer, config: AdaptConfig
    ) -> None:
        self.step = 0
        self.looks: list[Look] = []
        self.snapshots: list[tuple[int, dict[str, Tensor]]] = []
        self.first_held_out: Tensor | None = None
        self._head, self._objective, self._optimizer, self._config = head, objective, optimizer, config

    def look(self, watched: Watched, loss: float | None = None) -> None:
        """Add a look at the watched images, by the process that speaks."""
        assert self.first_held_out is not None
        unit = self._config.unit
        trained, held_out = (_embeddings(self._head, images, unit) for images in (watched.trained, watched.held_out))
        self.looks.append(look(self.step, trained, held_out, self.first_held_out, watched.centre.cpu(), loss))

    def state(self) -> dict[str, Any]:
        return {
            "config": self._config.plain(),
            "step": self.step,
            "head": self._head.state_dict(),
            "objective": [parameter.detach() for parameter in self._objective.parameters()],
            "optimizer": self._optimizer.state_dict(),
            "snapshots": self.snapshots,
            "looks": [asdict(seen) for seen in self.looks],
            "first_held_out": self.first_held_out,
        }

    def restore(self, state: dict[str, Any], path: Path) -> None:
        own = {name: value.shape for name, value in self._head.state_dict().items()}
        others = {name: value.shape for name, value in state.get("head", {}).items()}
        if state.get("config") != self._config.plain() or own != others:
            raise PandaError(f"{path} was written with other settings; give those again, or remove it to start anew")
        self._head.load_state_dict(state["head"])
        with torch.no_grad():
            for parameter, value in zip(self._objective.parameters(), state["objective"], strict=True):
                parameter.copy_(value)
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.looks = [Look(**seen) for seen in state["looks"]]
        self.snapshots = [(step, weights) for step, weights in state["snapshots"]]
        self.first_held_out = state["first_held_out"]


def _embeddings(head: AdaptablePart, activations: Tensor, unit: bool) -> Tensor:
    """(n, C, h, w) → (n, D) on the CPU."""
    device = next(head.parameters()).device
    with torch.no_grad():
        return torch.cat([embed(head(part.to(device))[0], unit).cpu() for part in torch.split(activations, 32)])


def _with_weights(head: AdaptablePart, weights: dict[str, Tensor]) -> AdaptablePart:
    twin = copy.deepcopy(head)
    twin.load_state_dict(weights)
    return twin.requires_grad_(False)
