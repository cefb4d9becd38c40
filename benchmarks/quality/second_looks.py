"""What a second look at what both legs found is worth, without another model: the query's vector moved, fused again.

    python benchmarks/quality/second_looks.py --stores FILE... --collections DIR... --json OUT

Each store is one that `hybridstore evaluate --keep` made of the collection of the same name, and is only read. Every
idea has settings; those for a collection are the ones that are best on the mean of all others. Milliseconds are of one
thread, for what an idea computes; the model's for words and readings come on top.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from over_collections import RESAMPLES, macro_bootstrap
from sample_stores import split_of

import hybridstore as hs
from hybridstore import embedders
from hybridstore.evaluation import Collection, metric
from hybridstore.records import FULL_Z_SCORE
from hybridstore.search.evidence import cosine_statistics

METRIC = "ndcg@10"
READ = 60  # questions of each collection that are embedded with their best passages, which takes longest
Array = np.ndarray[Any, Any]
Scorer = Callable[..., Array]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its n candidates: their evidence, documents and vectors (n, d), and a sample of the store's.

    `words` (t, d) are the vectors of the question's words, `idf` (t,) theirs; `readings` (3, d) those of the question
    with the first title, three titles and the beginnings of three passages.
    """

    documents: Sequence[str]
    grades: Mapping[str, int]
    keyword: Array
    deviations: Array
    relevance: Array
    vectors: Array
    query: Array
    idf: Array
    words: Array
    readings: Array
    weights: tuple[float, float]
    sample: Array
    scale: tuple[float, float] | None

    def fused(self, query: Array | None = None, deviations: Array | None = None) -> Array:
        """Return the candidates' scores (n,), as the store has them, or with another query or other deviations."""
        if deviations is None:
            deviations = self.deviations if query is None else self.above(query)
        scores: Array = self.weights[0] * self.keyword + self.weights[1] * deviations / FULL_Z_SCORE
        return scores

    def above(self, query: Array) -> Array:
        """Return how many deviations the candidates' cosines to a vector lie above the sample's."""
        mean, deviation = cosine_statistics(self.sample @ query, self.scale)
        above: Array = (self.vectors @ query - mean) / deviation
        return above

    def best(self, count: int) -> tuple[Array, Array]:
        """Return the places of the best candidates, and weights that fall with their scores, the first being 1."""
        scores = self.fused()
        first = np.argsort(-scores, kind="stable")[:count]
        return first, np.exp((scores[first] - scores[first[0]]) / 0.1)

    def quality(self, scores: Array) -> float:
        first = np.argsort(-scores, kind="stable")[:10]
        return metric(METRIC)([self.documents[place] for place in first], self.grades)


# Ideas: a question and settings → scores of its candidates


def refined(asked: Asked, rate: float, temperature: float, sharpness: float, guide: str) -> Array:
    """Move the query in five gradient steps on KL, to a distribution between the vector leg's own and the guide's.

    Adam, which gives each dimension equal steps, lost .003 to .004 on six collections where this loses less.
    """
    first, _ = asked.best(100)
    vectors, query = asked.vectors[first], asked.query
    wanted = _softmax((asked.keyword if guide == "words" else asked.fused())[first] / sharpness)
    for _ in range(5):
        now = _softmax(vectors @ query / temperature)
        query = _unit(query + rate * (wanted - now) / 2 @ vectors)
    return asked.fused(query)


def towards_best(asked: Asked, count: int, share: float, trust: str, away: float) -> Array:
    """Add the weighted mean of the best passages, less a part of those far behind; the surer they are, the more."""
    first, weights = asked.best(count)
    if trust == "each":
        weights = weights * asked.relevance[first]
    sure = {"no": 1.0, "each": weights.sum() / len(weights), "best": asked.relevance.max()}[trust]
    wanted = weights @ asked.vectors[first] / max(weights.sum(), 1e-9)
    behind = np.argsort(-asked.fused(), kind="stable")[50:150]
    low = asked.vectors[behind].mean(axis=0) if len(behind) else asked.sample.mean(axis=0)
    return asked.fused(_unit(asked.query + share * sure * (wanted - away * low)))


def read_with_best(asked: Asked, reading: int, share: float) -> Array:
    """Add the vector of the question and the text of its best passages, read together by the same encoder."""
    return asked.fused(_unit(asked.query + share * asked.readings[reading]))


