"""Which steps make the heat map: `python -m benchmarks.studies.map_steps DATA WORK [SETTING…]`.

DATA: the folder of the sets. WORK: where bundles and searches are kept, so that a run takes up where it stopped. Every
set is searched once; every variant is arithmetic on what was found. Rows go into `results.json` beside this file.
`python -m benchmarks.studies.map_steps table` writes `README.md` from them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from benchmarks.studies.map_steps.figures import figures
from benchmarks.studies.map_steps.searches import searched, true_masks
from benchmarks.studies.map_steps.settings import SETTINGS, Setting, bundle_of, dataset_of
from benchmarks.studies.map_steps.table import write_table
from benchmarks.studies.map_steps.variants import MIDDLE, SHIPPED, Maps, grid
from panda_edge.bundle.model import default_threads

HERE = Path(__file__).parent


def measure(setting: Setting, data: Path, work: Path) -> None:
    """Fill the setting's rows that are not there yet."""
    rows = ResultsFile("results", HERE)
    tiled = setting.resolution.smallest_defect is not None
    todo = [variant for variant in grid(tiled) if not rows.get(f"{setting.name}: {variant.name}")]
    if not todo:
        return
    dataset = dataset_of(setting, data, work)
    bundle = bundle_of(setting, dataset, work)
    found = searched(setting.name, dataset, bundle, work)
    preprocessing = bundle.manifest.preprocessing
    views = [preprocessing.view((int(width), int(height))) for width, height in found.sizes]
    masks = true_masks(dataset, views[found.normal :]) if setting.masks else None
    for variant in todo:
        maps = Maps(found, views, variant, tiled)
        kept = work / f"statistics {setting.name} {variant.name}.npz"
        row = figures(maps, found, views, masks, kept, in_full=variant in (MIDDLE, SHIPPED))
        rows.update(f"{setting.name}: {variant.name}", **row)
        say(f"{setting.name}: {variant.name} {row['image']['max@4']} {row.get('pixel')} {row.get('pro')}")


def main() -> None:
    if sys.argv[1:] == ["table"]:
        write_table(HERE)
        return
    data, work, wanted = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    work.mkdir(parents=True, exist_ok=True)
    ResultsFile("results", HERE).update("conditions", **conditions(default_threads()))
    for name in wanted or SETTINGS:
        measure(SETTINGS[name], data, work)


if __name__ == "__main__":
    main()
