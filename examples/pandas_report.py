"""Judge a folder and write a table: python pandas_report.py parts.panda parts/test report.csv"""

import sys
from pathlib import Path

import pandas as pd

import panda_edge


def report(bundle: str, folder: str) -> pd.DataFrame:
    """One row a picture: folder, file, score, threshold, p_value, anomalous; or error."""
    detector = panda_edge.load(bundle)
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".png", ".jpg", ".tif", ".bmp"))
    rows = []
    for path, found in zip(paths, detector.detect_batch(paths), strict=True):
        said = {"error": str(found)} if isinstance(found, panda_edge.ImageError) else found.to_dict()
        rows.append({"folder": path.parent.name, "file": path.name, **said})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    table = report(sys.argv[1], sys.argv[2])
    table.to_csv(sys.argv[3], index=False)
    print(table.groupby("folder")[["score", "anomalous"]].mean().to_string())
