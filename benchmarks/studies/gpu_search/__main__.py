"""At what sizes would a search on a GPU pay: `python -m benchmarks.studies.gpu_search`. On paper: no GPU was at hand.

What is measured comes from `benchmarks/speed/results/`: milliseconds of the network and of the exact search on two
cores. What a GPU would do is reckoned: brute force as one matrix product, as a GPU prunes badly, at a stated share of
the published peak. Operations of the networks are counted by torch. The table goes to `README.md` beside this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.lib import tables
from benchmarks.lib.results_file import ResultsFile
from panda_train import backbones

HERE = Path(__file__).parent
SHARE = 0.3  # of the published peak that a well written product or network sustains: an assumption
GPUS = {
    "Jetson Orin Nano": (10.0, 68.0, "https://ericxliu.me/posts/benchmarking-llms-on-jetson-orin-nano"),
    "T4": (65.0, 320.0, "https://sysrqmts.com/en/gpus/nvidia/tesla/t4"),
}
"""Published peaks: TFLOP/s with 16-bit numbers, GB/s, and where they are published."""
_NEIGHBORS = 50


@dataclass(frozen=True)
class Case:
    """A search that was measured. cells: of the finest level of a frame. channels: of a joint descriptor. network_ms,
    search_ms: on two cores. gflop: of the network."""

    name: str
    cells: int
    channels: int
    network_ms: float
    search_ms: float
    gflop: float

    @property
    def products_gflop(self) -> float:
        """Of brute force: each cell of a frame with each cell of 50 normal ones."""
        return 2 * self.cells * self.cells * _NEIGHBORS * self.channels / 1e9

    @property
    def gallery_gb(self) -> float:
        """16-bit numbers that brute force reads."""
        return 2 * self.cells * _NEIGHBORS * self.channels / 1e9

    def search_on(self, gpu: str) -> float:
        """Milliseconds, the larger of operations and bytes."""
        tflops, gigabytes, _ = GPUS[gpu]
        return max(self.products_gflop / (SHARE * tflops), self.gallery_gb / gigabytes * 1e3)

    def network_on(self, gpu: str) -> float:
        return self.gflop / (SHARE * GPUS[gpu][0])


def gflop(name: str, side: int = 224) -> float:
    """Operations of a network with random weights, counted by torch; a multiplication and an addition are two."""
    network: Any = backbones.untrained_any(name)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(network.normalise(torch.zeros((1, side, side, 3), dtype=torch.uint8)))
    return float(counter.get_total_flops()) / 1e9


def cases() -> list[Case]:
    """The measured searches, the cheapest first."""
    scaling, peers = ResultsFile("speed/results/scaling"), ResultsFile("speed/results/search_peers")
    found = []
    if row := ResultsFile("speed/results/single_level").get("vit_small_patch16_224"):
        times = row["stages_ms"]
        network = gflop("timm:vit_small_patch16_224")
        found.append(Case("ViT-S/16, 224", 14 * 14, 384, times["backbone"], times["search"], network))
    for side, times in scaling.get("tile: resolution")["stages_ms"].items():
        cells, network = (int(side) // 4) ** 2, gflop(backbones.DEFAULT, int(side))
        found.append(Case(f"EfficientNet-Lite0, {side}", cells, 176, times["backbone"], times["search"], network))
    wide = peers.get("tile: wide")
    times = wide["stages_ms"]
    network = gflop("wide_resnet50_2")
    found.append(
        Case("Wide-ResNet-50-2, 224", wide["queries"], wide["dimensions"], times["backbone"], times["search"], network)
    )
    return found


def main() -> None:
    lines = []
    for case in cases():
        cells = [
            case.name, tables.number(case.network_ms, 1), tables.number(case.search_ms, 1),
            tables.number(case.gflop, 1), tables.number(case.products_gflop, 1),
        ]  # fmt: skip
        for gpu in GPUS:
            cells += [tables.number(case.network_on(gpu), 2), tables.number(case.search_on(gpu), 1)]
        lines.append([*cells, tables.number(case.products_gflop / case.search_ms, 2)])
    gpus = "; ".join(f"{name} {peak:g} TFLOP/s and {rate:g} GB/s ({url})" for name, (peak, rate, url) in GPUS.items())
    header = (
        "network, input", "network ms, 2 cores", "search ms, 2 cores", "network GFLOP", "brute force GFLOP",
        *(f"{what} ms, {gpu}" for gpu in GPUS for what in ("network", "search")), "break-even TFLOP/s",
    )  # fmt: skip
    page = [
        "# A search on a GPU, on paper",
        "`python -m benchmarks.studies.gpu_search`. Times on two cores are rows of `benchmarks/speed/results/` "
        "(scaling, search_peers, single_level), on an AMD EPYC. A frame is compared with 50 normal pictures. Nothing "
        f"ran on a GPU: its times are operations over {SHARE:.0%} of the published 16-bit peak, or bytes over the "
        f"published rate where those take longer. {gpus}. Break-even: what a GPU must sustain in the product so that "
        "its search takes as long as ours on two cores.",
        tables.table(header, lines),
    ]
    (HERE / "README.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
