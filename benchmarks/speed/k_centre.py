"""Greedy k-centre at the size that PatchCore asks for, a tenth of all joint descriptors, beside numpy's step by step.

Every step of the usual way passes over all descriptors. It is timed for some steps only, and multiplied: all of them
would take too long.
"""

from __future__ import annotations

import time

import numpy as np

import panda_edge
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, say
from benchmarks.peers.search import stored_features
from benchmarks.speed.bank_table import EXACT
from panda_edge import kernel
from panda_edge.banks.level_files import joint_descriptors

SHARE = 0.1
_STEPS = 100  # of the usual way, timed


def measure_k_centre(subject: Subject, rows: ResultsFile, threads: int) -> None:
    """The row `NAME: k-centre`: seconds for a tenth of the stride-8 descriptors of all normal images."""
    descriptors = _descriptors(subject, threads)
    count = round(SHARE * len(descriptors))
    say(f"k-centre: {count} of {len(descriptors)}")
    started = time.perf_counter()
    chosen = kernel.k_centre(descriptors, count, threads=threads)
    seconds = time.perf_counter() - started
    step_seconds, same = _usual_steps(descriptors, chosen)
    if same < 0.99:  # roundings may turn a tie
        raise AssertionError(f"only {same:.0%} of the steps take the same descriptor")
    rows.update(
        f"{subject.name}: k-centre",
        descriptors=len(descriptors),
        dimensions=descriptors.shape[1],
        chosen=count,
        seconds=round(seconds, 1),
        numpy_step_seconds=round(step_seconds, 4),
        numpy_steps_timed=_STEPS,
    )


def _descriptors(subject: Subject, threads: int) -> np.ndarray:
    """Joint descriptors of the levels that PatchCore takes, strides 16 and 8, of all normal images: float32 (N, D)."""
    gallery, _ = stored_features(panda_edge.load(subject.bundle(EXACT.args), threads))
    joint = [joint_descriptors(levels) for levels in zip(*gallery[:2], strict=True)]
    return np.concatenate(joint).astype(np.float32)


def _usual_steps(points: np.ndarray, chosen: np.ndarray) -> tuple[float, float]:
    """Seconds a step, and the share of steps that agree with `chosen`."""
    squares = np.einsum("ij,ij->i", points, points)
    distances = np.full(len(points), np.inf, np.float32)
    agree = 0
    started = time.perf_counter()
    for step in range(_STEPS):
        row = points[chosen[step]]
        np.minimum(distances, squares - 2 * (points @ row) + row @ row, out=distances)
        agree += int(distances.argmax() == chosen[step + 1])
    return (time.perf_counter() - started) / _STEPS, agree / _STEPS
