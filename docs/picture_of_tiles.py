"""README's picture of tiles: python docs/picture_of_tiles.py WHOLE_MAPS TILE_MAPS IMAGE docs/tiles.jpg

The overlays that `panda-edge segment` left of one image, looked at whole and in tiles.
"""

import sys
from pathlib import Path

from PIL import Image

SIDE, GAP = 520, 8


def main(whole: Path, tiles: Path, name: str, target: Path) -> None:
    sheet = None
    for column, maps in enumerate((whole, tiles)):
        with Image.open(maps / f"{name}_overlay.png") as overlay:
            height = round(overlay.height * SIDE / overlay.width)
            shown = overlay.convert("RGB").resize((SIDE, height), Image.Resampling.LANCZOS)
        if sheet is None:
            sheet = Image.new("RGB", (2 * SIDE + GAP, height), "white")
        sheet.paste(shown, (column * (SIDE + GAP), 0))
    assert sheet is not None
    sheet.save(target, quality=80, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