def strongest_dimensions(asked: Asked, kept: float) -> Array:
    """Compare only in the dimensions in which the query itself is largest."""
    return _masked(asked, asked.query**2, kept)


def telling_dimensions(asked: Asked, against: str, kept: float, count: int) -> Array:
    """Compare only in the dimensions that tell the best passages apart: from nothing, or from the sample."""
    return _masked(asked, _telling(asked, against, count), kept)


def modulated(asked: Asked, against: str, strength: float, count: int) -> Array:
    """Amplify each dimension by what it contributes to the best passages' similarity."""
    contribution = _telling(asked, against, count)
    return asked.fused(_unit(asked.query * (1 + strength * np.tanh(contribution / np.abs(contribution).mean()))))


def with_words(asked: Asked, share: float, exponent: float, way: str) -> Array:
    """Add the vectors of the question's words, weighted by IDF, or amplify the dimensions that they have in common."""
    if not asked.idf.sum():
        return asked.fused()
    mean = _unit(asked.idf**exponent @ asked.words)
    if way == "add":
        return asked.fused(_unit(asked.query + share * mean))
    common = asked.query * mean
    return asked.fused(_unit(asked.query * (1 + share * np.tanh(common / np.abs(common).mean()))))


def word_by_word(asked: Asked, share: float, exponent: float) -> Array:
    """Add the deviations of each word's own cosines, weighted by IDF."""
    if not asked.idf.sum():
        return asked.fused()
    weights = asked.idf**exponent / (asked.idf**exponent).sum()
    parts = [weight * asked.above(word) for weight, word in zip(weights, asked.words, strict=True)]
    return asked.fused(deviations=asked.deviations + share * np.sum(parts, axis=0))


IDEAS: dict[str, tuple[Scorer, list[tuple[Any, ...]]]] = {
    "refined by the keyword leg": (refined, [*product((0.05, 0.1, 0.2), (0.1, 0.2), (0.03, 0.1), ("words",))]),
    "refined by the fused scores": (
        refined,
        [*product((0.05, 0.1, 0.2, 0.4), (0.1, 0.2), (0.015, 0.03, 0.05), ("fused",))],
    ),
    "towards the best passages": (
        towards_best,
        [*product((3, 5, 10), (0.05, 0.1, 0.2, 0.4), ("no", "each", "best"), (0.0, 0.5))],
    ),
    "read with the best passages": (read_with_best, [*product((0, 1, 2), (0.05, 0.1, 0.2, 0.4))]),
    "the query's strongest dimensions": (strongest_dimensions, [(0.6,), (0.8,), (0.9,)]),
    "the best passages' dimensions": (
        telling_dimensions,
        [*product(("nothing", "sample"), (0.4, 0.6, 0.8, 0.9), (1, 3, 10))],
    ),
    "dimensions modulated": (modulated, [*product(("nothing", "sample"), (0.1, 0.2, 0.4), (3, 5, 10))]),
    "words' vectors added": (with_words, [*product((0.1, 0.2, 0.4), (0, 1, 2), ("add",))]),
    "words' dimensions amplified": (with_words, [*product((0.1, 0.2, 0.4), (0, 1, 2), ("amplify",))]),
    "asked word by word": (word_by_word, [*product((0.1, 0.2, 0.4), (0, 1, 2))]),
}


def _softmax(values: Array) -> Array:
    powers: Array = np.exp(values - values.max())
    return powers / powers.sum()


def _unit(vector: Array) -> Array:
    return (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)


def _telling(asked: Asked, against: str, count: int) -> Array:
    first, weights = asked.best(count)
    mean = weights @ asked.vectors[first] / weights.sum()
    contribution: Array = asked.query * (mean - asked.sample.mean(axis=0) if against == "sample" else mean)
    return contribution


def _masked(asked: Asked, importance: Array, kept: float) -> Array:
    least = np.sort(importance)[round(len(importance) * (1 - kept))]
    return asked.fused(_unit(np.where(importance >= least, asked.query, 0.0)))


# Measuring


