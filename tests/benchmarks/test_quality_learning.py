"""The tuning benchmark: measured on real questions, with results that contain no texts."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.evaluation import Collection, Qrels, index
from hybridstore.search.transforms import Adapter
from hybridstore.tuning.adapter import AdapterSettings

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"
DOCUMENTS = 130  # a fifth is held out, and the gate takes 20


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(QUALITY))


def made(folder, seed):
    """Make a collection of passages in words that nobody knows; "train" and "test" share some documents."""
    dice = random.Random(seed)

    def word():
        return "".join(dice.choice("bdfgklmnprstvz") + dice.choice("aeiou") for _ in range(dice.randint(2, 4)))

    topics = [[word() for _ in range(12)] for _ in range(13)]
    words = {f"d{n}": [*dice.sample(topics[n % 13], 8), *(word() for _ in range(6))] for n in range(DOCUMENTS)}
    documents = {
        name: " ".join(f"{' '.join(dice.sample(own, 9))}.".capitalize() for _ in range(3))
        for name, own in words.items()
    }
    asked = {"train": [f"d{n}" for n in range(40)], "test": [f"d{n}" for n in range(30, 60)]}
    queries = {
        f"{split}-{name}": f"which {' '.join(dice.sample(words[name], 3))}" for split in asked for name in asked[split]
    }
    (folder / "qrels").mkdir(parents=True)
    for file, texts in (("corpus", documents), ("queries", queries)):
        rows = [json.dumps({"_id": name, "text": text}) for name, text in texts.items()]
        (folder / f"{file}.jsonl").write_text("\n".join(rows))
    for split, names in asked.items():
        judged = [f"{split}-{name}\t{name}\t1" for name in names]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]))
    return documents, queries


def anywhere(examples, source, **_):
    """Train nothing, and give an adapter that turns questions anywhere, so that answers change."""
    rng, dim = np.random.default_rng(0), examples.questions.shape[1]
    down, up = (rng.standard_normal(shape).astype(np.float32) for shape in ((dim, 8), (8, dim)))
    return Adapter(source, down, np.float32(5.0 / dim) * up)


def accepting(tune, accepted):
    """Return a quick tuning whose gate gives these verdicts in turn."""
    says = iter(accepted)

    def tuned(store, **options):
        assert store.learning.model() is None  # each tuning begins where the store was
        report = tune(store, most=260, settings=AdapterSettings(soft=0.0), **options)
        return replace(report, verdict=replace(report.verdict, accepted=next(says)))

    return tuned


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Run the command on two collections, one with judgments to learn from; return its results and all texts."""
    folder = tmp_path_factory.mktemp("learning")
    texts = []
    for seed, name in enumerate(("one", "two")):
        texts += [text for some in made(folder / name, seed) for text in some.values()]
        with hs.open(folder / f"{name}.db", embedder=HashingEmbedder()) as store:
            index(store, Collection(folder / name))
    files = [(folder / f"{name}.db").read_bytes() for name in ("one", "two")]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(QUALITY))
        import learning
        import sample_stores

        patch.setattr(learning.adapter_tuning.adapter, "train", anywhere)
        patch.setattr(learning.adapter_tuning, "tune", accepting(learning.adapter_tuning.tune, [True, False, False]))
        # A file does not say how to load an embedder that has no name.
        patch.setattr(
            learning, "of_store", lambda *where, **_: sample_stores.of_store(*where, embedder=HashingEmbedder())
        )
        stores, collections = ([str(folder / f"{name}{end}") for name in ("one", "two")] for end in (".db", ""))
        out = str(folder / "learning.json")
        command = ["learning.py", "--stores", *stores, "--collections", *collections, "--json", out]
        patch.setattr(sys, "argv", [*command, "--queries", "25", "--labels", "two=train"])
        learning.main()
    assert [(folder / f"{name}.db").read_bytes() for name in ("one", "two")] == files
    return json.loads((folder / "learning.json").read_text()), texts


def test_every_collection_has_the_gates_verdict_and_its_own(measured):
    result, _ = measured
    assert list(result["collections"]) == ["one", "two"]
    for row in result["collections"].values():
        assert row["chunks"] == DOCUMENTS
        assert row["people"]["n"] == 25
        assert row["people"]["difference"] == pytest.approx(row["people"]["mean_b"] - row["people"]["mean_a"], abs=2e-5)
        assert row["people"]["difference"] != 0
        assert row["gate"]["n"] >= 20
        assert list(row["tasks"]) == ["find", "words", "both"]
    assert [row["accepted"] for row in result["collections"].values()] == [True, False]
    assert result["embedder"] == HashingEmbedder().fingerprint


