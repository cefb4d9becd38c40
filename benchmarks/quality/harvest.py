"""Harvests on collections with judgments, and how many of their hard negatives are in fact relevant.

People's questions are treated as a log's: no judgment is used to harvest, all are used to count. A hard negative that
the judges found relevant is a false one. The same searches are read four times: without guards, with the margin, with
the lexical judge, with both. Questions made of the corpus tell how many triples a store without any log has.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from harvest_report import harvest_page
from sample_stores import of_store, split_of

import hybridstore as hs
from hybridstore.evaluation import Collection, Qrels
from hybridstore.evaluation.metrics import mean
from hybridstore.tuning.false_negatives import MARGIN
from hybridstore.tuning.harvesting import HarvestResult, HarvestSettings, harvest
from hybridstore.tuning.synthetic_questions import Question, from_corpus

GUARDS = {
    "no guard": {"settings": HarvestSettings(margin=None), "judged": False},
    "margin": {"settings": HarvestSettings(), "judged": False},
    "judge": {"settings": HarvestSettings(margin=None), "judged": True},
    "both": {"settings": HarvestSettings(), "judged": True},
}
_EVERYTHING = 10**9


class Searched:
    """A store whose searches are remembered, so that one search serves all ways of reading it."""

    def __init__(self, store: hs.Store) -> None:
        self.chunks, self.embeddings, self.analyser = store.chunks, store.embeddings, store.analyser
        self._store, self._known = store, {}

    def unlogged(self) -> AbstractContextManager[None]:
        return self._store.unlogged()

    def search(self, query: str, **options: Any) -> Any:
        if query not in self._known:
            self._known[query] = self._store.search(query, **options)
        return self._known[query]


def measured(store: hs.Store, collection: Collection, *, queries: int, made: int, seed: int) -> dict[str, Any]:
    """Harvest people's questions under every guard, and the corpus's own; tell it as JSON."""
    qrels, texts = collection.qrels(split_of(collection)), collection.queries()
    asked = [each for each in qrels.answerable if each in texts][:queries]
    names = {texts[each].text: each for each in asked}
    log = [Question(text, "log") for text in names]
    searched = Searched(store)
    guards = {}
    for name, options in GUARDS.items():
        found = list(harvest(searched, log, **options))
        guards[name] = _false(store, found, names, qrels)
    chunks = store.chunks.count()
    possible = sum(1 for _ in from_corpus(store, most=_EVERYTHING, seed=seed))
    own = list(harvest(store, from_corpus(store, most=made, seed=seed)))
    made_triples = sum(each.triple is not None for each in own)
    return {
        "chunks": chunks,
        "log": {
            "questions": len(log),
            "disagreement": round(_disagreement(found), 4),
            "triples": sum(each.triple is not None for each in found),
            "positives_right": _right(store, found, names, qrels),
        },
        "guards": guards,
        "corpus": {
            "questions": len(own),
            "disagreement": round(_disagreement(own), 4),
            "triples": made_triples,
            "questions_per_1000_chunks": round(1000 * possible / chunks),
            "triples_per_1000_chunks": round(1000 * possible / chunks * made_triples / max(len(own), 1)),
            "negatives_each": round(_kept(own) / max(made_triples, 1), 2),
            "kinds": {
                kind: {
                    "questions": count,
                    "disagreement": round(_disagreement([each for each in own if each.question.kind == kind]), 4),
                }
                for kind, count in sorted(Counter(each.question.kind for each in own).items())
            },
        },
    }


def _false(store: hs.Store, found: Sequence[HarvestResult], names: dict[str, str], qrels: Qrels) -> dict[str, Any]:
    triples = [each.triple for each in found if each.triple is not None]
    chunks = {negative.chunk for triple in triples for negative in triple.negatives}
    documents = {passage.chunk: passage.document_id for passage in store.chunks.passages(sorted(chunks))}
    excluded: Counter[str | None] = Counter()
    relevant: Counter[str | None] = Counter()
    for triple in triples:
        grades = qrels.of(names[triple.query])
        for negative in triple.negatives:
            excluded[negative.excluded] += 1
            relevant[negative.excluded] += grades.get(documents[negative.chunk], 0) > 0
    return {
        "negatives": excluded[None],
        "each": round(excluded[None] / max(len(triples), 1), 2),
        "relevant": relevant[None],
        "share": round(relevant[None] / max(excluded[None], 1), 5),
        "empty": sum(all(each.excluded for each in triple.negatives) for triple in triples),
        "excluded": {guard: excluded[guard] for guard in ("margin", "judge")},
        "excluded_relevant": {guard: relevant[guard] for guard in ("margin", "judge")},
    }


def _right(store: hs.Store, found: Sequence[HarvestResult], names: dict[str, str], qrels: Qrels) -> float:
    """Return the share of the positives that are judged relevant."""
    triples = [each.triple for each in found if each.triple is not None]
    result = []
    for triple in triples:
        (passage,) = store.chunks.passages([triple.positive])
        result.append(float(qrels.of(names[triple.query]).get(passage.document_id, 0) > 0))
    return round(mean(result), 4) if result else 0.0


def _disagreement(found: Sequence[HarvestResult]) -> float:
    compared = [float(each.disagreed) for each in found if each.disagreed is not None]
    return mean(compared) if compared else 0.0


def _kept(found: Sequence[HarvestResult]) -> int:
    return sum(each.excluded is None for one in found if one.triple is not None for each in one.triple.negatives)


def summed_up(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return means over the collections, with equal weights."""
    shares = {guard: mean(row["guards"][guard]["share"] for row in rows.values()) for guard in GUARDS}
    return {
        "disagreement": round(mean(row["log"]["disagreement"] for row in rows.values()), 4),
        "positives_right": round(mean(row["log"]["positives_right"] for row in rows.values()), 4),
        "share": {guard: round(share, 5) for guard, share in shares.items()},
        "left": {guard: round(share / (shares["no guard"] or 1.0), 4) for guard, share in shares.items()},
        "each": {guard: round(mean(row["guards"][guard]["each"] for row in rows.values()), 2) for guard in GUARDS},
        "triples_per_1000_chunks": round(mean(row["corpus"]["triples_per_1000_chunks"] for row in rows.values())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", nargs="+", type=Path, required=True, metavar="FILE")
    parser.add_argument("--collections", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--queries", type=int, default=300, help="of people, the first so many of each collection")
    parser.add_argument("--made", type=int, default=300, help="questions made of each corpus")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="for the model")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    folders = {folder.resolve().name: folder for folder in options.collections}
    rows: dict[str, dict[str, Any]] = {}
    for path in options.stores:
        if path.stem not in folders or not path.exists():
            parser.error(f"{path} is not there, or no folder of --collections is called {path.stem}")
    embedders: dict[str, None] = {}
    for path in options.stores:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="harvest-") as temporary:
            sample = of_store(path, Path(temporary), threads=options.threads)
            with hs.open(sample.file, create=False, **sample.options) as store:
                stored = store.stats().embedding
                embedders["none" if stored is None else stored.fingerprint] = None
                rows[path.stem] = measured(
                    store,
                    Collection(folders[path.stem]),
                    queries=options.queries,
                    made=options.made,
                    seed=options.seed,
                )
        result = {
            "hybridstore": hs.__version__,
            "embedder": ", ".join(embedders),
            "seed": options.seed,
            "margin": MARGIN,
            "queries": options.queries,
            "made": options.made,
            "collections": rows,
            "macro": summed_up(rows),
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"{path.stem}: {time.perf_counter() - started:.0f} s", flush=True)
    print("\n".join(harvest_page(result)))


if __name__ == "__main__":
    main()
