"""Questions that several passages answer together: as they are, divided by hand, and followed from passage to passage.

    python benchmarks/quality/hops.py --json OUT --musique FILE DIR [--locomo FILE DIR]

Each store is one that `hybridstore evaluate --keep` made of the collection in the folder after it, and is only read.
MuSiQue's questions are those of own_decompositions.json, divided by hand; LoCoMo's are every fourth of
those with two passages or more, searched for within their conversation. "without stop" follows however weak a passage
is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hybridstore as hs
from hybridstore.evaluation import Collection, paired_bootstrap
from hybridstore.search import hops as following

OWN = Path(__file__).with_name("own_decompositions.json")
FIRST = 10
_STOP = following._STOP  # noqa: SLF001 - the rule that is measured

Search = Callable[..., Sequence[str]]


def documents(results: hs.Results) -> list[str]:
    """Return the ids of the documents, each once."""
    return list(dict.fromkeys(hit.document_id for hit in results))


def divided(store: hs.Store, texts: Sequence[str], **how: Any) -> list[str]:
    """Search for the question and each of its parts, and rank by the sum of the reciprocal ranks 1 / (10 + rank)."""
    scores: dict[str, float] = {}
    for text in texts:
        for rank, document in enumerate(documents(store.search(text, limit=50, **how)), start=1):
            scores[document] = scores.get(document, 0.0) + 1 / (10 + rank)
    return sorted(scores, key=lambda document: -scores[document])


def followed(store: hs.Store, text: str, hops: int, stop: float = _STOP, **how: Any) -> list[str]:
    """Follow a question, with another stop rule."""
    following._STOP = stop  # noqa: SLF001
    try:
        return documents(store.follow(text, hops=hops, limit=50, **how))
    finally:
        following._STOP = _STOP  # noqa: SLF001


def measured(
    runs: Mapping[str, Mapping[str, Sequence[str]]], grades: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, float]]:
    """Return for each way how many questions have all passages among the first ten, the recall, and its difference."""
    values = {
        name: {
            id_: sum(each in ranked[:FIRST] for each in grades[id_]) / len(grades[id_]) for id_, ranked in run.items()
        }
        for name, run in runs.items()
    }
    found = {}
    for name, recall in values.items():
        told = paired_bootstrap(values["plain"], recall)
        found[name] = {
            "questions": len(recall),
            "all@10": round(sum(value == 1.0 for value in recall.values()) / len(recall), 4),
            "recall@10": round(sum(recall.values()) / len(recall), 4),
            "difference": round(told.difference, 4),
            "low": round(told.low, 4),
            "high": round(told.high, 4),
        }
        print(name, found[name], flush=True)
    return found


def musique(store: hs.Store, collection: Collection) -> dict[str, dict[str, float]]:
    """Measure the questions that were divided by hand."""
    own = {id_: parts for id_, parts in json.loads(OWN.read_text(encoding="utf-8")).items() if id_ != "about"}
    texts = {id_: collection.queries()[id_].text for id_ in own}
    ways: dict[str, Callable[[str], list[str]]] = {
        "plain": lambda id_: documents(store.search(texts[id_], limit=50)),
        "divided": lambda id_: divided(store, [texts[id_], *own[id_]]),
        "divided, as rewrites": lambda id_: documents(
            store.search(texts[id_], limit=50, rewrite=hs.Rewrites(questions=tuple(own[id_])))
        ),
        "followed": lambda id_: followed(store, texts[id_], 2),
        "followed, without stop": lambda id_: followed(store, texts[id_], 2, stop=0.0),
        "followed 3 deep": lambda id_: followed(store, texts[id_], 3),
        "divided and followed": lambda id_: divided(store, [texts[id_], *own[id_]], hops=2),
    }
    runs = {name: {id_: way(id_) for id_ in own} for name, way in ways.items()}
    return measured(runs, collection.qrels("test").grades)


def locomo(store: hs.Store, collection: Collection) -> dict[str, dict[str, float]]:
    """Measure the questions with several passages, each within its conversation."""
    grades = {
        id_: each for id_, each in collection.qrels("test").grades.items() if sum(v > 0 for v in each.values()) > 1
    }
    grades = dict(list(grades.items())[::4])
    texts = {id_: query.text for id_, query in collection.queries().items() if id_ in grades}
    groups = {id_: store.get(next(iter(each))).metadata["group"] for id_, each in grades.items()}
    ways: dict[str, Callable[[str, Any], list[str]]] = {
        "plain": lambda text, where: documents(store.search(text, limit=50, where=where)),
        "followed": lambda text, where: followed(store, text, 2, where=where),
        "followed, without stop": lambda text, where: followed(store, text, 2, stop=0.0, where=where),
    }
    runs = {name: {id_: way(texts[id_], {"group": groups[id_]}) for id_ in grades} for name, way in ways.items()}
    return measured(runs, grades)


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--musique", type=Path, nargs=2)
    parser.add_argument("--locomo", type=Path, nargs=2)
    options = parser.parse_args()
    found = {}
    for name, measure in (("musique", musique), ("locomo", locomo)):
        if (there := getattr(options, name)) is not None:
            with hs.open(there[0], read_only=True) as store:
                found[name] = measure(store, Collection(there[1]))
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
