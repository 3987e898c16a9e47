"""The rows of `benchmarks.view_rules` as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmarks import tables
from benchmarks.adaptation_gain_table import difference, mean_and_half
from benchmarks.pooled_views import VIEWS
from benchmarks.results_file import FOLDER, ResultsFile

_SAYING = """What it says:
- **The mark, 92.0 with 600 images, is met, and for nothing: the whole picture, squashed as `fit` does by default,
  in place of the paper's crop has 92.23 on the test images** (+ 0.35 ± 0.25; validation + 0.36 ± 0.51). A crop
  takes an eighth off either way, where these pictures have content.
- Flips at test time, the mirror image stored, too: + 0.32 ± 0.25 on test images (92.21), + 0.29 ± 0.14 on
  validation; on top of the whole picture + 0.24 (validation). It doubles the network's time on a device, which is
  nearly all of it. A second pass is better spent on another size: whole at 224 and crop at 160, half a pass more,
  92.68 on test images.
- Two networks, lite0 and lite1, are the best two passes: **93.11** on test images (validation 93.19, without the
  classifier's metric 93.01). Three have 93.45, and with lite0 on
  the crop at 160 besides 93.51: the wish, 93.5, for more than three passes.
- The classifier's metric (embeddings times the root of WᵀW before whitening; it would go into the matrix that a
  bundle has anyway) is worth 0.23 on validation images but 0.06 on test images, and on inspection 0.002, −0.002
  and, on tile, −0.005 ([there](adapted_inspection.md)): no option.
- How the last map is pooled: the mean is best; of roots −0.4, standard deviation −1.3, highest value −2.6 beside
  both flips. Covariance of a picture's two flips added to the whitening: nothing.
- **What an embedding lacks is what the others look like.** Multiplied by the root of the other nine classes'
  covariance before whitening, one pass has 93.59 on validation images, 1.5 above; one class does not have those, so
  that this is no rule but a bound on what knowing the world is worth. A whitening shared with the other classes
  does the opposite and loses 18.9."""


def write(rows: ResultsFile, order: Sequence[str]) -> None:
    """`view_rules.md`: what was said of the rows, and the rows, each against the first."""
    found = {name: rows.get(name) for name in order if rows.get(name)}
    base = found[order[0]]
    lines = []
    for name, row in found.items():
        cells = [name, _passes(row["passes"])]
        for what in ("validation", "test"):
            values = row.get(what, {})
            cells += [f"{mean_and_half(list(values.values()))[0]:.2f}" if values else "–",
                      difference(values, base.get(what, {}), digits=2) if name != order[0] else "–"]  # fmt: skip
        lines.append([*cells, *(f"{value:.1f}" for value in (row.get("test") or row["validation"]).values())])
    classes = list(base["validation"])
    header = ("", "passes a picture", "validation", "against crop", "test", "against crop", *classes)
    parts = [
        "# Views of a picture and other metrics, nothing adapted",
        "`python -m benchmarks.pooled_views CIFAR10 WORK --view VIEW…` for every view, then `python -m "
        "benchmarks.view_rules WORK`. Rooted embeddings, 2-NN, 600 normal images a class. *crop*: 256→224, of the "
        "paper's protocol; *whole*: squashed to 224, `fit`'s default. Of several views the distances are added; "
        "*both flips*: the picture and its mirror image, stored and asked. AUROC in percent, mean over the classes; "
        "*against crop*: mean of the classes' differences ± half of its 95 % interval (Student's t). Validation: "
        "training images 1,000 to 1,200 of all classes; test: the first 200 test images of each, looked at once for "
        "the best rule of each cost, and for flips.",
        _SAYING,
        tables.table(header, lines),
        "Of each class: the test figure where there is one, else the validation figure.",
    ]
    (FOLDER / "view_rules.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _passes(passes: Sequence[Sequence[str]]) -> str:
    """`2 lite0, 1 lite0 at 160`."""
    counted = Counter((backbone.rpartition("-")[2], VIEWS[view].side) for backbone, view in passes)
    return ", ".join(
        f"{count} {name}" + ("" if side == 224 else f" at {side}") for (name, side), count in counted.items()
    )
