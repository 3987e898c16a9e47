"""README's picture, from what `make demo` left: python docs/picture.py demo-out docs/heatmap.jpg"""

import sys
from pathlib import Path

from PIL import Image

SIDE, GAP = 220, 6
SHOWN = ("foreign/brick-003", "hole/brick-006", "scratch/brick-005", "foreign/grass-004", "good/brick-002")


def main(demo: Path, target: Path) -> None:
    sheet = Image.new("RGB", (len(SHOWN) * (SIDE + GAP) - GAP, 2 * SIDE + GAP), "white")
    for column, name in enumerate(SHOWN):
        pictures = demo / "sample" / "test" / f"{name}.png", demo / "maps" / f"{name}_overlay.png"
        for row, path in enumerate(pictures):
            with Image.open(path) as picture:
                shown = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(shown, (column * (SIDE + GAP), row * (SIDE + GAP)))
    sheet.save(target, quality=85, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
