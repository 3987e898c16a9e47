"""How easy the pages are to read: `python docs/site/reading_ease.py`, run by `make docs`.

Flesch's reading ease by textstat, of the running text without code and tables: 60 to 70 is plain English, 30 to 50 is
hard. Technical words of three syllables and more count against it. A page below LEAST ends it with exit code 1.
"""

from __future__ import annotations

import sys

import textstat
from documents import ROOT, prose, sentences

LEAST = 60


def main() -> None:
    docs = ROOT / "docs"
    pages = [
        ROOT / "README.md",
        docs / "start.md",
        *sorted((docs / "guides").glob("*.md")),
        docs / "troubleshooting.md",
    ]
    pages += sorted((docs / "explanation").glob("*.md"))
    hard = []
    for page in pages:
        longest = max(len(sentence.split()) for sentence in sentences(page))
        ease = textstat.flesch_reading_ease(" ".join(prose(page).split()))
        print(f"{ease:5.0f}  longest sentence {longest:2} words  {page.relative_to(ROOT)}")
        if ease < LEAST:
            hard.append(page.name)
    if hard:
        sys.exit(f"hard to read (below {LEAST}): {', '.join(hard)}; write shorter sentences and words")


if __name__ == "__main__":
    main()
