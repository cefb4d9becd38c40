"""Every leg and every choice of legs: words, the default model, the multilingual one; in any language and across two.

    python benchmarks/quality/legs.py --title TITLE --collections DIR... --cross NAME:DIR:DIR... --json OUT --values DIR

A collection is a folder in BEIR layout. `--cross` takes the questions of the first folder and the passages of the
second, whose ids must be the same, as in XQuAD, which is one set of questions and passages in many languages. One store
has all legs, and is searched with every choice of them. `--vectors` is a folder where a text's vectors are kept.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from over_collections import macro_bootstrap
from sample_stores import split_of

import hybridstore as hs
from hybridstore import embedders
from hybridstore.evaluation import Collection, evaluate, paired_bootstrap
from hybridstore.evaluation.metrics import mean

METRIC, RECALL = "ndcg@10", "recall@100"
DEFAULT, MULTILINGUAL = "all-MiniLM-L6-v2", "multilingual-e5-small"
LEGS = ("keyword", DEFAULT, MULTILINGUAL)
CHOICES = [" + ".join(legs) for count in (1, 2, 3) for legs in combinations(LEGS, count)]
TWO, ALL = f"keyword + {DEFAULT}", CHOICES[-1]
RRF = "hybrid (rrf)"  # of all legs


class Remembering:
    """An embedder that embeds a text once, though it is in several collections; `kept` is a file for its vectors."""

    def __init__(self, name: str, threads: int, kept: Path | None) -> None:
        self._embedder = embedders.load(name, threads=threads)
        self.fingerprint, self.reference = self._embedder.fingerprint, self._embedder.reference
        self.dim, self.max_tokens = self._embedder.dim, self._embedder.max_tokens
        self.token_starts = self._embedder.token_starts
        self._kept = kept
        self._known: dict[str, dict[str, Any]] = {"passages": {}, "queries": {}}
        if kept is not None and kept.exists():
            with np.load(kept) as stored:
                self._known = {
                    kind: dict(zip(stored[f"{kind}.texts"], stored[kind], strict=True)) for kind in self._known
                }

    def save(self) -> None:
        """Write all vectors to the file."""
        if self._kept is not None:
            arrays = {}
            for kind, known in self._known.items():
                arrays[kind] = np.array(list(known.values()), np.float32).reshape(len(known), self.dim)
                arrays[f"{kind}.texts"] = np.array(list(known), dtype=str)
            np.savez(self._kept, **arrays)

    def embed_documents(self, texts: Sequence[str]) -> Any:
        return self._all(texts, self._known["passages"], self._embedder.embed_documents)

    def embed_queries(self, texts: Sequence[str]) -> Any:
        return self._all(texts, self._known["queries"], self._embedder.embed_queries)

    def embed_query(self, text: str) -> Any:
        return self.embed_queries([text])[0]

    def _all(self, texts: Sequence[str], known: dict[str, Any], embed: Callable[[list[str]], Any]) -> Any:
        new = list(dict.fromkeys(text for text in texts if text not in known))
        known.update(zip(new, embed(new), strict=True))
        return np.array([known[text] for text in texts], dtype=np.float32).reshape(len(texts), self.dim)


def measured(
    collection: Collection, models: Sequence[Remembering], queries: int, group: str | None = None
) -> dict[str, Any]:
    """Fill a store and search it with every choice of legs; return each choice's numbers by query.

    `group` is a field of the metadata: each question then searches only among documents with its own value there.
    """
    with (
        tempfile.TemporaryDirectory(prefix="legs-") as folder,
        hs.open(Path(folder) / "store.db", embedder=models[0]) as store,
    ):
        store.add(collection.corpus(), chunk=False)
        store.reembed(add=models[1])
        for model in models:
            model.embed_queries([query.text for query in collection.queries().values()][:queries])
        legs = [choice.split(" + ") for choice in CHOICES]
        found = evaluate(
            store,
            collection,
            split=split_of(collection),
            modes=["hybrid"],
            fusions=["rrf"],
            legs=legs,
            metrics=[METRIC, RECALL],
            queries=queries,
            where_group=group,
        )
        powers = {leg.name: leg.power for leg in store.search("a").trace.legs if leg.power is not None}
        return {
            "documents": store.stats().documents,
            "power": {name: round(power, 3) for name, power in powers.items()},
            "values": {
                metric: {way: dict(found.values(way, metric)) for way in (*CHOICES, RRF)} for metric in (METRIC, RECALL)
            },
        }


def subset(source: Path, passages_of: Path, target: Path, *, queries: int, others: int | None) -> None:
    """Write a collection of one folder's first questions, another's passages, and of these at most so many others."""
    collection = Collection(source)
    split = split_of(collection)
    grades = collection.qrels(split).grades
    chosen = [query for query in collection.queries().values() if query.id in grades][:queries]
    wanted = {document for query in chosen for document in grades[query.id]}
    target.mkdir()
    (target / "qrels").mkdir()
    lines = [f"{query.id}\t{document}\t{grade}" for query in chosen for document, grade in grades[query.id].items()]
    table = "\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n"
    (target / "qrels" / "test.tsv").write_text(table, encoding="utf-8")
    asked = [{"_id": query.id, "text": query.text, "metadata": dict(query.metadata)} for query in chosen]
    rows = [json.dumps(row, ensure_ascii=False) for row in asked]
    (target / "queries.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with gzip.open(target / "corpus.jsonl.gz", "wt", encoding="utf-8") as file:
        for document in Collection(passages_of).corpus():
            if document.id not in wanted:
                if others is not None and others <= 0:
                    continue
                others = None if others is None else others - 1
            row = {
                "_id": document.id,
                "title": document.title,
                "text": document.text,
                "metadata": dict(document.metadata),
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def summed_up(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a collection's means, and each choice's difference to the best of its legs and in recall to rrf's."""
    values = found["values"]
    means = {metric: {way: round(mean(each.values()), 5) for way, each in values[metric].items()} for metric in values}
    against = {}
    for choice in CHOICES:
        legs = choice.split(" + ")
        if len(legs) > 1:
            best = max(legs, key=lambda leg: means[METRIC][leg])
            paired = paired_bootstrap(values[METRIC][best], values[METRIC][choice])
            against[choice] = {
                "best": best,
                **{key: round(getattr(paired, key), 5) for key in ("difference", "low", "high")},
            }
    return {
        "name": name,
        "documents": found["documents"],
        "queries": len(values[METRIC]["keyword"]),
        "power": found["power"],
        "means": means,
        "against": against,
    }


