"""What keeping less of each vector saves, and costs: bytes, recall beside float32, and nDCG@10 of the fused search.

    python benchmarks/storage.py FOLDER ... [--models NAME ...] [--queries 200] [--vectors DIR] [--page OUT]

The folders have the BEIR layout; each is embedded once by each model (`--vectors` keeps what was made). A store is
filled anew for each way to keep vectors, and searched as people search it. The ways that a store has are its codecs;
the others are tried on the vectors before they are added: fewer dimensions, bits beside bits, and codes out of learned
books. Their bytes are what such a codec would take, and their vectors are kept as float32 here.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "quality"))
from legs import Remembering
from over_collections import macro_bootstrap
from sample_stores import split_of

import hybridstore as hs
from hybridstore.codecs.kept_vectors import CODECS
from hybridstore.evaluation import Collection, evaluate
from hybridstore.evaluation.metrics import mean
from hybridstore.store.embedder_choice import embedded_text

METRIC = "ndcg@10"
SEED = 3
_BOOK = 256  # vectors of a learned book: a byte names one
_ROUNDS = 12  # of k-means
_COMMON = 200  # of the words that most passages have
_REMOVED = 8  # directions that they span

Vectors = Any  # float32 (n, dim)
Fitted = tuple[Callable[[Vectors], Vectors], Callable[[Vectors], Vectors], float]
"""What is kept of passages, what is asked with, and the bytes of a passage."""


def _unit(vectors: Vectors) -> Vectors:
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _projected(axes: Vectors, keep: Callable[[Vectors], Vectors] = _unit, size: float | None = None) -> Fitted:
    return (
        lambda vectors: keep(vectors @ axes),
        lambda vectors: _unit(vectors @ axes),
        4.0 * axes.shape[1] if size is None else size,
    )


def principal(vectors: Vectors, count: int) -> Vectors:
    """Return the axes (dim, count) along which vectors are longest."""
    return np.linalg.svd(vectors, full_matrices=False)[2][:count].T.astype(np.float32)


def truncated(vectors: Vectors, _: Any, *, dim: int) -> Fitted:
    return _projected(np.eye(vectors.shape[1], dim, dtype=np.float32))


def reduced(vectors: Vectors, _: Any, *, dim: int, filtered: bool = False, half: bool = False) -> Fitted:
    """Project to principal axes; `filtered` first takes out what words that say little span (after EmbedFilter)."""
    keep = np.eye(vectors.shape[1], dtype=np.float32)
    if filtered:
        common = principal(_unit(_), _REMOVED)
        keep -= common @ common.T
    axes = keep @ principal(vectors @ keep, dim)
    if half:
        return _projected(axes, lambda some: _unit(_unit(some).astype(np.float16).astype(np.float32)), 2.0 * dim)
    return _projected(axes)


def binary(vectors: Vectors, _: Any, *, bits: int) -> Fitted:
    """Keep signs, then the signs of what these leave, and so on (recurrent binary codes, after BEBR)."""
    middle = vectors.mean(axis=0)

    def kept(some: Vectors) -> Vectors:
        left, found = some - middle, np.zeros_like(some)
        for _bit in range(bits):
            step = np.abs(left).mean(axis=1, keepdims=True) * np.where(left >= 0, 1, -1)
            found += step
            left = left - step
        return _unit(found + middle)

    return kept, _unit, vectors.shape[1] * bits / 8


def product(vectors: Vectors, _: Any, *, size: int) -> Fitted:
    """Keep a byte for each part of the rotated vector: which of 256 centres it is nearest to (after OPQ)."""
    dim = vectors.shape[1]
    axes = principal(vectors, dim)
    if axes.shape[1] < dim:  # fewer vectors than dimensions
        axes = np.linalg.qr(np.hstack([axes, np.eye(dim, dtype=np.float32)]))[0][:, :dim].astype(np.float32)
    # Axes are dealt out, so that every part has long and short ones.
    axes = axes[:, np.argsort(np.arange(dim) % size, kind="stable")]
    rng, width = np.random.default_rng(SEED), dim // size
    sample = vectors[rng.permutation(len(vectors))[:20_000]] @ axes
    books = []
    for part in range(size):
        points = sample[:, part * width : (part + 1) * width]
        centres = points[rng.permutation(len(points))[:_BOOK]].copy()
        for _round in range(_ROUNDS):
            nearest = _nearest(points, centres)
            counts = np.bincount(nearest, minlength=len(centres))
            sums = np.zeros_like(centres)
            np.add.at(sums, nearest, points)
            centres[counts > 0] = sums[counts > 0] / counts[counts > 0, None]
        books.append(centres)

    def kept(some: Vectors) -> Vectors:
        turned = some @ axes
        parts = [turned[:, n * width : (n + 1) * width] for n in range(size)]
        found = [book[_nearest(part, book)] for part, book in zip(parts, books, strict=True)]
        return _unit(np.hstack(found) @ axes.T)

    return kept, _unit, float(size)


def _nearest(points: Vectors, centres: Vectors) -> Any:
    return ((centres**2).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1)


@dataclass(frozen=True)
class Way:
    """A way to keep vectors: a codec of the store, or what is done to vectors before they are added."""

    name: str
    codec: str = "float32"
    fit: Callable[[Vectors, Vectors], Fitted] | None = None


def ways(dim: int) -> list[Way]:
    """Return the ways to keep vectors of so many dimensions."""

    def part(function: Callable[..., Fitted], **options: Any) -> Callable[[Vectors, Vectors], Fitted]:
        return lambda vectors, common: function(vectors, common, **options)

    half, quarter = dim // 2, dim // 4
    return [
        *(Way(name, codec=name) for name in CODECS),
        Way("signs, three times", fit=part(binary, bits=3)),
        Way("signs, twice", fit=part(binary, bits=2)),
        Way("signs", fit=part(binary, bits=1)),
        Way(f"first {half} dimensions", fit=part(truncated, dim=half)),
        Way(f"{half} principal axes", fit=part(reduced, dim=half)),
        Way(f"{half} principal axes, float16", fit=part(reduced, dim=half, half=True)),
        Way(f"{quarter} principal axes", fit=part(reduced, dim=quarter)),
        Way(f"{half} axes without common words", fit=part(reduced, dim=half, filtered=True)),
        Way(f"{quarter} axes without common words", fit=part(reduced, dim=quarter, filtered=True)),
        Way(f"{quarter} bytes of learned books", fit=part(product, size=quarter)),
        Way(f"{dim // 8} bytes of learned books", fit=part(product, size=dim // 8)),
    ]


class Kept:
    """An embedder whose vectors are those of another one as far as a way keeps them."""

    def __init__(self, embedder: Remembering, name: str, fitted: Fitted | None, dim: int) -> None:
        self._embedder, self.dim = embedder, dim
        self._keep, self._ask = fitted[:2] if fitted else (_unit, _unit)
        self.fingerprint, self.reference = f"{embedder.fingerprint} {name}", embedder.reference
        self.max_tokens, self.token_starts = embedder.max_tokens, embedder.token_starts

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return self._keep(self._embedder.embed_documents(texts))

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._ask(self._embedder.embed_queries(texts))

    def embed_query(self, text: str) -> Vectors:
        return self.embed_queries([text])[0]


def measured(collection: Collection, embedder: Remembering, queries: int) -> dict[str, dict[str, Any]]:
    """Return for each way its bytes, recall, times, and nDCG@10 by query, fused and by the vectors alone."""
    documents = [hs.Document(id=each.id, title=each.title, text=each.text) for each in collection.corpus()]
    texts = [embedded_text(each.title, "", each.text) for each in documents]
    asked = [query.text for query in collection.queries().values()][:queries]
    vectors, questions = _unit(embedder.embed_documents(texts)), _unit(embedder.embed_queries(asked))
    words = Counter(word for text in texts for word in set(text.lower().split()) if word.isalpha())
    common = embedder.embed_documents([word for word, _ in words.most_common(_COMMON)])
    nearest = np.argsort(-(questions @ vectors.T), axis=1)[:, :100]
    found = {}
    for way in ways(vectors.shape[1]):
        fitted = way.fit(vectors, common) if way.fit else None
        if fitted is None:
            codec = CODECS[way.codec]
            kept, size = codec.decode(codec.encode(vectors).tobytes(), vectors.shape[1]), codec.size(vectors.shape[1])
            own = np.argsort(-(questions @ kept.T), axis=1)[:, :100]
        else:
            kept, size = fitted[0](vectors), fitted[2]
            own = np.argsort(-(fitted[1](questions) @ kept.T), axis=1)[:, :100]
        model = Kept(embedder, way.name, fitted, kept.shape[1])
        recalls, searched = _recalls(nearest, own), _searched(documents, model, way, collection, queries)
        found[way.name] = {"bytes": size, **recalls, **searched}
        fused = mean(searched["hybrid"].values())
        print(f"  {way.name:34} {size:6.0f} bytes  {recalls['recall@10']:.4f}  {METRIC} {fused:.4f}", flush=True)
    return found


def _recalls(nearest: Any, own: Any) -> dict[str, float]:
    return {
        f"recall@{depth}": float(
            np.mean([len(np.intersect1d(a[:depth], b[:depth])) / depth for a, b in zip(nearest, own, strict=True)])
        )
        for depth in (10, min(100, nearest.shape[1]))
    }


def _searched(
    documents: Sequence[hs.Document], model: Kept, way: Way, collection: Collection, queries: int
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="storage-") as folder:
        with hs.open(Path(folder) / "store.db", embedder=model, codec=way.codec) as store:
            store.add(documents, chunk=False)
            runs = evaluate(
                store,
                collection,
                split=split_of(collection),
                modes=["hybrid", "vector"],
                metrics=[METRIC],
                queries=queries,
            )
            texts = [query.text for query in collection.queries().values()][:queries]
            times = []
            for text in texts:
                began = time.perf_counter()
                store.search(text)
                times.append(time.perf_counter() - began)
            per_chunk = store.compact().after / len(documents)
        return {
            "ms": 1000 * float(np.median(times)),
            "file": per_chunk,
            **{mode: dict(runs.values(mode, METRIC)) for mode in ("hybrid", "vector")},
        }


def summed_up(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return a row for each way: means over the collections, and the differences to float32 with their intervals."""
    first = next(iter(found.values()))
    rows = []
    for way in first:
        differences = {
            mode: macro_bootstrap(
                [
                    np.array([each[way][mode][query] - value for query, value in each["float32"][mode].items()])
                    for each in found.values()
                ]
            )
            for mode in ("hybrid", "vector")
        }
        names = ("bytes", "file", "recall@10", "recall@100", "ms")
        means = {name: float(np.mean([each[way].get(name, 1.0) for each in found.values()])) for name in names}
        worst = min(
            mean(each[way]["hybrid"].values()) - mean(each["float32"]["hybrid"].values()) for each in found.values()
        )
        rows.append({"way": way, **means, "against": differences, "worst": worst})
    return rows


