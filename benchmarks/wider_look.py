"""What a wider look and filled heat maps are worth: `python -m benchmarks.wider_look NAME DATA [OPTIONS…]`.

Exact banks of `panda-train fit`, whole pictures at 224 × 224; accuracy by `panda-train evaluate --fpr 0.05`. OPTIONS:
some of CONFIGURATIONS. Rows go into `benchmarks/results/wider_look.json`, and are shown in `wider_look.md`.
"""

from __future__ import annotations

from benchmarks.border import measure

CONFIGURATIONS = (
    "",
    "--wide 0 --fill 0",
    "--wide 0",
    "--fill 0",
    "--wide 0.25",
    "--wide 1",
    "--fill 24",
    "--fill 96",
)


if __name__ == "__main__":
    measure(
        "wider_look",
        (
            "What a wider look and filled heat maps are worth",
            "`python -m benchmarks.wider_look NAME DATA`; exact banks, EfficientNet-Lite0, whole pictures at 224 × "
            "224. The first three figures are image AUROC by three scores.",
        ),
        CONFIGURATIONS,
    )
