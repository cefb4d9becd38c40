"""What a store's tuning is worth to people's questions that it never saw, and whether the gate knows.

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
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from grounds import of_store, split_of
from over_collections import macro_bootstrap

import hybridstore as hs
from hybridstore.errors import HybridstoreError
from hybridstore.evaluation import Collection, evaluate, paired_bootstrap
from hybridstore.evaluation.compare import Comparison
from hybridstore.tuning import cycle, harvest, known, versions
from hybridstore.tuning.adapter import AdapterSettings

METRIC = "nDCG@10"
Values = Mapping[str, float]


def learned(
    store: hs.Store, collection: Collection, split: str, *, queries: int | None, group: str | None, before: Values
) -> tuple[dict[str, Any], Values]:
    """Tune, measure with the version made; give what to tell, and the values query by query."""
    began = time.perf_counter()
    report = cycle.tune(store, change=False)
    seconds = time.perf_counter() - began
    versions.promote(store, report.number)
    after = values(store, collection, split, queries, group)
    verdict = report.verdict
    told = {
        "chunks": store.backend.indexed(),
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "gate": None if verdict.overall is None else rounded(verdict.overall),
        "tasks": {task: rounded(each) for task, each in verdict.tasks.items()},
        "people": rounded(paired_bootstrap(before, after)),
        "questions": sum(report.questions.values()),
        "seconds": {step: round(each, 1) for step, each in report.seconds.items()},
        "total_seconds": round(seconds, 1),
    }
    return told, after


def values(store: hs.Store, collection: Collection, split: str, queries: int | None, group: str | None) -> Values:
    """Give the nDCG@10 of each judged question."""
    found = evaluate(store, collection, split=split, modes=("hybrid",), queries=queries, where_group=group)
    return dict(found.values("hybrid", "ndcg@10"))


def rounded(comparison: Comparison) -> dict[str, Any]:
    """Give a comparison as JSON."""
    return {name: round(each, 5) for name, each in asdict(comparison).items()}


def labelled(store: hs.Store, collection: Collection, learn: str, split: str, before: Values) -> dict[str, Any]:
    """Tune with one split's judgments and measure on another's questions: all, and those of documents never learned."""
    asked = list(known.from_labelled(store, collection.path, split=learn))
    harvest.keep(store, harvest.harvest(store, asked), replace=True)
    report = cycle.tune(store, change=False)
    versions.promote(store, report.number)
    after = values(store, collection, split, None, None)
    learning, judged = collection.qrels(learn), collection.qrels(split)
    met = {document for query in learning.answerable for document, grade in learning.of(query).items() if grade > 0}
    unseen = [q for q in before if not any(each in met for each, grade in judged.of(q).items() if grade > 0)]
    groups = {"all": list(before), "unseen documents": unseen, "seen documents": [q for q in before if q not in unseen]}
    return {
        "learned_from": learn,
        "labels": len(asked),
        "accepted": report.verdict.accepted,
        "reason": report.verdict.reason,
        "groups": {
            name: rounded(paired_bootstrap({q: before[q] for q in some}, {q: after[q] for q in some}))
            for name, some in groups.items()
            if some
        },
    }


def summed_up(rows: Mapping[str, Any], found: Mapping[str, tuple[Values, Values]], seed: int) -> dict[str, Any]:
    """Tell the mean over collections: with the gate, and if every version had been let in."""
    gated, all_in = [], []
    for name, (before, after) in found.items():
        differences = np.array([after[query] - before[query] for query in sorted(before)])
        all_in.append(differences)
        gated.append(differences if rows[name]["accepted"] else np.zeros_like(differences))
    return {
        "before": round(float(np.mean([np.mean(list(before.values())) for before, _ in found.values()])), 5),
        "gated": macro_bootstrap(gated, seed=seed),
        "ungated": macro_bootstrap(all_in, seed=seed),
        "worst": min((float(each.mean()), name) for each, name in zip(gated, found, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", nargs="+", type=Path, required=True, metavar="FILE")
    parser.add_argument("--collections", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--labels", action="append", default=[], metavar="NAME=SPLIT")
    parser.add_argument("--group", action="append", default=[], metavar="NAME=FIELD")
    parser.add_argument("--queries", type=int, help="only the first so many of each collection")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="for the model")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    folders = {folder.resolve().name: folder for folder in options.collections}
    labels = dict(each.split("=", 1) for each in options.labels)
    groups = dict(each.split("=", 1) for each in options.group)
    rows: dict[str, Any] = {}
    found: dict[str, tuple[Values, Values]] = {}
    with_labels: dict[str, Any] = {}
    for path in options.stores:
        if path.stem not in folders or not path.exists():
            parser.error(f"{path} is not there, or no folder of --collections is called {path.stem}")
    for path in options.stores:
        name, collection = path.stem, Collection(folders[path.stem])
        split = split_of(collection)
        try:
            with tempfile.TemporaryDirectory(prefix="quality-") as temporary:
                ground = of_store(path, Path(temporary), threads=options.threads)
                with hs.open(ground.file, create=False, **ground.options) as store:
                    before = values(store, collection, split, options.queries, groups.get(name))
                    rows[name], after = learned(
                        store, collection, split, queries=options.queries, group=groups.get(name), before=before
                    )
                    found[name] = before, after
                    embedder = store.stats().embedding
                    if name in labels:
                        versions.promote(store, None)
                        with_labels[name] = labelled(store, collection, labels[name], split, before)
        except HybridstoreError as error:
            sys.exit(f"{name}: {error}")
        told = {
            "hybridstore": hs.__version__,
            "embedder": "none" if embedder is None else embedder.fingerprint,
            "metric": METRIC,
            "seed": options.seed,
            "queries": options.queries,
            "settings": asdict(AdapterSettings()),
            "collections": rows,
            "macro": summed_up(rows, found, options.seed),
            "labels": with_labels,
        }
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        print(name, _told(rows[name]), flush=True)
        if name in with_labels:
            print(name, "with labels", with_labels[name]["groups"], flush=True)


def _told(row: Mapping[str, Any]) -> str:
    people, gate = row["people"], "accepted" if row["accepted"] else "refused"
    interval = f"{people['difference']:+.4f} ({people['low']:+.4f} to {people['high']:+.4f})"
    return f"{interval}, {gate}: {row['reason']}; {row['total_seconds']:.0f} s"


if __name__ == "__main__":
    main()