INTRO = """# What a file keeps of its vectors

<!-- Made by benchmarks/storage.py from benchmarks/results/storage.json. -->

A search finds candidates by codes of one byte a dimension, which every store has, and computes the cosines of the best
anew by what the file keeps of their vectors. That is all of it, float32, unless the store is told otherwise:

```console
$ hybridstore recode float16
$ hybridstore compact
```

or, when a store is made, `hs.open("notes.db", codec="float16")`. `recode` is one step: others read the old vectors
until it is done, and a store whose expectations (`hybridstore expect`) it would break is left as it was. What a shorter
codec left out does not come back with a longer one; `reembed` makes vectors anew. Stores in memory and on a server keep
float32.

*Bytes* are those of a vector, *file* those of a passage in the compacted file, text and keywords included; *recall* is
how many of the nearest by float32 are still among the nearest by what is kept; *fused* and *by vectors* are differences
in nDCG@10 to float32 with the default settings, as a mean over the collections with 95 % intervals (paired bootstrap),
*worst* the fused one of the worst collection. In italics: ways that were tried on the vectors and that no store has.
"""


def page(results: Mapping[str, Any]) -> str:
    """Return the page of the results."""
    parts = [INTRO]
    for name, found in results["models"].items():
        parts.append(f"\n## {name}\n\n{', '.join(found['collections'])}; up to {results['queries']} questions each.\n")
        parts.append("| kept | bytes | file | recall@10 | recall@100 | fused | worst | by vectors |")
        parts.append("|---|---|---|---|---|---|---|---|")
        for row in found["rows"]:
            way = row["way"] if row["way"] in CODECS else f"*{row['way']}*"
            file = f"{row['file']:,.0f}" if row["way"] in CODECS else ""
            parts.append(
                f"| {way} | {row['bytes']:,.0f} | {file} | {row['recall@10']:.4f} | {row['recall@100']:.4f} | "
                f"{_difference(row['against']['hybrid'])} | {row['worst']:+.4f} | "
                f"{_difference(row['against']['vector'])} |"
            )
    parts.append(f"\n{CONCLUSION}")
    return "\n".join(parts)


