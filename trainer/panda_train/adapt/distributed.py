"""Data-parallel work on torch.distributed: each process owns every count-th image.

A batch is the same set of images whatever the number of processes; each takes its own ones, and the sums of the
gradients are the gradient of one process, up to rounding.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist


@dataclass(frozen=True)
class Workers:
    """This process among its fellows: number `rank` of `count`."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
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

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def workers(device: str) -> Iterator[Workers]:
    """The processes that torchrun started, or this one alone. gloo on CPUs, nccl on GPUs."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Workers()
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Workers(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
