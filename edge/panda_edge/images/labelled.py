"""Pictures with labels, as folders: what the page keeps, `extend` compares by and `panda-train evaluate` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from panda_edge.errors import PandaError
from panda_edge.images.listing import list_pictures, look_into, natural_key

NORMAL, DEFECT, UNSURE = "normal", "defect", "unsure"
LABELS = (NORMAL, DEFECT, UNSURE)
LABEL_FOLDERS = {NORMAL: Path("test/good"), DEFECT: Path("test/defect"), UNSURE: Path("unsure")}
JOINED = Path("train/good")
"""Pictures labelled normal that are in the bundle at work, so that they test nothing any more."""


def labelled_pictures(folder: Path) -> dict[str, Sequence[Path]]:
    """`normal`: pictures below test/good; `defects`: below the other folders of test/. Raises PandaError."""
    test = folder / "test"
    if not test.is_dir():
        raise PandaError(f"{folder}: no test/ in it; expected test/good and test/KIND, such as the page's labels")
    good = test / LABEL_FOLDERS[NORMAL].name
    return {
        "normal": list_pictures(good).pictures if good.is_dir() else [],
        "defects": [path for path in list_pictures(test).pictures if good not in path.parents],
    }


def newest_pictures(folder: Path, most: int) -> list[Path]:
    """The last of the pictures in a folder by their names, which begin with a number; overlays are none of them. Raises
    PandaError."""
    try:
        names = look_into(str(folder), root=True).pictures
    except OSError as error:
        raise PandaError(f"{folder}: cannot be read ({error.strerror or error}); give a folder of pictures") from error
    return sorted((folder / name for name in names), key=natural_key)[-most:]