def test_the_mean_of_collections_follows_the_gate(measured):
    result, _ = measured
    people = [row["people"]["difference"] for row in result["collections"].values()]
    let_in = [row["people"]["difference"] * row["accepted"] for row in result["collections"].values()]
    assert result["macro"]["ungated"]["difference"] == pytest.approx(np.mean(people), abs=2e-5)
    assert result["macro"]["gated"]["difference"] == pytest.approx(np.mean(let_in), abs=2e-5)
    assert result["macro"]["worst"][0] == pytest.approx(min(let_in), abs=2e-5)


def test_a_rejected_version_counts_as_no_difference():
    from learning import summed_up

    before = {"q1": 0.5, "q2": 0.25}
    found = {"good": (before, {"q1": 0.75, "q2": 0.5}), "bad": (before, {"q1": 0.0, "q2": 0.25})}
    rows = {"good": {"accepted": True}, "bad": {"accepted": False}}
    result = summed_up(rows, found, seed=0)
    assert result["before"] == 0.375
    assert result["gated"] == {
        "difference": 0.25 / 2,
        "low": 0.25 / 2,
        "high": 0.25 / 2,
    }  # every question gains as much
    assert result["ungated"]["difference"] == (0.25 - 0.25) / 2
    assert result["ungated"]["low"] == (0.25 - 0.5) / 2
    assert result["worst"] == (0.0, "bad")
    assert summed_up({**rows, "bad": {"accepted": True}}, found, seed=0)["gated"] == result["ungated"]


def test_questions_are_unseen_if_no_relevant_document_was_trained_on():
    from learning import groups

    learning = Qrels({"l1": {"a": 1, "b": 0}, "l2": {"c": 2}})
    judged = Qrels({"q1": {"a": 1}, "q2": {"b": 1}, "q3": {"d": 1, "c": 1}, "q4": {"d": 1, "a": 0}, "q5": {"c": 1}})
    assert groups(["q1", "q2", "q3", "q4"], learning, judged) == {
        "all": ["q1", "q2", "q3", "q4"],
        "unseen documents": ["q2", "q4"],
        "seen documents": ["q1", "q3"],
    }


def test_with_judgments_questions_are_grouped_by_what_was_trained_on(measured):
    result, _ = measured
    (row,) = result["labels"].values()
    assert (row["learned_from"], row["labels"]) == ("train", 40)
    # The first 25 questions are about d30 to d54, of which training has d30 to d39.
    assert {name: each["n"] for name, each in row["groups"].items()} == {
        "all": 25,
        "unseen documents": 15,
        "seen documents": 10,
    }
    assert row["groups"]["all"]["difference"] != 0
    parts = row["groups"]["unseen documents"], row["groups"]["seen documents"]
    assert sum(part["difference"] * part["n"] for part in parts) / 25 == pytest.approx(
        row["groups"]["all"]["difference"], abs=2e-5
    )
    assert row["groups"]["all"]["mean_a"] == result["collections"]["two"]["people"]["mean_a"]


def test_the_results_contain_no_texts(measured):
    result, texts = measured
    written = json.dumps(result)
    assert not [text for text in texts if text in written]
    words = {word for text in texts for word in text.lower().replace(".", "").split()} - {"which"}
    assert not words.intersection(written.lower().replace('"', " ").split())


def test_a_store_without_its_collection_is_rejected_first(tmp_path):
    where = ("--stores", tmp_path / "none.db", "--collections", tmp_path, "--json", tmp_path / "out.json")
    command = [sys.executable, str(QUALITY / "learning.py"), *map(str, where)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "none.db is not there" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "out.json").exists()


def test_the_results_make_a_page(measured, tmp_path):
    from page import written

    (tmp_path / "learning.json").write_text(json.dumps(measured[0]))
    lines = written(tmp_path).splitlines()
    for first in (
        "| one | 25 | ",
        "| two | 25 | ",
        "| mean, with every version | 50 | ",
        "| mean, with the gate | 50 | ",
    ):
        assert len([line for line in lines if line.startswith(first)]) == 1
