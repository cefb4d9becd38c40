"""What embedding passages in int8 costs: cosines to float32, and search with the vectors of either and of both mixed.

    python benchmarks/quality/precision.py --collections DIR... --json OUT [--queries N] [--values DIR]

Three stores are filled with each collection: one in float32, one as a store is filled, one with half of the passages in
each precision, as a store that was begun with float32 and goes on in int8. Queries are always in float32.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from over_collections import macro_bootstrap
from sample_stores import split_of

import hybridstore as hs
from hybridstore import embedders
from hybridstore.evaluation import Collection, evaluate
from hybridstore.evaluation.metrics import mean

METRIC = "ndcg@10"
WAYS = ("vector", "hybrid")
FLOAT32, INT8, MIXED = "float32", "int8", "half of each"


class Precise:
    """The default model with its passages in one precision or in both; a text is embedded once."""

    def __init__(self, model: embedders.Embedder, known: dict[str, dict[str, Any]]) -> None:
        self._model, self.known, self.precision = model, known, FLOAT32
        self.fingerprint, self.reference = model.fingerprint, embedders.DEFAULT
        self.dim, self.max_tokens, self.token_starts = model.dim, model.max_tokens, model.token_starts
        self.embed_query, self.embed_queries = model.embed_query, model.embed_queries

    def embed_documents(self, texts: Sequence[str]) -> Any:
        rows = []
        for precision, embed in ((FLOAT32, self._model.embed_plain), (INT8, self._model.embed_documents)):
            known = self.known[precision]
            new = [text for text in dict.fromkeys(texts) if text not in known]
            known.update(zip(new, embed(new), strict=True))
            rows.append(np.array([known[text] for text in texts], np.float32).reshape(len(texts), self.dim))
        if self.precision == MIXED:
            return np.where(np.arange(len(texts))[:, None] % 2, rows[0], rows[1])
        return rows[self.precision == INT8]


def measured(collection: Collection, model: embedders.Embedder, queries: int | None) -> dict[str, Any]:
    """Search a collection's questions in each store; give the numbers query by query, and the cosines."""
    embedder = Precise(model, {FLOAT32: {}, INT8: {}})
    values = {}
    for precision in (FLOAT32, INT8, MIXED):
        embedder.precision = precision
        with (
            tempfile.TemporaryDirectory(prefix="precision-") as folder,
            hs.open(Path(folder) / "store.db", embedder=embedder) as store,
        ):
            store.add(collection.corpus(), chunk=False)
            found = evaluate(store, collection, split=split_of(collection), metrics=[METRIC], limit=10, queries=queries)
            values[precision] = {way: dict(found.values(way, METRIC)) for way in WAYS}
    one, other = (np.array(list(embedder.known[precision].values())) for precision in (FLOAT32, INT8))
    cosines = np.einsum("ij,ij->i", one, other)
    return {"passages": len(one), "least": float(cosines.min()), "mean": float(cosines.mean()), "values": values}


def summed_up(measures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return means by collection, and the differences to float32 over all of them."""
    rows = {
        name: {
            "queries": len(each["values"][FLOAT32]["hybrid"]),
            **{key: round(each[key], 5) for key in ("passages", "least", "mean")},
            "ndcg@10": {
                precision: {way: round(mean(values[way].values()), 5) for way in WAYS}
                for precision, values in each["values"].items()
            },
        }
        for name, each in measures.items()
    }
    differences = {
        precision: {
            way: macro_bootstrap(
                [
                    np.array([each["values"][precision][way][query] - number for query, number in before.items()])
                    for each in measures.values()
                    for before in [each["values"][FLOAT32][way]]
                ]
            )
            for way in WAYS
        }
        for precision in (INT8, MIXED)
    }
    return {"hybridstore": hs.__version__, "collections": rows, "differences": differences}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collections", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--queries", type=int, help="only the first so many of each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--values", type=Path, required=True, metavar="DIR", help="where numbers by query are kept")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    options.values.mkdir(parents=True, exist_ok=True)
    model = embedders.load(threads=options.threads, device="cpu")
    measures: dict[str, dict[str, Any]] = {}
    for folder in options.collections:
        kept = options.values / f"{folder.name}.json"
        if not kept.exists():
            kept.write_text(json.dumps(measured(Collection(folder), model, options.queries)), encoding="utf-8")
        measures[folder.name] = json.loads(kept.read_text(encoding="utf-8"))
        result = summed_up(measures)
        print(folder.name, json.dumps(result["collections"][folder.name]), flush=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
