"""Search with a filter: kinds of fields, shares that pass, and filters that agree or disagree with the question.

    python benchmarks/filtering.py --corpus CORPUS --json OUT [--rivals a,b] [--queries 20] [--rounds 3]

CORPUS is a folder that benchmarks/corpus.py made. Every passage is given a number, a label, a day, and for each
question its place among all passages by closeness to it. A filter on these passes .1 to 50 % of the passages: at
random, or only those nearest to the question, or only those furthest from it, where an index of neighbours is led
astray. The first search with a filter is timed apart from later ones; recall is that of ten hits of the vector search
against exact float32 cosine among what passes.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import corpus as corpora
import exact
import numpy as np
from baselines.base import Baseline
from baselines.chroma_ import Chroma
from baselines.hybridstore_ import Hybridstore
from baselines.lancedb_ import LanceDB, LanceDBIndexed
from baselines.naive import Naive

SEED = 5
SHARES = {"50 %": 500, "10 %": 100, "1 %": 10, ".1 %": 1}  # per mille
LABELS = {"half": 500, "tenth": 100, "percent": 10, "permille": 1}
FIRST_DAY = np.datetime64("2020-01-01")
KINDS = ("number <", "label =", "number in", "day ≥", "number and day", "nearest to the question", "furthest from it")

Condition = dict[str, Any]  # as MongoDB writes it, which Chroma and hybridstore read


def fields_of(vectors: Any, questions: Any, seed: int = SEED) -> dict[str, Any]:
    """Return each field's values, (n,): random ones, and the place of each passage by closeness to each question."""
    random, count = np.random.default_rng(seed), len(vectors)
    numbers = random.permutation(count) * 1000 // count
    named = np.repeat(list(LABELS), list(LABELS.values())).tolist()
    labels = np.array([*named, *["other"] * (1000 - len(named))])
    days = (FIRST_DAY + np.arange(1000)).astype(str)
    found = {
        "number": numbers,
        "label": labels[random.permutation(count) * 1000 // count],
        "day": days[random.permutation(count) * 1000 // count],
    }
    for n, question in enumerate(questions):
        place = np.empty(count, np.int64)
        place[np.argsort(-(np.asarray(vectors) @ question), kind="stable")] = np.arange(count)
        found[f"place{n}"] = place * 1000 // count
    return found


def conditions(kind: str, share: int, n: int) -> tuple[Condition, Callable[[Mapping[str, Any]], Any]]:
    """Return a filter for question n, and the same as a mask over the fields."""
    day = str(FIRST_DAY + np.timedelta64(1000 - share, "D"))
    label = next(name for name, size in LABELS.items() if size == share)
    each = max(1, round((share * 1000) ** 0.5))  # of two conditions that pass the share together
    second = str(FIRST_DAY + np.timedelta64(1000 - each, "D"))
    some = [(7 * k + n) % 1000 for k in range(share)]
    return {
        "number <": ({"number": {"$lt": share}}, lambda f: f["number"] < share),
        "label =": ({"label": label}, lambda f: f["label"] == label),
        "number in": ({"number": {"$in": some}}, lambda f: np.isin(f["number"], some)),
        "day ≥": ({"day": {"$gte": day}}, lambda f: f["day"] >= day),
        "number and day": (
            {"$and": [{"number": {"$lt": each}}, {"day": {"$gte": second}}]},
            lambda f: (f["number"] < each) & (f["day"] >= second),
        ),
        "nearest to the question": ({f"place{n}": {"$lt": share}}, lambda f: f[f"place{n}"] < share),
        "furthest from it": ({f"place{n}": {"$gte": 1000 - share}}, lambda f: f[f"place{n}"] >= 1000 - share),
    }[kind]


def as_sql(condition: Condition) -> str:
    """Return a filter in SQL."""
    parts = []
    for name, test in condition.items():
        if name == "$and":
            parts += [as_sql(each) for each in test]
            continue
        for sign, value in (test if isinstance(test, dict) else {"$eq": test}).items():
            if sign == "$in":
                parts.append(f"{name} IN ({', '.join(map(str, value))})")
            else:
                told = f"'{value}'" if isinstance(value, str) else value
                parts.append(f"{name} {({'$eq': '=', '$lt': '<', '$gte': '>='})[sign]} {told}")
    return " AND ".join(parts)


class FilteredNaive(Naive):
    """The script, with an indexed column for each field."""

    def add(
        self, ids: Sequence[str], texts: Sequence[str], vectors: Any, metadata: Sequence[Mapping[str, Any]]
    ) -> None:
        names = list(metadata[0])
        first = self.db.execute("SELECT coalesce(max(n), 0) + 1 FROM passages").fetchone()[0]
        known = {row[1] for row in self.db.execute("PRAGMA table_info(passages)")}
        for name in names:
            if name not in known:
                self.db.execute(f"ALTER TABLE passages ADD COLUMN {name}")
                self.db.execute(f"CREATE INDEX by_{name} ON passages ({name})")
        with self.db:
            columns, marks = ", ".join(("n", "id", "text", *names)), ", ".join("?" * (3 + len(names)))
            rows = enumerate(zip(ids, texts, metadata, strict=True), first)
            self.db.executemany(
                f"INSERT INTO passages ({columns}) VALUES ({marks})",
                [(n, id_, text, *fields.values()) for n, (id_, text, fields) in rows],
            )
            self.db.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", list(enumerate(texts, first)))
            pairs = [(n, vector.tobytes()) for n, vector in enumerate(vectors, first)]
            self.db.executemany("INSERT INTO vectors (rowid, v) VALUES (?, ?)", pairs)

    def restricted(self, where: Any) -> tuple[str, list[int]]:
        return (f"AND rowid IN (SELECT n FROM passages WHERE {as_sql(where)})", []) if where else ("", [])


class FilteredLance(LanceDB):
    """LanceDB with a scalar index on each field."""

    def add(
        self, ids: Sequence[str], texts: Sequence[str], vectors: Any, metadata: Sequence[Mapping[str, Any]]
    ) -> None:
        import pyarrow as pa

        flat = pa.array(np.ascontiguousarray(vectors).ravel(), pa.float32())
        columns = {
            "id": pa.array(ids),
            "text": pa.array(texts),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
        self.names = list(metadata[0])
        columns |= {name: pa.array([fields[name] for fields in metadata]) for name in self.names}
        if self.table is None:
            self.table = self.db.create_table("passages", pa.table(columns))
        else:
            self.table.add(pa.table(columns))

    def finish(self) -> None:
        from lancedb.index import FTS, Bitmap, BTree

        self.table.create_index("text", config=FTS())
        for name in self.names:
            self.table.create_index(name, config=Bitmap() if name == "label" else BTree())
        self.table.optimize()

    def _asked(self, query: Any, limit: int, where: Any) -> list[str]:
        if where:
            query = query.where(as_sql(where), prefilter=True)
        return [row["id"] for row in query.select(["id", "text"]).limit(limit).to_list()]


class FilteredLanceIndexed(FilteredLance, LanceDBIndexed):
    """The same with IVF-PQ."""

    name = LanceDBIndexed.name

    def finish(self) -> None:
        from lancedb.index import IvfPq

        self.table.create_index("vector", config=IvfPq(distance_type="cosine", num_sub_vectors=96))
        super().finish()


RIVALS: dict[str, type[Baseline]] = {
    "hybridstore": Hybridstore,
    "naive": FilteredNaive,
    "lancedb": FilteredLance,
    "lancedb-ivfpq": FilteredLanceIndexed,
    "chroma": Chroma,
}


def filled(kind: type[Baseline], folder: Path, corpus: corpora.Corpus, fields: Mapping[str, Any]) -> Baseline:
    """Return a store of a corpus with these fields."""
    shutil.rmtree(folder, ignore_errors=True)
    kind.imports()
    store, first = kind(folder), 0
    for ids, texts, vectors, _ in corpus.batches():
        part = {name: values[first : first + len(ids)].tolist() for name, values in fields.items()}
        store.add(ids, texts, vectors, [dict(zip(part, row, strict=True)) for row in zip(*part.values(), strict=True)])
        first += len(ids)
    store.finish()
    return store


def measured(
    store: Baseline, queries: Sequence[tuple[str, Any]], fields: Mapping[str, Any], vectors: Any, rounds: int
) -> Iterator[dict[str, Any]]:
    """Yield a row for each kind of filter and each share: times in ms, and the recall of the vector search."""
    for kind in KINDS:
        for name, share in SHARES.items():
            asked = [(text, vector, *conditions(kind, share, n)) for n, (text, vector) in enumerate(queries)]
            row: dict[str, Any] = {"kind": kind, "share": name}
            try:
                yield row | _searched(store, asked, fields, vectors, rounds)
            except Exception as error:  # noqa: BLE001 - whatever a rival raises belongs into its row
                yield row | {"error": f"{type(error).__name__}: {error}"[:300]}


def _searched(
    store: Baseline, asked: Sequence[tuple[str, Any, Any, Any]], fields: Mapping[str, Any], vectors: Any, rounds: int
) -> dict[str, Any]:
    times: dict[str, list[float]] = {"first": [], "hybrid": [], "vector": []}
    recalls = []
    for again in range(rounds):
        for text, vector, where, mask in asked:
            began = time.perf_counter()
            store.search(text, vector, where=where)
            between = time.perf_counter()
            found = store.vector(vector, where=where)
            times["vector"].append(time.perf_counter() - between)
            times["hybrid" if again else "first"].append(between - began)
            if not again:
                recalls.append(recall(found, vector, mask(fields), vectors))
    middle = {
        what: [round(float(value) * 1e3, 2) for value in np.percentile(each, (50, 95))] for what, each in times.items()
    }
    return {"recall": round(float(np.mean(recalls)), 4), **middle}


def recall(found: Sequence[str], vector: Any, mask: Any, vectors: Any) -> float:
    """Return the share of the ten nearest of what passes that is found; those that tie with the tenth count."""
    rows = np.flatnonzero(mask)
    near = np.asarray(vectors[rows]) @ vector
    wanted = min(exact.TOP, len(rows))
    if not wanted:
        return 1.0
    least = np.partition(near, -wanted)[-wanted] - exact.TIE
    accepted = {f"p{row}" for row in rows[near >= least].tolist()}
    return min(1.0, len(accepted & set(found[: exact.TOP])) / wanted)


def page(result: Mapping[str, Any]) -> list[str]:
    """Return the tables as Markdown: a column for each rival, a line for each kind of filter and share."""
    rivals = result["rivals"]
    lines = ["| filter | passes | " + " | ".join(each["title"] for each in rivals.values()) + " |"]
    lines.append("|---" * (2 + len(rivals)) + "|")
    for n, row in enumerate(next(iter(rivals.values()))["rows"]):
        cells = [cell(each["rows"][n], "hybrid" if each["hybrid"] else "vector") for each in rivals.values()]
        lines.append(f"| {row['kind']} | {row['share']} | {' | '.join(cells)} |")
    return lines


def cell(row: Mapping[str, Any], what: str) -> str:
    """Return the p50 and p95 of a row, and its recall if that is not 1."""
    if "error" in row:
        return "–"
    told = "" if row["recall"] >= 0.9995 else f" ({row['recall']:.3f})"
    return f"{row[what][0]:.1f} / {row[what][1]:.1f}{told}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    parser.add_argument("--rivals", default=",".join(RIVALS), metavar="NAMES", help=f"of {', '.join(RIVALS)}")
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    if options.rounds < 2:
        parser.error("--rounds is at least 2: the first is apart")
    os.environ.setdefault("LANCE_LOG", "error")
    os.environ.setdefault("RUST_LOG", "error")
    corpus = corpora.load(options.corpus)
    queries = corpora.load_queries(options.corpus)[: options.queries]
    fields = fields_of(corpus.vectors, [vector for _, vector in queries])
    rivals = {}
    with tempfile.TemporaryDirectory(prefix="filtering-") as folder:
        for name in options.rivals.split(","):
            kind = RIVALS[name]
            store = filled(kind, Path(folder) / name, corpus, fields)
            rows = list(measured(store, queries, fields, corpus.vectors, options.rounds))
            store.close()
            versions = {package: importlib.metadata.version(package) for package in kind.packages}
            rivals[name] = {"title": kind.name, "hybrid": kind.hybrid, "versions": versions, "rows": rows}
            print(name, json.dumps(rows[0]), flush=True)
    about = {"passages": len(corpus), "queries": len(queries), "rounds": options.rounds, "cores": os.cpu_count()}
    about |= {"python": platform.python_version()}
    result = {"about": about, "rivals": rivals}
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print("\n".join(page(result)))


if __name__ == "__main__":
    main()
