"""Data-parallel work on torch.distributed: each process owns every count-th image.

A batch is the same set of images whatever the number of processes; each takes its own ones, and the sums of the
gradients are the gradient of one process, up to rounding.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from panda_edge.errors import PandaError

T = TypeVar("T")

_asked_to_end = threading.Event()


@dataclass(frozen=True)
class Workers:
    """This process among its fellows: number `rank` of `count`."""

    rank: int = 0
    count: int = 1

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def owned(self, images: int) -> np.ndarray:
        """Numbers of this process's images, int64, ascending."""
        return np.arange(self.rank, images, self.count)

    def own_places(self, indices: np.ndarray) -> np.ndarray:
        """Where, among the image numbers given, those owned here stand, int64 ascending."""
        return np.flatnonzero(indices % self.count == self.rank)

    def own_positions(self, indices: np.ndarray) -> np.ndarray:
        """Of the image numbers given, those owned here, as positions in `owned`."""
        positions: np.ndarray = indices[self.own_places(indices)] // self.count
        return positions

    def everyones(self, rows: Tensor, indices: np.ndarray) -> Tensor:
        """Rows of the images owned here, of the numbers given, (owned, D) → rows of all of them, in their order.

        Only the own rows carry gradients: of a loss of all rows, each process has its own rows' share, and the shares
        add up.
        """
        if self.count == 1:
            return rows
        places = torch.from_numpy(self.own_places(indices)).to(rows.device)
        everything = torch.zeros(len(indices), *rows.shape[1:], dtype=rows.dtype, device=rows.device)
        everything[places] = rows.detach()
        dist.all_reduce(everything)
        return everything.index_copy(0, places, rows)

    def sum(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.count > 1:
            _goes_on()
            for tensor in tensors:
                dist.all_reduce(tensor)

    def gather_rows(self, rows: Tensor, images: int) -> Tensor:
        """Rows of owned images, (owned, D) → rows of all images in their order, (images, D), in every process."""
        if self.count == 1:
            return rows
        everything = torch.zeros(images, *rows.shape[1:], dtype=rows.dtype, device=rows.device)
        everything[self.rank :: self.count] = rows
        dist.all_reduce(everything)
        return everything

    def gather(self, part: T, everyone: bool) -> list[T]:
        """The parts of all, by rank; empty for all but rank 0 unless `everyone` is to get them."""
        if self.count == 1:
            return [part]
        _goes_on()
        parts: list[T] = [part] * self.count if everyone or self.is_rank_zero else []
        if everyone:
            dist.all_gather_object(parts, part)
        else:
            dist.gather_object(part, parts or None)
        return parts

    def on_rank_zero(self, work: Callable[[], T]) -> T:
        """Let rank 0 work; all get its result."""
        result = [work() if self.is_rank_zero else None]
        if self.count > 1:
            _goes_on()
            dist.broadcast_object_list(result)
        return result[0]  # type: ignore[return-value]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def workers(device: str) -> Iterator[Workers]:
    """The processes that torchrun started, or this one alone. gloo on CPUs, nccl on GPUs.

    Where one fails, all end, and the first to fail says why: of the others each finds itself alone, and exits silently.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Workers()
        return
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store, rank, count = next(rendezvous("env://"))
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", store=store, rank=rank, world_size=count)
    signal.signal(signal.SIGTERM, lambda *_: _asked_to_end.set())  # torchrun's, when another has failed
    try:
        yield Workers(rank, count)
    except (PandaError, OSError, MemoryError) as error:
        if _said(store):
            raise SystemExit(2) from error
        raise
    except RuntimeError as error:  # torch has no type of its own for a process that is not there
        if _said(store):
            raise SystemExit(2) from error
        raise PandaError(f"another of the {count} processes has ended, and nothing was written; start again") from error
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        dist.destroy_process_group()


def _goes_on() -> None:
    """Raise RuntimeError where torchrun has asked this process to end: here, between steps, where it can clean up."""
    if _asked_to_end.is_set():
        raise RuntimeError("asked to end")


def _said(store: Any) -> bool:
    """Whether another process has said already why all end."""
    try:
        return bool(store.add("panda-edge: said", 1) > 1)
    except RuntimeError:  # the store was the process that has ended
        return False
