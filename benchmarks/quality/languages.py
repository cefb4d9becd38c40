"""Search in other languages, with the default model and with the multilingual one, and from one language to another.

    python benchmarks/quality/languages.py --collections DIR... --cross NAME:DIR:DIR... --json OUT [--values DIR]

A collection is a folder in BEIR layout. `--cross` takes the questions of the first folder and the passages of the
second, whose ids must be the same, as in XQuAD, which is one set of questions and passages in many languages.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import hybridstore as hs
from hybridstore import embedders
from hybridstore.evaluation import Collection, evaluate, paired_bootstrap
from hybridstore.evaluation.metrics import mean

METRIC = "ndcg@10"
EMBEDDERS = ("all-MiniLM-L6-v2", "multilingual-e5-small")
WAYS = ("keyword", "vector", "hybrid")


class Remembering:
    """An embedder that embeds a text once, though it is in several collections."""

    def __init__(self, name: str, threads: int) -> None:
        self._embedder = embedders.load(name, threads=threads)
        self.fingerprint, self.reference = self._embedder.fingerprint, self._embedder.reference
        self.dim, self.max_tokens = self._embedder.dim, self._embedder.max_tokens
        self.token_starts = self._embedder.token_starts
        self._documents: dict[str, Any] = {}
        self._queries: dict[str, Any] = {}

    def embed_documents(self, texts: Sequence[str]) -> Any:
        return self._all(texts, self._documents, self._embedder.embed_documents)

    def embed_queries(self, texts: Sequence[str]) -> Any:
        return self._all(texts, self._queries, self._embedder.embed_queries)

    def embed_query(self, text: str) -> Any:
        return self.embed_queries([text])[0]

    def _all(self, texts: Sequence[str], known: dict[str, Any], embed: Callable[[list[str]], Any]) -> Any:
        new = list(dict.fromkeys(text for text in texts if text not in known))
        known.update(zip(new, embed(new), strict=True))
        return np.array([known[text] for text in texts], dtype=np.float32).reshape(len(texts), self.dim)


def measured(collection: Collection, embedder: Remembering) -> dict[str, Any]:
    """Fill a store and search it in every way; return each way's numbers by query."""
    with (
        tempfile.TemporaryDirectory(prefix="languages-") as folder,
        hs.open(Path(folder) / "store.db", embedder=embedder) as store,
    ):
        store.add(collection.corpus(), chunk=False)
        embedder.embed_queries([query.text for query in collection.queries().values()])
        (split,) = collection.splits
        found = evaluate(store, collection, split=split, metrics=[METRIC], limit=10)
        return {
            "documents": store.stats().documents,
            "embedder": embedder.fingerprint,
            "power": round(store.search("a").trace.power or 0.0, 3),
            "values": {way: dict(found.values(way, METRIC)) for way in WAYS},
        }


def subset(source: Path, passages_of: Path, target: Path, *, queries: int, others: int | None) -> None:
    """Write a collection of one folder's first questions, another's passages, and of these at most so many others."""
    collection = Collection(source)
    (split,) = collection.splits
    grades = collection.qrels(split).grades
    chosen = [query for query in collection.queries().values() if query.id in grades][:queries]
    wanted = {document for query in chosen for document in grades[query.id]}
    target.mkdir()
    (target / "qrels").mkdir()
    lines = [f"{query.id}\t{document}\t{grade}" for query in chosen for document, grade in grades[query.id].items()]
    table = "\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n"
    (target / "qrels" / "test.tsv").write_text(table, encoding="utf-8")
    rows = [json.dumps({"_id": query.id, "text": query.text}, ensure_ascii=False) for query in chosen]
    (target / "queries.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with gzip.open(target / "corpus.jsonl.gz", "wt", encoding="utf-8") as file:
        for document in Collection(passages_of).corpus():
            if document.id not in wanted:
                if others is not None and others <= 0:
                    continue
                others = None if others is None else others - 1
            row = {"_id": document.id, "title": document.title, "text": document.text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def summed_up(name: str, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return means, and what the multilingual model's hybrid is above the others."""
    default, multilingual = (found[embedder]["values"] for embedder in EMBEDDERS)
    against = {
        "keyword": multilingual["keyword"],
        "its vectors": multilingual["vector"],
        "the default's hybrid": default["hybrid"],
    }
    rows = {}
    for other, values in against.items():
        paired = paired_bootstrap(values, multilingual["hybrid"])
        rows[other] = {key: round(getattr(paired, key), 5) for key in ("difference", "low", "high")}
    return {
        "name": name,
        "documents": found[EMBEDDERS[0]]["documents"],
        "queries": len(default["keyword"]),
        "means": {
            embedder: {way: round(mean(each["values"][way].values()), 5) for way in WAYS}
            for embedder, each in found.items()
        },
        "power": {embedder: each["power"] for embedder, each in found.items()},
        "against": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collections", nargs="+", type=Path, default=[], metavar="DIR")
    parser.add_argument("--cross", nargs="+", default=[], metavar="NAME:DIR:DIR")
    parser.add_argument("--queries", type=int, default=300, help="only the first so many")
    parser.add_argument("--others", type=int, help="at most so many passages that answer none of them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--values", type=Path, required=True, metavar="DIR", help="where numbers by query are kept")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    options.values.mkdir(parents=True, exist_ok=True)
    pairs = [(folder.name, folder, folder) for folder in options.collections]
    pairs += [(name, Path(asked), Path(read)) for name, asked, read in (each.split(":") for each in options.cross)]
    rows = []
    loaded: dict[str, Remembering] = {}
    for name, asked, read in pairs:
        found: dict[str, dict[str, Any]] = {}
        for embedder in EMBEDDERS:
            kept = options.values / f"{name}.{embedder}.json"
            if not kept.exists():
                with tempfile.TemporaryDirectory(prefix="languages-") as folder:
                    made = Path(folder) / name
                    subset(asked, read, made, queries=options.queries, others=options.others)
                    if embedder not in loaded:
                        loaded[embedder] = Remembering(embedder, options.threads)
                    result = measured(Collection(made), loaded[embedder])
                kept.write_text(json.dumps(result), encoding="utf-8")
            found[embedder] = json.loads(kept.read_text(encoding="utf-8"))
        rows.append(summed_up(name, found))
        print(json.dumps(rows[-1]), flush=True)
        about = {"hybridstore": hs.__version__, "metric": METRIC, "first": options.queries, "others": options.others}
        options.json.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
