"""How easy the pages are to read: `python docs/site/reading_ease.py`, run by `make docs`.

Flesch's reading ease by textstat, of the running text without code and tables: 60 to 70 is plain English, 30 to 50 is
hard. Technical words of three syllables and more count against it.
"""

from __future__ import annotations

import textstat
from documents import ROOT, prose, sentences


def main() -> None:
    docs = ROOT / "docs"
    pages = [
        ROOT / "README.md",
        docs / "start.md",
        *sorted((docs / "guides").glob("*.md")),
        docs / "troubleshooting.md",
    ]
    pages += sorted((docs / "explanation").glob("*.md"))
    for page in pages:
        longest = max(len(sentence.split()) for sentence in sentences(page))
        ease = textstat.flesch_reading_ease(" ".join(prose(page).split()))
        print(f"{ease:5.0f}  longest sentence {longest:2} words  {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