def measured(collections: Mapping[str, Sequence[Asked]], resamples: int = RESAMPLES) -> dict[str, Any]:
    """Return for each idea its gain, with settings chosen on the other collections; of one collection, on itself."""
    before = {name: np.array([each.quality(each.fused()) for each in asked]) for name, asked in collections.items()}
    rows = {}
    for title, (idea, settings) in IDEAS.items():
        some = {name: asked for name, asked in collections.items() if asked}
        if idea is read_with_best:
            some = {name: [each for each in asked if len(each.readings)] for name, asked in some.items()}
        started, gains = time.process_time(), {}
        for setting in settings:
            gains[setting] = {
                name: np.array([each.quality(idea(each, *setting)) for each in asked]) - before[name][: len(asked)]
                for name, asked in some.items()
            }
        milliseconds = 1000 * (time.process_time() - started) / len(settings) / sum(map(len, some.values()))
        chosen = {name: _best(gains, [other for other in some if other != name] or [name]) for name in some}
        rows[title] = {
            **macro_bootstrap([gains[chosen[name]][name] for name in some], resamples=resamples),
            "milliseconds": round(milliseconds, 2),
            "collections": {name: round(float(gains[chosen[name]][name].mean()), 5) for name in some},
            "settings": {name: list(chosen[name]) for name in some},
            "in hindsight": round(max(_mean(each, some) for each in gains.values()), 5),
        }
    means = {name: {"n": len(values), "hybrid": round(float(values.mean()), 5)} for name, values in before.items()}
    return {"hybridstore": hs.__version__, "metric": METRIC, "collections": means, "ideas": rows}


def _best(gains: Mapping[tuple[Any, ...], Mapping[str, Array]], names: Sequence[str]) -> tuple[Any, ...]:
    return max(gains, key=lambda setting: _mean(gains[setting], names))


def _mean(gains: Mapping[str, Array], names: Iterable[str]) -> float:
    return float(np.mean([gains[name].mean() for name in names]))


def collected(path: Path, collection: Collection, count: int) -> list[Asked]:
    """Search a store for the first judged questions of its collection, and keep what the legs found."""
    qrels, encoder = collection.qrels(split_of(collection)), embedders.load(threads=1)
    questions = [each for each in collection.queries().values() if each.id in set(qrels.answerable)][:count]
    found: list[Asked] = []
    with hs.open(path, create=False, read_only=True, threads=1) as store, store.unlogged():
        backend = store._backend  # noqa: SLF001 - vectors of chunks and the sample are not on the face
        sample, calibration = backend.sample()[1], backend.state().calibration
        for question in questions:
            trace = store.search(question.text, limit=10).trace
            evidence = trace.evidence
            if evidence is None or evidence.relevance is None:
                continue
            best = backend.passages(trace.fused.chunks[:3].tolist())
            titles, texts = [each.title or each.text[:60] for each in best], [each.text[:200] for each in best]
            read = [". ".join([question.text, *more]) for more in (titles[:1], titles, texts)]
            total = store.count()
            frequencies = np.array([term.document_frequency for term in trace.terms], float)
            found.append(
                Asked(
                    documents=backend.documents_of(evidence.chunks.tolist()),
                    grades=dict(qrels.of(question.id)),
                    keyword=evidence.keyword,
                    deviations=evidence.vector,
                    relevance=evidence.relevance,
                    vectors=backend.vectors(evidence.chunks.tolist()),
                    query=encoder.embed_query(question.text),
                    idf=np.log1p((total - frequencies + 0.5) / (frequencies + 0.5)),
                    words=encoder.embed_queries([term.word or term.text for term in trace.terms]),
                    readings=encoder.embed_queries(read if len(found) < READ else []),
                    weights=trace.weights,
                    sample=sample,
                    scale=None if calibration is None else calibration.scale,
                )
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", nargs="+", type=Path, required=True, metavar="FILE")
    parser.add_argument("--collections", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--questions", type=int, default=300, help="the first so many of each collection")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    folders = {folder.resolve().name: folder for folder in options.collections}
    asked = {}
    for path in options.stores:
        if path.stem not in folders or not path.exists():
            parser.error(f"{path} is not there, or no folder of --collections is called {path.stem}")
        asked[path.stem] = collected(path, Collection(folders[path.stem]), options.questions)
        print(f"{path.stem}: {len(asked[path.stem])} questions", flush=True)
    result = {"questions": options.questions, **measured(asked)}
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
