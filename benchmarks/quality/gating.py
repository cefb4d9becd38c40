"""How often the gate of a tuning lets in a version that is worse for people's questions, and refuses a better one.

    python benchmarks/quality/gating.py --stores FILE... --collections DIR... --json OUT [--seeds 2]

Each store, one that `hybridstore evaluate --keep` made of the collection of the same name, is copied and tuned with its
own text. From each trained adapter versions are made that move questions half, twice and four times as far, and the
other way; the gate judges each, as it would judge a tuning, and so do people's questions, which it never sees. The page
counts right and wrong verdicts for other intervals than the gate's own 95 %: a version with a change of less than .001
for people is neither.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from learning import People, rounded
from sample_stores import of_store

import hybridstore as hs
from hybridstore.backends.learning import ModelVersion
from hybridstore.evaluation import Collection, paired_bootstrap
from hybridstore.search import transforms
from hybridstore.search.transforms import Adapter
from hybridstore.tuning import adapter_tuning, gate, model_versions, training_set
from hybridstore.tuning.adapter import AdapterSettings

SCALES = {"half as far": 0.5, "as trained": 1.0, "twice as far": 2.0, "four times": 4.0, "the other way": -1.0}
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
LEAST = 0.001  # of nDCG@10: less is no change


def versions(store: hs.Store, people: People, seed: int) -> Iterator[dict[str, Any]]:
    """Train an adapter and yield, for each version made of it, the gate's verdict and what people's questions gain."""
    searched, embedder = adapter_tuning.embedding_of(store)
    settings = AdapterSettings(seed=seed)
    items = training_set.collect(store, most=training_set.MOST, seed=seed)
    trained, held_out = adapter_tuning.split(items, adapter_tuning.GATE_QUESTIONS, seed)
    texts, others = ([item.text for item in part] for part in (trained, held_out))
    vectors = training_set.embed_questions(store, [*texts, *others])
    made = adapter_tuning._train(store, trained, vectors[: len(texts)], embedder.fingerprint, settings, lambda *_: None)  # noqa: SLF001
    queries = gate.gate_queries(store, held_out, vectors[len(texts) :])
    before = gate.evaluate(store, queries, None)
    asked = people.ask(store)
    for name, scale in SCALES.items():
        weights = transforms.write(Adapter(made.source, made.down, (made.up * scale).astype(np.float32)))
        version = ModelVersion(
            kind="adapter",
            source=embedder.fingerprint,
            target=searched.fingerprint,
            reference=searched.reference,
            weights=weights,
        )
        verdict = gate.decide(queries, before, gate.evaluate(store, queries, version))
        model_versions.promote(store, store.learning.propose(version))
        after = people.ask(store)
        model_versions.promote(store, None)
        yield {
            "version": name,
            "seed": seed,
            "accepted": verdict.accepted,
            "gate": None if verdict.overall is None else rounded(verdict.overall),
            "parts": [rounded(each) for each in (*verdict.kinds.values(), *verdict.tasks.values())],
            "people": rounded(paired_bootstrap(asked, after)),
        }


def accepts(row: Mapping[str, Any], level: float) -> bool:
    """Return the gate's verdict if its intervals had this level: their bounds are those of a normal distribution."""
    if row["gate"] is None:
        return False
    ratio = NormalDist().inv_cdf((1 + level) / 2) / NormalDist().inv_cdf(0.975)

    def bounds(change: Mapping[str, float]) -> tuple[float, float]:
        middle, half = change["difference"], (change["high"] - change["low"]) / 2 * ratio
        return middle - half, middle + half

    return bounds(row["gate"])[0] > 0 and all(bounds(part)[1] >= 0 for part in row["parts"])


def counted(rows: Sequence[Mapping[str, Any]], level: float) -> dict[str, Any]:
    """Count verdicts, right and wrong, and return the mean change for people if the gate decides at this level."""
    people = np.array([row["people"]["difference"] for row in rows])
    let_in = np.array([accepts(row, level) for row in rows])
    better, worse = people >= LEAST, people <= -LEAST
    return {
        "level": level,
        "let in": int(let_in.sum()),
        "worse let in": int((let_in & worse).sum()),
        "worse": int(worse.sum()),
        "better refused": int((~let_in & better).sum()),
        "better": int(better.sum()),
        "mean": round(float(np.where(let_in, people, 0.0).mean()), 5),
        "least": round(float(np.where(let_in, people, 0.0).min()), 5),
    }


def page(result: Mapping[str, Any]) -> list[str]:
    """Return the tables as Markdown: a line an interval, then a line a version."""
    rows = [row for each in result["collections"].values() for row in each]
    lines = ["| interval | let in | worse, let in | better, refused | mean for people | worst |", "|---" * 6 + "|"]
    for level in LEVELS:
        told = counted(rows, level)
        cells = f"{told['worse let in']} of {told['worse']} | {told['better refused']} of {told['better']}"
        lines.append(f"| {level:.0%} | {told['let in']} | {cells} | {told['mean']:+.4f} | {told['least']:+.4f} |")
    lines += ["", "| version | let in | gate's mean | people's mean | worst |", "|---" * 5 + "|"]
    for name in SCALES:
        own = [row for row in rows if row["version"] == name]
        judged = [row["gate"]["difference"] for row in own if row["gate"] is not None]
        people = [row["people"]["difference"] for row in own]
        let_in = f"{sum(row['accepted'] for row in own)} of {len(own)}"
        gate_mean = f"{np.mean(judged):+.4f}" if judged else "–"
        lines.append(f"| {name} | {let_in} | {gate_mean} | {np.mean(people):+.4f} | {min(people):+.4f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", nargs="+", type=Path, required=True, metavar="FILE")
    parser.add_argument("--collections", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--group", action="append", default=[], metavar="NAME=FIELD", help="as over_collections.py's")
    parser.add_argument("--queries", type=int, help="only the first so many of each collection")
    parser.add_argument("--seeds", type=int, default=2, help="adapters trained of each store")
    parser.add_argument("--threads", type=int, default=2, help="for the model")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    folders = {folder.resolve().name: folder for folder in options.collections}
    grouped = dict(each.split("=", 1) for each in options.group)
    found: dict[str, list[dict[str, Any]]] = {}
    for path in options.stores:
        name = path.stem
        people = People(Collection(folders[name]), options.queries, grouped.get(name))
        with tempfile.TemporaryDirectory(prefix="gating-") as temporary:
            sample = of_store(path, Path(temporary), threads=options.threads)
            with hs.open(sample.file, create=False, **sample.options) as store:
                found[name] = [row for seed in range(options.seeds) for row in versions(store, people, seed)]
        result = {"hybridstore": hs.__version__, "queries": options.queries, "collections": found}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps([(row["version"], row["accepted"], row["people"]) for row in found[name]]), flush=True)
    print("\n".join(page(result)))


if __name__ == "__main__":
    main()
