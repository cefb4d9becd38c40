"""A promise about abstention: of what is shown as answered, how much has no answer here, over all pairs of collections?

    python benchmarks/quality/promise.py --stores FILE.db... --collections FOLDER... [--subject A,B]... [--json OUT]

Each store is asked its own collection's questions and those of every other one, which count as having no answer there.
Both kinds weigh the same: with o of the own and f of the foreign questions shown as answered, the error is f / (o + f).
That a foreign question has no answer is not so where two collections are about one subject (`--subject`): such pairs
are in the table and not in the means. `needed` is the lowest confidence at which a store's error is within the rate.
Files given are copied, never written to.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from statistics import fmean
from typing import Any

import sample_stores
from sample_stores import SampleStore

import hybridstore as hs
from hybridstore.evaluation import auroc
from hybridstore.records import least_confidence

RATES = (0.02, 0.05, 0.1, 0.2)

Confidences = Mapping[tuple[str, str], Sequence[float]]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", nargs="+", type=Path, required=True, metavar="FILE")
    parser.add_argument("--collections", nargs="+", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--subject", action="append", default=[], metavar="NAME,NAME", help="collections of one subject"
    )
    parser.add_argument("--questions", type=int, default=100, help="of each collection at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="OUT", help="the results, with every confidence")
    options = parser.parse_args(arguments)
    folders = {path.resolve().name: path for path in options.collections}
    with tempfile.TemporaryDirectory(prefix="promise-") as folder:
        samples = [
            sample_stores.of_store(path, Path(folder), folders[path.stem])
            for path in options.stores
            if path.stem in folders
        ]
        confidences = asked(samples, options.questions, options.seed)
    result = judged(confidences, [set(names.split(",")) for names in options.subject])
    if options.json:
        values = {
            f"{store} {other}": [round(each, 4) for each in found] for (store, other), found in confidences.items()
        }
        options.json.write_text(json.dumps(result | {"confidences": values}) + "\n", encoding="utf-8")
    print("\n".join(page(result)))


def asked(samples: Sequence[SampleStore], most: int, seed: int) -> Confidences:
    """Return the confidences of each store for the questions of each collection; those of a store without any are 1."""
    questions = {
        sample.name: random.Random(f"{sample.name} {seed}").sample(sample.asked, min(most, len(sample.asked)))
        for sample in samples
    }
    found: dict[tuple[str, str], Sequence[float]] = {}
    for sample in samples:
        with hs.open(sample.file, create=False, **sample.options) as store:
            for other, texts in questions.items():
                confidences = [store.search(text).confidence for text, _ in texts]
                found[sample.name, other] = [1.0 if each is None else each for each in confidences]
    return found


def judged(confidences: Confidences, subjects: Sequence[set[str]]) -> dict[str, Any]:
    """Return coverage and error of each pair and store for each rate, and the confidence that each store needed."""
    names = list(dict.fromkeys(store for store, _ in confidences))
    related = {pair for pair in permutations(names, 2) if any(set(pair) <= each for each in subjects)}
    stores = {}
    for name in names:
        others = [other for other in names if other != name and (name, other) not in related]
        own, foreign = confidences[name, name], [each for other in others for each in confidences[name, other]]
        stores[name] = {"auroc": round(auroc(own, foreign), 4), "n": [len(own), len(foreign)]} | {
            str(rate): _kept(own, foreign, least_confidence(rate)) | {"needed": needed(own, foreign, rate)}
            for rate in RATES
        }
    pairs = [
        {"store": store, "foreign": other, "related": (store, other) in related}
        | {
            str(rate): _kept(confidences[store, store], confidences[store, other], least_confidence(rate))
            for rate in RATES
        }
        for store, other in permutations(names, 2)
    ]
    return {"hybridstore": hs.__version__, "rates": list(RATES), "stores": stores, "pairs": pairs}


def needed(own: Sequence[float], foreign: Sequence[float], rate: float) -> float:
    """Return the lowest confidence from which on the error is within the rate; 1 where there is none."""
    within = [each for each in sorted({*own, *foreign}) if _kept(own, foreign, each)["error"] <= rate]
    return round(within[0], 4) if within else 1.0


def _kept(own: Sequence[float], foreign: Sequence[float], threshold: float) -> dict[str, float]:
    covered, wrong = (sum(each >= threshold for each in kind) / len(kind) for kind in (own, foreign))
    return {"coverage": round(covered, 4), "error": round(wrong / (covered + wrong) if wrong else 0.0, 4)}


def page(result: Mapping[str, Any]) -> list[str]:
    """Return the tables as Markdown: a line a store with its means, then a line a pair."""
    rates = result["rates"]
    columns = [f"{kind} at {rate:.0%}" for rate in rates for kind in ("coverage", "error")]
    lines = [f"| store | own / foreign | AUROC | {' | '.join(columns)} |", "|---" * (3 + len(columns)) + "|"]
    rows = {name: [store[str(rate)] for rate in rates] for name, store in result["stores"].items()}
    for name, kept in rows.items():
        store = result["stores"][name]
        lines.append(f"| {name} | {store['n'][0]} / {store['n'][1]} | {store['auroc']:.3f} | {_cells(kept)} |")
    means = [
        {key: fmean(kept[place][key] for kept in rows.values()) for key in ("coverage", "error")}
        for place in range(len(rates))
    ]
    lines.append(f"| **mean** | | {fmean(each['auroc'] for each in result['stores'].values()):.3f} | {_cells(means)} |")
    lines += ["", f"| store | questions of | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|"]
    for pair in result["pairs"]:
        foreign = pair["foreign"] + (" (one subject)" if pair["related"] else "")
        lines.append(f"| {pair['store']} | {foreign} | {_cells([pair[str(rate)] for rate in rates])} |")
    return lines


def _cells(kept: Sequence[Mapping[str, float]]) -> str:
    return " | ".join(f"{each['coverage']:.2f} | {each['error']:.3f}" for each in kept)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
