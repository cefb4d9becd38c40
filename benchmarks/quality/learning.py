"""The benefit of tuning for real questions that it never saw, and whether the gate detects it.

    python benchmarks/quality/learning.py --stores FILE... --collections DIR... --json OUT [--labels NAME=SPLIT]

Each store is one that `hybridstore evaluate --keep` made of the collection of the same name; it is copied, never
written to. The copy is tuned by its own text alone, with the defaults; then the judged questions are searched as it was
and with the new version, whatever the gate said of it. A refused version counts as no change. With --labels a
collection is also tuned with the judgments of one split and measured on another's questions: on all, and on those none
of whose relevant documents was relevant to a question learned from.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from over_collections import macro_bootstrap
from sample_stores import of_store, split_of

import hybridstore as hs
from hybridstore.errors import HybridstoreError
from hybridstore.evaluation import Collection, Qrels, evaluate, paired_bootstrap
from hybridstore.evaluation.metrics import mean
from hybridstore.evaluation.significance import RunComparison
from hybridstore.tuning import adapter_tuning, harvesting, model_versions, user_questions
from hybridstore.tuning.adapter import AdapterSettings
from hybridstore.tuning.adapter_tuning import TuneReport

METRIC = "nDCG@10"
Values = Mapping[str, float]
"""Query id → nDCG@10."""


@dataclass(frozen=True, slots=True)
class People:
    """A collection's judged questions: all or the first so many, each searched within its metadata field `group`."""

    collection: Collection
    queries: int | None = None
    group: str | None = None

    @property
    def split(self) -> str:
        return split_of(self.collection)

    def ask(self, store: hs.Store) -> Values:
        """Return the nDCG@10 of each query."""
        found = evaluate(
            store,
            self.collection,
            split=self.split,
            modes=("hybrid",),
            metrics=(METRIC,),
            queries=self.queries,
            where_group=self.group,
        )
        return dict(found.values("hybrid", METRIC))


def tuned(store: hs.Store) -> tuple[TuneReport, float]:
    """Tune, and have the new version answer, whatever the gate said; give the report, and the seconds it took."""
    began = time.perf_counter()
    report = adapter_tuning.tune(store, dry_run=True)
    seconds = time.perf_counter() - began
    model_versions.promote(store, report.number)
    return report, seconds


def learned(store: hs.Store, people: People, before: Values) -> tuple[dict[str, Any], Values]:
    """Tune by the store's text and ask again; give what to tell, and the values query by query."""
    report, seconds = tuned(store)
    after, verdict = people.ask(store), report.verdict
    result = {
        "chunks": store.chunks.count(),
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "gate": None if verdict.overall is None else rounded(verdict.overall),
        "tasks": {task: rounded(each) for task, each in verdict.tasks.items()},
        "people": rounded(paired_bootstrap(before, after)),
        "questions": sum(report.questions.values()),
        "seconds": {step: round(each, 1) for step, each in report.seconds.items()},
        "total_seconds": round(seconds, 1),
    }
    return result, after


def labelled(store: hs.Store, people: People, learn: str, before: Values) -> dict[str, Any]:
    """Tune with the judgments of the split `learn`, too, and ask people's questions again, by group."""
    collection = people.collection
    asked = list(user_questions.from_labelled(store, collection.path, split=learn))
    harvesting.keep_triples(store, harvesting.harvest(store, asked), replace=True)
    report, _ = tuned(store)
    after = people.ask(store)
    parted = groups(before, collection.qrels(learn), collection.qrels(people.split))
    return {
        "learned_from": learn,
        "labels": len(asked),
        "accepted": report.verdict.accepted,
        "reason": report.verdict.reason,
        "groups": {
            name: rounded(paired_bootstrap({q: before[q] for q in some}, {q: after[q] for q in some}))
            for name, some in parted.items()
            if some
        },
    }


