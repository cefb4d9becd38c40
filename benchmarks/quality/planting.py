"""How far a passage rises that was written to be near many questions, in each leg and in the fused search.

    python benchmarks/quality/planting.py --stores FILE... --collections DIR... --json OUT [--passages 3] [--steps 150]

The attacker knows half of a collection's questions and the model, and adds a few passages, each for the known questions
of one cluster, in one of two ways: "stuffed" joins the questions nearest to the middle of the cluster; "searched" then
exchanges word after word for others of the store where that brings the passage nearer to the cluster (a simple form of
GASLITE's search by gradients). How often one is among the first ten is counted for the other half of the questions. A
hub is a passage that stands among the ten nearest of more of 1,000 of the store's own passages than any of the rest:
`hubs` is the share of the store's passages that do so at least as often as the planted one.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sample_stores import content_words, of_store

import hybridstore as hs
from hybridstore.tuning.adapter_tuning import embedding_of

LEGS = ("keyword", "vector", "hybrid")
WAYS = ("stuffed", "searched")
WORDS = 80  # of a planted passage
TRIED = 16  # exchanges at a step, of which the best is kept
SAMPLED = 1_000

Vectors = Any  # float32 (n, d)


def clusters(vectors: Vectors, count: int, seed: int) -> list[Any]:
    """Return the rows of each of some clusters of unit vectors, by spherical k-means."""
    chance = np.random.default_rng(seed)
    middles = vectors[chance.permutation(len(vectors))[:count]]
    for _ in range(20):
        nearest = (vectors @ middles.T).argmax(axis=1)
        sums = [vectors[nearest == n].sum(axis=0) for n in range(len(middles))]
        middles = np.array([each / max(float(np.linalg.norm(each)), 1e-9) for each in sums])
    return [rows for n in range(len(middles)) if len(rows := np.flatnonzero(nearest == n))]


def stuffed(questions: Sequence[str], vectors: Vectors) -> str:
    """Return the questions nearest to their middle, one after the other, up to the length."""
    order = np.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable")
    return " ".join(" ".join(questions[n] for n in order).split()[:WORDS])


def searched(text: str, target: Vectors, embedder: Any, vocabulary: Sequence[str], *, steps: int, seed: int) -> str:
    """Return the text after exchanges of single words that bring its vector nearer to the mean of the target's."""
    chance, words = random.Random(seed), text.split()
    middle = target.mean(axis=0)
    best = float(embedder.embed_documents([text])[0] @ middle)
    for _ in range(steps):
        tried = []
        for _ in range(TRIED):
            changed = list(words)
            changed[chance.randrange(len(changed))] = chance.choice(vocabulary)
            tried.append(changed)
        near = embedder.embed_documents([" ".join(each) for each in tried]) @ middle
        if near.max() > best:
            best, words = float(near.max()), tried[int(near.argmax())]
    return " ".join(words)


def found(store: hs.Store, questions: Sequence[str], planted: set[str]) -> dict[str, float]:
    """Return the share of questions with a planted passage among the first ten, and as the first, by leg."""
    told = {}
    for leg in LEGS:
        tops = [[hit.document_id for hit in store.search(text, mode=leg)] for text in questions]  # type: ignore[arg-type]
        told[leg] = round(float(np.mean([not planted.isdisjoint(top) for top in tops])), 4)
        told[f"{leg}, first"] = round(float(np.mean([bool(top) and top[0] in planted for top in tops])), 4)
    return told


def hubs(store: hs.Store, planted: set[str], seed: int) -> float:
    """Return the share of passages that are among the ten nearest of as many others as each planted one."""
    ids, vectors = [], []
    for stored in store.scan(vectors=True):
        ids += [stored.document.id] * len(stored.chunks)
        vectors += list(stored.vectors) if stored.vectors is not None else []
    matrix = np.array(vectors, np.float32)
    sample = np.random.default_rng(seed).permutation(len(matrix))[:SAMPLED]
    near = matrix[sample] @ matrix.T
    near[np.arange(len(sample)), sample] = -2
    times = np.bincount(np.argpartition(near, -10, axis=1)[:, -10:].ravel(), minlength=len(matrix))
    own = np.array([each in planted for each in ids])
    return round(float((times[~own] >= times[own].min()).mean()), 4)


def measured(sample: Any, passages: int, steps: int, seed: int = 0) -> dict[str, Any]:
    """Plant passages in copies of a store; return what the unknown half of its questions finds, by way."""
    questions = [text for text, _ in sample.asked]
    random.Random(seed).shuffle(questions)
    known, unknown = questions[::2], questions[1::2][:150]
    rows: dict[str, Any] = {"known": len(known), "asked": len(unknown), "passages": passages}
    for way in WAYS:
        with sample.copy() as store:
            _, embedder = embedding_of(store)
            vectors = np.array([embedder.embed_query(text) for text in known], np.float32)
            counted = [word for each in store.documents() for word in content_words(each.text)]
            vocabulary = sorted({*counted})
            texts = []
            for n, rows_of in enumerate(clusters(vectors, passages, seed)):
                text = stuffed([known[row] for row in rows_of], vectors[rows_of])
                if way == "searched":
                    text = searched(text, vectors[rows_of], embedder, vocabulary, steps=steps, seed=seed + n)
                texts.append(text)
            documents = [hs.Document(id=f"planted-{n}", text=text) for n, text in enumerate(texts)]
            store.add(documents, chunk=False)
            planted = {document.id for document in documents}
            rows[way] = {**found(store, unknown, planted), "hubs": hubs(store, planted, seed), "text": texts[0]}
    return rows


def page(result: Mapping[str, Any]) -> list[str]:
    """Return the table as Markdown: among the first ten, and as the first."""
    lines = [f"| collection | way | {' | '.join(LEGS)} | passages as near to others |", "|---" * 6 + "|"]
    for name, rows in result["collections"].items():
        for way in WAYS:
            cells = [f"{rows[way][leg]:.0%} ({rows[way][f'{leg}, first']:.0%})" for leg in LEGS]
            lines.append(f"| {name} | {way} | {' | '.join(cells)} | {rows[way]['hubs']:.1%} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", nargs="+", type=Path, required=True, metavar="FILE")
    parser.add_argument("--collections", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--passages", type=int, default=3, help="planted in each store")
    parser.add_argument("--steps", type=int, default=150, help="of the search for words")
    parser.add_argument("--threads", type=int, default=2, help="for the model")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    folders = {folder.resolve().name: folder for folder in options.collections}
    results: dict[str, Any] = {}
    for path in options.stores:
        with tempfile.TemporaryDirectory(prefix="planting-") as folder:
            sample = of_store(path, Path(folder), folders[path.stem], threads=options.threads)
            results[path.stem] = measured(sample, options.passages, options.steps)
        result = {"hybridstore": hs.__version__, "collections": results}
        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n".join(page(result)))


if __name__ == "__main__":
    main()
