"""Write the results on quality as Markdown: whole collections, learning, and the suites.

    python benchmarks/quality/page.py [--check] [--results FOLDER] [--page FILE]

The page, docs/quality.md, is made of the files in the folder of results whose names begin as in `PARTS`; what was not
measured is left out.
"""

from __future__ import annotations

import json
from pathlib import Path

from cells import write_page
from collections_report import collections_page
from drift_report import drift_page
from harvest_report import harvest_page
from learning_report import learning_page
from legs_report import legs_page
from precision_report import precision_page
from suites_report import suites_page

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "quality.md"
PARTS = {
    "collections": collections_page,
    "legs": legs_page,
    "precision": precision_page,
    "learning": learning_page,
    "harvest": harvest_page,
    "drift": drift_page,
    "suites": suites_page,
}
_HEAD = (
    "# Quality",
    "",
    "Written by `benchmarks/quality/page.py` out of `benchmarks/quality/results/`; do not edit. How it is measured",
    "stands in the [guide](guide.md#measuring), what was tried on the way in [experiments](experiments.md).",
)


def written(results: Path) -> str:
    parts: list[str] = []
    for name, page in PARTS.items():
        for file in sorted(results.glob(f"{name}*.json")):
            parts += [*page(json.loads(file.read_text(encoding="utf-8"))), ""]
    return "\n".join([*_HEAD, "", *parts]).rstrip() + "\n"


if __name__ == "__main__":
    write_page("page.py", __doc__, written, PAGE)
