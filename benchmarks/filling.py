"""How soon a new store answers: by words, as well as it ever will, and when its last vector is made.

    python benchmarks/filling.py FOLDER ... [--size 50000] [--queries 40] [--how later] [--json OUT]

The folders have the BEIR layout. Their documents are mixed with a seed and cut off when they have `--size` passages.
They are added and embedded as `hybridstore add` does it, in one process. The clock stops while quality is measured, at
a dozen points: nDCG@10 of up to `--queries` questions of each folder whose answers are among the documents, the mean of
the folders' means. `--how now` is `Store.add` as it is without words first.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hybridstore as hs
from hybridstore import embedders
from hybridstore.embedders.protocol import Embedder
from hybridstore.evaluation import Collection, Qrels, Run, score
from hybridstore.store.chunk_vectors import cut

SEED = 5
SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)  # of the passages: quality is measured here
GOOD = 0.9  # of the final quality
_METRIC = "ndcg@10"


@dataclass
class Clock:
    """Seconds of the work, without those of measuring it."""

    seconds: float = 0.0
    _since: float = field(default_factory=time.perf_counter)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.seconds += time.perf_counter() - self._since
        try:
            yield
        finally:
            self._since = time.perf_counter()


@dataclass(frozen=True)
class Material:
    """Documents, how many passages they are, and questions and judgments by folder."""

    documents: list[hs.Document]
    passages: int
    questions: dict[str, dict[str, str]]
    judged: dict[str, Qrels]


def material(folders: Sequence[Path], size: int, queries: int, embedder: Embedder) -> Material:
    """Read and mix the folders' documents, up to `size` passages, with the questions they can answer."""
    collections = [Collection(folder) for folder in folders]
    documents = [
        hs.Document(id=f"{collection.name}/{document.id}", title=document.title, text=document.text)
        for collection in collections
        for document in collection.corpus()
    ]
    random.Random(SEED).shuffle(documents)
    passages = taken = 0
    while taken < len(documents) and passages < size:
        passages += len(cut(documents[taken], embedder))
        taken += 1
    there = {document.id for document in documents[:taken]}
    questions, judged = {}, {}
    for collection in collections:
        split = "test" if "test" in collection.splits else collection.splits[0]
        qrels, texts = collection.qrels(split), collection.queries()
        grades: dict[str, dict[str, int]] = {}
        for id_ in qrels.answerable:
            found = {f"{collection.name}/{document}": grade for document, grade in qrels.of(id_).items()}
            found = {document: grade for document, grade in found.items() if document in there}
            if any(grade > 0 for grade in found.values()) and len(grades) < queries:
                grades[id_] = found
        if grades:
            questions[collection.name] = {id_: texts[id_].text for id_ in grades}
            judged[collection.name] = Qrels(grades)
    return Material(documents[:taken], passages, questions, judged)


def quality(store: hs.Store, given: Material, mode: str = "hybrid") -> float:
    """Return the mean of the folders' mean nDCG@10."""
    means = []
    for name, questions in given.questions.items():
        ranked: dict[str, list[tuple[str, float]]] = {}
        for id_, text in questions.items():
            best: dict[str, float] = {}
            for hit in store.search(text, mode=mode, limit=30):
                best.setdefault(hit.document_id, hit.score)
            ranked[id_] = list(best.items())
        means.append(score(Run.from_ranked(ranked), given.judged[name], [_METRIC]).mean(_METRIC))
    return sum(means) / len(means)


class Measurement:
    """What is measured while a store is filled: points of (seconds, share of vectors, quality), and first answers."""

    def __init__(self, store: hs.Store, given: Material) -> None:
        self.store, self.given, self.clock = store, given, Clock()
        self.points: list[dict[str, float]] = []
        self.first: float | None = None

    def committed(self, _: object) -> None:
        """Look for the first answer by words after a commit."""
        if self.first is not None:
            return
        with self.clock.stopped():
            texts = [text for questions in self.given.questions.values() for text in questions.values()]
            began = time.perf_counter()
            if self.store.search(texts[0], mode="keyword"):
                self.first = self.clock.seconds + time.perf_counter() - began

    def look(self, *, end: bool = False) -> None:
        """Measure the quality if the next share of vectors is reached."""
        share = 1.0 if end else self.store.stats().vectors / self.given.passages
        if len(self.points) < len(SHARES) and share >= SHARES[len(self.points)]:
            with self.clock.stopped():
                value = quality(self.store, self.given)
                while len(self.points) < len(SHARES) and share >= SHARES[len(self.points)]:
                    self.points.append({"seconds": round(self.clock.seconds, 2), "share": share, "quality": value})
                print(f"{self.clock.seconds:8.1f} s  {100 * share:5.1f} %  {_METRIC} {value:.4f}", flush=True)

    def outcome(self, words_seconds: float) -> dict[str, Any]:
        """Return the figures."""
        final = self.points[-1]["quality"]
        good = next((point for point in self.points if point["quality"] >= GOOD * final), self.points[-1])
        return {
            "first_answer_seconds": self.first,
            "searchable_by_words_seconds": round(words_seconds, 2),
            "good_seconds": good["seconds"],
            "good_share_of_vectors": good["share"],
            "end_seconds": round(self.clock.seconds, 2),
            "final_quality": final,
            "words_alone": quality(self.store, self.given, "keyword"),
            "points": self.points,
        }


def measure(path: Path, given: Material, embedder: Embedder, how: str) -> dict[str, Any]:
    """Fill a new store at `path` and return the figures."""
    # Another store object asks, as what was asked of this one would be embedded first.
    with hs.open(path, embedder=embedder) as store, hs.open(path, embedder=embedder) as asked:
        measurement = Measurement(asked, given)
        if how == "later":
            store.add(given.documents, vectors="later", progress=measurement.committed)
        else:
            store.add(given.documents, progress=lambda report: (measurement.committed(report), measurement.look()))
        with measurement.clock.stopped():
            words = measurement.clock.seconds
        measurement.look()
        store.embed(progress=lambda *_: measurement.look())
        measurement.look(end=True)
        with measurement.clock.stopped():
            return measurement.outcome(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--size", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--how", choices=("later", "now"), default="later")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    embedder = embedders.load(threads=args.threads)
    given = material(args.folders, args.size, args.queries, embedder)
    print(f"{len(given.documents):,} documents, {given.passages:,} passages, {len(given.questions)} folders")
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder) / "filling.db", given, embedder, args.how)
    print(json.dumps({name: value for name, value in results.items() if name != "points"}, indent=1))
    if args.json:
        about = {
            "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "versions": {name: importlib.metadata.version(name) for name in ("hybridstore", "onnxruntime", "numpy")},
            "embedder": embedder.fingerprint,
            "folders": sorted(given.questions),
            "documents": len(given.documents),
            "passages": given.passages,
            "questions": sum(len(questions) for questions in given.questions.values()),
            "how": args.how,
            "seed": SEED,
        }
        args.json.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