def groups(queries: Iterable[str], learning: Qrels, judged: Qrels) -> dict[str, list[str]]:
    """Part queries by whether a document relevant to them was relevant to a query learned from."""
    met = {document for query in learning.answerable for document in _relevant(learning, query)}
    asked = list(queries)
    seen = {query for query in asked if not met.isdisjoint(_relevant(judged, query))}
    return {
        "all": asked,
        "unseen documents": [query for query in asked if query not in seen],
        "seen documents": [query for query in asked if query in seen],
    }


def _relevant(qrels: Qrels, query: str) -> list[str]:
    return [document for document, grade in qrels.of(query).items() if grade > 0]


def rounded(comparison: RunComparison) -> dict[str, Any]:
    """Return a comparison as JSON."""
    return {name: round(each, 5) for name, each in asdict(comparison).items()}


def summed_up(rows: Mapping[str, Any], found: Mapping[str, tuple[Values, Values]], seed: int) -> dict[str, Any]:
    """Return the mean over collections: with the gate, and if every version were accepted."""
    gated, ungated = [], []
    for name, (before, after) in found.items():
        differences = np.array([after[query] - before[query] for query in sorted(before)])
        ungated.append(differences)
        gated.append(differences if rows[name]["accepted"] else np.zeros_like(differences))
    return {
        "before": round(mean(mean(before.values()) for before, _ in found.values()), 5),
        "gated": macro_bootstrap(gated, seed=seed),
        "ungated": macro_bootstrap(ungated, seed=seed),
        "worst": min((float(each.mean()), name) for each, name in zip(gated, found, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", nargs="+", type=Path, required=True, metavar="FILE")
    parser.add_argument("--collections", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--labels", action="append", default=[], metavar="NAME=SPLIT", help="tune NAME also with judgments of SPLIT"
    )
    parser.add_argument("--group", action="append", default=[], metavar="NAME=FIELD", help="as over_collections.py's")
    parser.add_argument("--queries", type=int, help="only the first so many of each collection")
    parser.add_argument("--seed", type=int, default=0, help="of the resamples")
    parser.add_argument("--threads", type=int, default=2, help="for the model")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    folders = {folder.resolve().name: folder for folder in options.collections}
    labels, grouped = (dict(each.split("=", 1) for each in some) for some in (options.labels, options.group))
    rows: dict[str, Any] = {}
    found: dict[str, tuple[Values, Values]] = {}
    with_labels: dict[str, Any] = {}
    embedders: dict[str, None] = {}
    for path in options.stores:
        if path.stem not in folders or not path.exists():
            parser.error(f"{path} is not there, or no folder of --collections is called {path.stem}")
    for path in options.stores:
        name = path.stem
        people = People(Collection(folders[name]), options.queries, grouped.get(name))
        try:
            with tempfile.TemporaryDirectory(prefix="quality-") as temporary:
                sample = of_store(path, Path(temporary), threads=options.threads)
                with hs.open(sample.file, create=False, **sample.options) as store:
                    stored = store.stats().embedding
                    embedders["none" if stored is None else stored.fingerprint] = None
                    before = people.ask(store)
                    rows[name], after = learned(store, people, before)
                    found[name] = before, after
                    if name in labels:
                        model_versions.promote(store, None)
                        with_labels[name] = labelled(store, people, labels[name], before)
        except HybridstoreError as error:
            sys.exit(f"{name}: {error}")
        result = {
            "hybridstore": hs.__version__,
            "embedder": ", ".join(embedders),
            "metric": METRIC,
            "seed": options.seed,
            "queries": options.queries,
            "settings": asdict(AdapterSettings()),
            "collections": rows,
            "macro": summed_up(rows, found, options.seed),
            "labels": with_labels,
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(name, _summary(rows[name]), flush=True)
        if name in with_labels:
            print(name, "with labels", with_labels[name]["groups"], flush=True)


def _summary(row: Mapping[str, Any]) -> str:
    people, gate = row["people"], "accepted" if row["accepted"] else "refused"
    interval = f"{people['difference']:+.4f} ({people['low']:+.4f} to {people['high']:+.4f})"
    return f"{interval}, {gate}: {row['reason']}; {row['total_seconds']:.0f} s"


if __name__ == "__main__":
    main()
