"""Write the results for conversational memory as Markdown: a section for each data set, and published figures.

    python benchmarks/memory/page.py [--check] [--results FOLDER] [--page FILE]

The page, README.md, is made of all results in the folder, in the order of their names.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "quality"))  # its tables are made of the same cells

from agents_report import agents_page
from cells import table
from published import FIGURES
from report import dataset_page
from speed_report import speed_page

HERE = Path(__file__).parent
_HEAD = """\
# Memory of conversations

Written by `benchmarks/memory/page.py` from `results/`; do not edit.

Whether the turns that hold an answer are recalled, scored as the data sets' authors do. No language model answers or
judges anything, so these are not the accuracies of answers that many memories quote.
**Bold** is what is better than hybridstore's default, the row in bold; in brackets 95 % intervals."""
_NOTHING = "Nothing has been measured yet."
_PUBLISHED = """\
## Published by others, not measured here

Each figure is of a protocol of its own, so none belongs beside another, or beside those above."""
_HOW = """\
## How it is measured

- *any@k*: whether one of the turns that hold the answer is among the first k; *all@k*: whether all are; *recall@k*: the
  share that is. *nDCG* is LongMemEval's, whose first two ranks count alike. A session ranks where its first turn does,
  and the first k sessions take as many turns as it needs to see k.
- *tokens*: what the first k turns would take of a model's window, by an estimate that is the same for all.
- *Intervals* draw whole conversations with their questions, 10,000 times (1,000 for AUROC), because questions about one
  conversation stand or fall together. Of ten conversations they are rough; of fewer than five, or where each question
  has a conversation of its own, questions are drawn. Differences are told by question too, with
  the paired bootstrap of `hybridstore.evaluation`.
- Questions without an answer take no part in any recall; they are asked to see whether a system's confidence tells them
  from the others.
- The systems, a file each in `systems/`, are given each turn as "Speaker: text" and search the question's conversation
  alone.
- LongMemEval has two protocols, which `longmemeval.py` tells: all turns, and with `--user-only` the authors' script's.

## Run it yourself

```console
$ python benchmarks/memory/run.py locomo10.json --json benchmarks/memory/results/locomo.json
$ python benchmarks/memory/run.py longmemeval_s.json --json benchmarks/memory/results/longmemeval-s.json
$ python benchmarks/memory/agents.py --json benchmarks/memory/results/many-agents.json
$ python benchmarks/memory/speed.py --json benchmarks/memory/results/speed.json
$ python benchmarks/memory/page.py
```"""


def written(results: Path) -> str:
    parts = []
    for file in sorted(results.glob("*.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        page = agents_page if "crowded" in result else speed_page if "sizes" in result else dataset_page
        parts.append("\n".join(page(result)))
    return "\n\n".join([_HEAD, *(parts or [_NOTHING]), _PUBLISHED, _published(), _HOW]) + "\n"


def _published() -> str:
    rows = [
        [each.data, each.system, each.metric, each.value, f"published by others, not measured here: {each.protocol}",
         f"[source]({each.source})"]
        for each in FIGURES
    ]  # fmt: skip
    return "\n".join(table(["data", "system", "metric", "%", "their protocol", ""], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say whether the page is up to date, and write nothing")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--page", type=Path, default=HERE / "README.md")
    options = parser.parse_args()
    text = written(options.results)
    if options.check:
        stale = not options.page.exists() or options.page.read_text(encoding="utf-8") != text
        sys.exit(f"stale: {options.page.name}; run benchmarks/memory/page.py" if stale else 0)
    options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