CONCLUSION = """## What follows

float16 and int8 change nothing that these questions can show, and take half and a quarter of a vector's bytes; int4 is
within .002 on the mean, not on every collection. Beside words few bits would do: codes of two bits a dimension, or 96
bytes of learned books, are within .002 as well. They are not built, as the codes of one byte a dimension stay in any
case: what could still be saved is a twentieth of the file. Half of the dimensions are worth as much as all of them if
what common words span is taken out first, and with multilingual-e5-small more ([labs](labs.md)).
"""


def _difference(of: Mapping[str, float]) -> str:
    return f"{of['difference']:+.4f} ({of['low']:+.4f} to {of['high']:+.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--models", nargs="+", default=["all-MiniLM-L6-v2"], metavar="NAME")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--vectors", type=Path, metavar="DIR")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "storage.json")
    parser.add_argument("--page", type=Path, help="write the page of the results that are there")
    args = parser.parse_args()
    results: dict[str, Any] = {"queries": args.queries, "models": {}}
    for name in args.models if args.folders else ():
        found = {}
        for folder in args.folders:
            kept = args.vectors / f"{folder.name}.{name}.npz" if args.vectors else None
            embedder = Remembering(name, args.threads, kept)
            print(f"{folder.name}, {name}", flush=True)
            found[folder.name] = measured(Collection(folder), embedder, args.queries)
            embedder.save()
        results["models"][name] = {"collections": list(found), "rows": summed_up(found)}
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if args.page:
        args.page.write_text(page(json.loads(args.json.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
