"""A whole device on arm64, emulated: python -m benchmarks.endurance.arm [--work DIR] [--bundle X.panda PICTURES]

Makes an arm64 root of Debian's packages and the aarch64 wheelhouse, installs it there, and has qemu-user run what a
device runs: `verify` and `segment` of a bundle that this machine made, and the device's tests that need no torch.
Numbers are compared, nothing is timed: no Arm machine was at hand. Rows go to benchmarks/endurance/results/arm.json.
Resumable: what lies in DIR (build/arm) is used again.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from delivery.arm_root import emulated, install, make_root
from delivery.wheelhouse import fill

from benchmarks.lib.conditions import commit
from benchmarks.lib.results_file import ResultsFile

ROOT = Path(__file__).parents[2]
# Of tests/edge, what needs neither torch nor a bundle that torch makes.
TESTS = ("kernel_bytes", "kernel_coreset_gaussian", "level_means", "kernel_scope", "kernel_flat_search",
         "kernel_memory", "kernel_pyramid")  # fmt: skip
COMMAND = "import sys; sys.argv[0] = 'panda-edge'; from panda_edge.commands.app import main; main()"


def main() -> None:
    work, bundle, pictures = asked(__doc__, ROOT / "build" / "arm")
    root, site = make_root(work), work / "site"
    if not (site / "panda_edge").exists():
        fill(work / "wheelhouse", "aarch64", f"{sys.version_info.major}.{sys.version_info.minor}")
        install(work / "wheelhouse", site, "panda-edge[sign,hnsw]")
    rows = ResultsFile("endurance/results/arm")
    facts = {
        "command": "python -m benchmarks.endurance.arm",
        "commit": commit(),
        "emulator": version_of("qemu-aarch64"),
    }

    report = json.loads(on_arm(root, site, "verify", bundle, "--json"))
    rows.update("verify", ok=report["ok"], largest_difference=report["largest_difference"], **facts)
    print(f"verify: {report['largest_difference']}", flush=True)

    rows.update("segment", **segment(root, site, bundle, pictures, work), **facts)
    print(f"segment: {rows.get('segment')}", flush=True)

    for name in TESTS:
        rows.update(f"test_{name}.py", **device_tests(root, site, work, name), **facts)
        print(f"test_{name}.py: {rows.get(f'test_{name}.py')}", flush=True)


def asked(about: str | None, work: Path) -> tuple[Path, Path, Path]:
    """The command line's folder to work in, bundle and pictures. about: for its help. work: where none is given."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, default=work)
    parser.add_argument("--bundle", type=Path, nargs=2, help="a bundle and a folder of pictures; else of the sample")
    given = parser.parse_args()
    there: Path = given.work.resolve()
    there.mkdir(parents=True, exist_ok=True)
    return there, *(given.bundle or sample(there))


def sample(work: Path) -> tuple[Path, Path]:
    """A bundle of the sample, made on this machine, and its test pictures."""
    from panda_train.data.sample import make_sample

    pictures, bundle = work / "sample", work / "sample.panda"
    if not bundle.exists():
        if not pictures.exists():
            make_sample(pictures, train_images=12, test_images=1)
        train = Path(sys.executable).with_name("panda-train")
        subprocess.run([train, "fit", pictures, "--out", bundle, "--device", "cpu"], check=True)
    return bundle, pictures / "test"


def on_arm(root: Path, site: Path, *arguments: str | Path) -> str:
    done = emulated(root, site, "-c", COMMAND, *arguments)
    if done.returncode:
        sys.exit(f"panda-edge {' '.join(map(str, arguments))} on arm64: {done.returncode}\n{done.stderr}")
    return done.stdout


def segment(root: Path, site: Path, bundle: Path, pictures: Path, work: Path) -> dict[str, object]:
    """Largest relative differences of scores and heat maps, and how many decisions are alike."""
    command = ("segment", bundle, pictures, "--json", "--threads", "1", "--out")
    there = on_arm(root, site, *command, work / "maps-arm")
    edge = Path(sys.executable).with_name("panda-edge")
    here = subprocess.run([edge, *command, work / "maps"], check=True, text=True, stdout=subprocess.PIPE).stdout
    pairs = [tuple(map(json.loads, lines)) for lines in zip(there.splitlines(), here.splitlines(), strict=True)]
    maps = [[np.load(side["heatmap"]) for side in pair] for pair in pairs]
    return {
        "pictures": len(pairs),
        "same_decision": sum(a.get("anomalous") == b.get("anomalous") for a, b in pairs),
        "score": max(abs(a["score"] - b["score"]) / b["score"] for a, b in pairs),
        "heatmap": float(max(np.abs(a - b).max() / b.max() for a, b in maps)),
    }


def device_tests(root: Path, site: Path, work: Path, name: str) -> dict[str, object]:
    """How many of a file's tests passed and failed under pytest, which is installed beside the device's packages."""
    tools = work / "tools"
    if not (tools / "pytest").exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", tools, "pytest"], check=True)
    options = ["-q", "-p", "no:cacheprovider", "--confcutdir", ROOT / "tests" / "edge", "--rootdir", ROOT]
    done = emulated(root, Path(f"{site}:{tools}"), "-m", "pytest", *options,
                    ROOT / "tests" / "edge" / f"test_{name}.py")  # fmt: skip
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-300:]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", last)}
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-1000:])
    return {"passed": 0, "failed": 0, **counts}


def version_of(program: str) -> str:
    return subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]


if __name__ == "__main__":
    main()
