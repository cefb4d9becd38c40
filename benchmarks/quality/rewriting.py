"""What rewrites of questions add, when the store would ask for them, and what bad ones cost.

    python benchmarks/quality/rewriting.py --json OUT --stores FILE... --collections DIR...

No language model is needed: the rewrites are in own_rewrites.json, written by hand from the questions alone, before any
search. "always" searches with all of them, "decided" with those that the store asks for, and "of another question" with
those that belong to the question seven places on, as a bad model might write. For all questions of the collections the
decision is compared with what the plain search found. Stores are as for structured.py, and only read.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hybridstore as hs
from hybridstore.evaluation import Collection, metric, paired_bootstrap

OWN = Path(__file__).with_name("own_rewrites.json")
AWAY = 7  # places between a question and the one whose rewrites it gets
MOST = 100  # questions of a collection for the decision
NDCG = metric("ndcg@10")

Ranked = Callable[[str, str], list[str]]


def rewritten(store: hs.Store, own: Mapping[str, Sequence[str]], how: str) -> Ranked:
    """Return what searches with the rewrites of a question's id, or of another's."""
    ids = list(own)

    def ranked(id_: str, text: str) -> list[str]:
        place = ids.index(id_) + (AWAY if how == "of another question" else 0)
        keywords, answer = own[ids[place % len(ids)]]
        rewrite = None
        if how != "plain":
            rewrite = hs.Rewrite(lambda _: {"keywords": keywords, "answer": answer}, always=how != "decided")
        return documents(store.search(text, limit=50, rewrite=rewrite))

    return ranked


def documents(results: hs.Results) -> list[str]:
    """Return the ids of the documents, each once."""
    return list(dict.fromkeys(hit.document_id for hit in results))


def measured(
    store: hs.Store,
    queries: Mapping[str, str],
    qrels: Mapping[str, Mapping[str, int]],
    own: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Return nDCG@10 of the plain search and each way's difference, and the milliseconds of a search."""
    texts = {id_: queries[id_] for id_ in own}
    found: dict[str, Any] = {"questions": len(texts)}
    plain: dict[str, float] = {}
    store.search("the first search loads the model")
    for how in ("plain", "always", "decided", "of another question"):
        ranked, started = rewritten(store, own, how), time.process_time()
        values = {id_: NDCG(ranked(id_, text), qrels[id_]) for id_, text in texts.items()}
        milliseconds = round(1000 * (time.process_time() - started) / len(texts), 2)
        plain = plain or values
        told = paired_bootstrap(plain, values)
        found[how] = {"ndcg@10": round(sum(values.values()) / len(values), 4), "cpu_ms": milliseconds}
        found[how] |= {"difference": round(told.difference, 4), "low": round(told.low, 4), "high": round(told.high, 4)}
        found[how]["differences"] = {id_: round(value - plain[id_], 4) for id_, value in values.items()}
    return found


def decisions(
    store: hs.Store, queries: Mapping[str, str], qrels: Mapping[str, Mapping[str, int]]
) -> list[tuple[bool, bool, float]]:
    """Return for each question whether a rewriter would be asked, whether the first is relevant, and nDCG@10."""
    outcome = []
    for id_, grades in list(qrels.items())[:MOST]:
        asked: list[str] = []
        rewrite = hs.Rewrite(lambda text, to=asked: to.append(text) or text)
        ranked = documents(store.search(queries[id_], limit=50))
        store.search(queries[id_], limit=1, rewrite=rewrite)
        outcome.append((bool(asked), bool(ranked) and grades.get(ranked[0], 0) > 0, NDCG(ranked, grades)))
    return outcome


def main() -> None:
    """Measure all stores, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--stores", type=Path, nargs="+", required=True)
    parser.add_argument("--collections", type=Path, nargs="+", required=True)
    options = parser.parse_args()
    own = json.loads(OWN.read_text(encoding="utf-8"))
    collections, all_of = {}, list[tuple[bool, bool, float]]()
    for path, folder in zip(options.stores, options.collections, strict=True):
        collection = Collection(folder)
        queries = {id_: query.text for id_, query in collection.queries().items()}
        qrels = collection.qrels("test").grades
        with hs.open(path, read_only=True) as store:
            if folder.name in own:
                collections[folder.name] = measured(store, queries, qrels, own[folder.name])
            all_of += decisions(store, queries, qrels)
    found: dict[str, Any] = {"collections": collections, "decisions": {}}
    for name, wanted in (("saved", False), ("asked", True)):
        some = [each for each in all_of if each[0] is wanted]
        found["decisions"][name] = {
            "questions": len(some),
            "first relevant": sum(first for _, first, _ in some) / max(len(some), 1),
            "ndcg@10": sum(value for *_, value in some) / max(len(some), 1),
        }
    options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
