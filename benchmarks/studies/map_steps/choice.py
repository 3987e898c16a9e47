"""Choosing a variant by sets, and judging it on the set that was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Rows = Mapping[str, Mapping[str, Any]]  # of a set, by variant
Choice = tuple[str, str]  # variant, statistic of the image
FIGURES = ("image", "pixel", "pro")
BOUNDS = {"image": 0.005, "pixel": 0.005, "pro": 0.01}  # that a choice may lose on a set, at most


def figure(row: Mapping[str, Any], name: str, rule: str) -> float | None:
    """One of FIGURES; None where a set has no masks, or no such statistic."""
    value = row["image"].get(rule) if name == "image" else row.get(name)
    return None if value is None else float(value)


def merit(sets: Iterable[Rows], choice: Choice) -> float:
    """The mean over figures of their means over sets."""
    variant, rule = choice
    means = []
    for name in FIGURES:
        values = [found for rows in sets if (found := figure(rows[variant], name, rule)) is not None]
        means.append(float(np.mean(values)) if values else np.nan)
    return float(np.nanmean(means))


def choose(sets: Sequence[Rows], among: Sequence[Choice]) -> Choice:
    """The choice of most merit; of equal ones the first."""
    return max(among, key=lambda choice: round(merit(sets, choice), 6))


@dataclass(frozen=True)
class Left:
    """What a choice made on the other sets is worth on the one left out.

    values: its figures; best: the highest that any choice has there, figure by figure."""

    name: str
    choice: Choice
    values: dict[str, float | None]
    best: dict[str, float | None]

    def loss(self, name: str) -> float | None:
        """How far below the best of this set, 0 or more."""
        best, value = self.best[name], self.values[name]
        return None if best is None or value is None else best - value


def left_out(sets: Mapping[str, Rows], among: Sequence[Choice]) -> list[Left]:
    """Each set in turn judged by the choice of all the others."""
    found = []
    for name, rows in sets.items():
        chosen = choose([other for key, other in sets.items() if key != name], among)
        every = {
            figure_name: [v for variant, rule in among if (v := figure(rows[variant], figure_name, rule)) is not None]
            for figure_name in FIGURES
        }
        found.append(
            Left(
                name,
                chosen,
                {key: figure(rows[chosen[0]], key, chosen[1]) for key in FIGURES},
                {key: max(values) if values else None for key, values in every.items()},
            )
        )
    return found


@dataclass(frozen=True)
class Effect:
    """What a step changes, figure by figure: mean over sets, and the worst set with its change."""

    mean: dict[str, float]
    worst: dict[str, tuple[float, str]]

    @property
    def pays(self) -> bool:
        """The rule for a step that stays: a mean of + .003 somewhere, and nowhere worse than BOUNDS."""
        gains = any(value >= 0.003 for value in self.mean.values())
        return gains and all(change >= -BOUNDS[name] for name, (change, _) in self.worst.items())


def effect(sets: Mapping[str, Rows], without: Choice, with_step: Choice) -> Effect:
    """Of the second choice against the first."""
    mean, worst = {}, {}
    for name in FIGURES:
        changes = []
        for key, rows in sets.items():
            before, after = (figure(rows[variant], name, rule) for variant, rule in (without, with_step))
            if before is not None and after is not None:
                changes.append((after - before, key))
        if changes:
            mean[name] = float(np.mean([change for change, _ in changes]))
            worst[name] = min(changes)
    return Effect(mean, worst)