def over_all(measures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the difference of choices of legs to words and the default model, as a mean over the collections."""
    differences = {}
    for choice in CHOICES:
        if choice != TWO:
            each = [
                np.array([found["values"][METRIC][choice][query] - number for query, number in before.items()])
                for found in measures
                for before in [found["values"][METRIC][TWO]]
            ]
            differences[choice] = macro_bootstrap(each)
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--title", required=True)
    parser.add_argument("--note", default="", help="what to say besides on the page")
    parser.add_argument("--collections", nargs="+", type=Path, default=[], metavar="DIR")
    parser.add_argument("--cross", nargs="+", default=[], metavar="NAME:DIR:DIR")
    parser.add_argument("--group", default=[], nargs="+", metavar="NAME=FIELD", help="as over_collections.py's")
    parser.add_argument("--queries", type=int, default=300, help="only the first so many")
    parser.add_argument("--others", type=int, help="at most so many passages that answer none of them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--vectors", type=Path, metavar="DIR")
    parser.add_argument("--values", type=Path, required=True, metavar="DIR", help="where numbers by query are kept")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    options.values.mkdir(parents=True, exist_ok=True)
    pairs = [(folder.name, folder, folder) for folder in options.collections]
    pairs += [(name, Path(asked), Path(read)) for name, asked, read in (each.split(":") for each in options.cross)]
    groups = dict(each.split("=", 1) for each in options.group)
    rows, measures = [], []
    for name, asked, read in pairs:
        kept = options.values / f"{name}.json"
        if not kept.exists():
            file = None if options.vectors is None else options.vectors / read.name
            models = [
                Remembering(leg, options.threads, file and file.with_name(f"{file.name}.{leg}.npz")) for leg in LEGS[1:]
            ]
            with tempfile.TemporaryDirectory(prefix="legs-") as folder:
                made = Path(folder) / name
                subset(asked, read, made, queries=options.queries, others=options.others)
                result = measured(Collection(made), models, options.queries, groups.get(name))
            for model in models:
                model.save()
            kept.write_text(json.dumps(result), encoding="utf-8")
        measures.append(json.loads(kept.read_text(encoding="utf-8")))
        rows.append(summed_up(name, measures[-1]))
        print(json.dumps({name: rows[-1]["means"]}), flush=True)
        about = {"title": options.title, "note": options.note, "hybridstore": hs.__version__, "first": options.queries}
        result = {**about, "others": options.others, "rows": rows, "over all": over_all(measures)}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
