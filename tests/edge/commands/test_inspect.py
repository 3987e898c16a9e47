"""The contracts of `panda-edge info`, `verify` and `bench`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import panda_edge
from command_line import Run, refused
from panda_edge import kernel
from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.detector import STAGES


class TestInfoVerifyBench:
    def test_info(self, run: Run, any_bundle: Path) -> None:
        done = run("info", any_bundle, "--threads", 3, "--json")
        facts = done.report
        manifest = json.loads((any_bundle / MANIFEST_NAME).read_text())
        for field in ("method", "backbone", "preprocessing", "embedding_size", "levels"):
            assert facts[field] == manifest[field]
        assert facts["detection"]["bank"] == manifest["detection"]["bank"]
        assert facts["bytes"] == sum(entry["bytes"] for entry in manifest["files"].values())
        assert facts["simd"] == kernel.simd_level()
        assert facts["simd"] in facts["simd_levels"]
        assert (facts["threads"], facts["panda_edge"]) == (3, panda_edge.__version__)
        words = run("info", any_bundle).out
        assert facts["simd"] in words
        assert manifest["detection"]["bank"] in words

    def test_verify(self, run: Run, any_bundle: Path) -> None:
        report = run("verify", any_bundle, "--json").report
        assert report["ok"] is True
        assert set(report["largest_difference"]) == {"embedding", "score", "heatmap"}
        for name, difference in report["largest_difference"].items():
            assert 0 <= difference <= report["tolerance"][name]
        assert "largest difference" in run("verify", any_bundle).out

    def test_verify_of_an_altered_bundle(self, run: Run, bundle_copy: Callable[..., Path]) -> None:
        bundle = bundle_copy()
        data = bytearray((bundle / "bank/stride04.npy").read_bytes())
        data[-1] ^= 1
        (bundle / "bank/stride04.npy").write_bytes(data)
        refused(run("verify", bundle, "--json"), "stride04.npy: its sha256")

    def test_bench(self, run: Run, exact_bundle: Path, images: Path) -> None:
        report = run("bench", exact_bundle, images, "--threads", 1, "--frames", 5, "--json").report
        assert report["fps"] > 0
        latency = report["latency_ms"]
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
        assert set(report["stages_ms"]) == set(STAGES)
        assert sum(report["stages_ms"].values()) < 3 * latency["p99"]
        assert report["cold_start_ms"] > latency["p50"]
        assert report["rss_mb"] > 10
        assert (report["threads"], report["simd"]) == (1, kernel.simd_level())
        assert report["cpu"]

    def test_bench_without_images_runs_the_self_test(self, run: Run, exact_bundle: Path) -> None:
        report = run("bench", exact_bundle, "--frames", 3, "--json").report
        assert report["fps"] > 0
        assert report["cold_start_ms"] is None
        assert "frames/s" in run("bench", exact_bundle, "--frames", 3).out

    def test_bench_of_nothing(self, run: Run, exact_bundle: Path, tmp_path: Path) -> None:
        refused(run("bench", exact_bundle, tmp_path), "no images in this folder")
        refused(run("bench", exact_bundle, tmp_path / "none.png"), "no such file")
