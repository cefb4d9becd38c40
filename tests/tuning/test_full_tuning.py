"""A fine-tune through the gate: let in or refused, carried over, killed; with fakes, and (slow) the default encoder."""

import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_finetune
import numpy as np
import pytest

import hybridstore as hs
from hybridstore.backends.learning import ModelVersion, Negative, Triple
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError, MissingExtra
from hybridstore.store import reembed, store_copy
from hybridstore.tuning import adapter_tuning, full_tuning, model_versions, training_set
from hybridstore.tuning.full_tuning import tune_full

POOR, GOOD = HashingEmbedder(fake_finetune.POOR), HashingEmbedder(fake_finetune.GOOD)
QUESTIONS = [" ".join(text.split()[3:12]) for text in fake_finetune.texts(20)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("full") / "notes.db"
    fake_finetune.filled(path)
    with pytest.MonkeyPatch.context() as patch:
        fake_finetune.stand_in(patch.setattr, fake_finetune.GOOD)
        with hs.open(path) as store:
            full_tuning._harvest(store, 0, lambda *_: None)
    return path


@pytest.fixture
def path(made, tmp_path):
    shutil.copy(made, tmp_path / "notes.db")
    return tmp_path / "notes.db"


@pytest.fixture
def store(path, monkeypatch):
    fake_finetune.stand_in(monkeypatch.setattr, fake_finetune.GOOD)
    with hs.open(path) as store:
        yield store


def tune(store, **options):
    return tune_full(store, gate_questions=80, **options)


def answers(store):
    return [[(hit.document_id, hit.score) for hit in store.search(question, limit=5)] for question in QUESTIONS]


def beside(store):
    """Return the names of what lies beside the store's file."""
    return sorted(path.name for path in Path(store.location).parent.iterdir() if not path.name.startswith("notes.db-"))


def chunk_of(store, document_id):

    return store.chunks.of([document_id])[document_id][0]


HELD = [f"d{n}" for n in range(fake_finetune.DOCUMENTS) if training_set.held_out(f"d{n}")]
FREE = [f"d{n}" for n in range(fake_finetune.DOCUMENTS) if not training_set.held_out(f"d{n}")]


# The whole turn


def test_a_better_encoder_is_accepted_with_the_copys_vectors_and_rolled_back(store, monkeypatch):
    before = answers(store)
    store.learning.drop_triples()
    embedded = []
    embed = HashingEmbedder.embed_documents
    monkeypatch.setattr(
        fake_finetune.InFolder, "embed_documents", lambda self, texts: embedded.append(len(texts)) or embed(self, texts)
    )
    reports, said = [], []
    report = tune(store, progress=lambda *report: reports.append(report), notify=said.append)
    assert (report.promoted, report.number, report.verdict.accepted) == (True, 1, True)
    assert report.verdict.overall.low > 0
    assert report.settings["method"] == "full"
    assert report.settings["base"] == f"hashing-{fake_finetune.POOR}"
    assert sum(report.questions.values()) > 50
    assert all(example.before != example.after for example in report.examples)
    steps = list(dict.fromkeys(step for step, *_ in reports))
    assert steps[:3] == ["Making questions", "Harvesting", "Training the encoder"]
    assert steps[-1] == adapter_tuning.PROMOTING
    assert ("Training the encoder", 1, 1, "loss 0.500") in reports
    stats = store.stats()
    assert (stats.embedding.fingerprint, stats.kept.fingerprint) == (GOOD.fingerprint, POOR.fingerprint)
    assert stats.vectors == stats.chunks == fake_finetune.DOCUMENTS
    assert sum(count for count in embedded if count > 1) == fake_finetune.DOCUMENTS  # in the copy, and not again
    chunk = chunk_of(store, "d7")
    assert store.chunks.vectors([chunk])[0] == pytest.approx(embed(GOOD, [store.get("d7").text])[0])
    assert beside(store) == ["notes.db", "notes.db.models"]
    assert store.check() == []
    model = store.learning.model()
    assert (model.kind, model.state, model.number) == ("embedder", "active", 1)
    assert Path(model.reference) == (Path(store.location).parent / "notes.db.models" / "1").resolve()
    after = answers(store)
    assert after != before
    with hs.open(store.location) as other:
        assert answers(other) == after
    assert model_versions.rollback(store) is None
    assert answers(store) == before
    assert store.check() == []


@pytest.mark.thorough
def test_the_history_holds_all_that_was_measured_and_no_text(store):
    tune(store)
    (model,) = store.learning.models()
    kept = json.dumps(dict(model.report))
    assert model.report["verdict"]["accepted"] is True
    assert model.report["finetune"]["parity"]["minimum"] == 1.0
    assert model.report["before"]["fingerprint"] == POOR.fingerprint
    assert {"questions", "training", "gate"} <= set(model.report["seconds"])
    assert not any(triple.query in kept for triple in store.learning.triples())


def test_a_worse_encoder_is_rejected_and_leaves_only_the_history(store, monkeypatch):
    monkeypatch.setattr(full_tuning, "finetune", fake_finetune.fake(fake_finetune.BAD))
    before, revision = answers(store), store.stats().revision
    vectors = store.chunks.vectors(list(range(1, fake_finetune.DOCUMENTS + 1)))
    report = tune(store)
    assert (report.promoted, report.number, report.verdict.accepted) == (False, 1, False)
    (model,) = store.learning.models()
    assert (model.kind, model.state) == ("embedder", "refused")
    assert model.report["verdict"]["reason"] == report.verdict.reason
    assert answers(store) == before
    assert np.array_equal(store.chunks.vectors(list(range(1, fake_finetune.DOCUMENTS + 1))), vectors)
    stats = store.stats()
    assert (stats.revision, stats.embedding.fingerprint, stats.building, stats.kept) == (
        revision, POOR.fingerprint, None, None,
    )  # fmt: skip
    assert not (Path(store.location).parent / "notes.db.models" / "1").exists()
    assert [name for name in beside(store) if name.startswith(".")] == []


@pytest.mark.thorough
def test_the_folder_of_a_rejected_encoder_stays_if_the_caller_named_it(store, monkeypatch, tmp_path):
    monkeypatch.setattr(full_tuning, "finetune", fake_finetune.fake(fake_finetune.BAD))
    assert not tune(store, out=tmp_path / "mine").promoted
    assert (tmp_path / "mine" / "dim").is_file()
    assert not tune(store, out=tmp_path / "mine").promoted  # and may be used again


@pytest.mark.thorough
def test_an_accepted_one_stays_a_candidate_until_it_is_promoted_by_hand(store):
    before = answers(store)
    report = tune(store, dry_run=True)
    assert (report.verdict.accepted, report.promoted) == (True, False)
    assert answers(store) == before
    assert store.stats().building is None
    assert store.learning.model() is None
    assert model_versions.promote(store, report.number).number == 1
    assert store.stats().embedding.fingerprint == GOOD.fingerprint
    assert model_versions.rollback(store) is None
    assert answers(store) == before


@pytest.mark.thorough
def test_an_encoder_is_compared_with_the_active_adapter_which_rollback_restores(store, monkeypatch):
    from hybridstore.search import transforms

    nothing = transforms.Adapter(
        POOR.fingerprint, np.zeros((fake_finetune.POOR, 2), np.float32), np.zeros((2, fake_finetune.POOR), np.float32)
    )
    adapter = ModelVersion(
        kind="adapter", source=POOR.fingerprint, target=POOR.fingerprint, reference="hashing-6",
        weights=transforms.write(nothing),
    )  # fmt: skip
    model_versions.promote(store, store.learning.propose(adapter))
    versions, evaluate = [], full_tuning.gate.evaluate

    def evaluated(store, queries, model, **options):
        versions.append(model and model.number)
        return evaluate(store, queries, model, **options)

    monkeypatch.setattr(full_tuning.gate, "evaluate", evaluated)
    assert tune(store).number == 2
    assert versions == [1, None]
    assert model_versions.rollback(store).number == 1


def test_what_is_written_meanwhile_is_embedded_too(store, monkeypatch):
    monkeypatch.setattr(store_copy, "_BATCH", 16)
    propose = full_tuning._propose

    def written(*arguments):
        store.add(hs.Document(id="d3", text="quite another text than there was before"), chunk=False)
        store.add(hs.Document(id="new", text="a text that came while the gate was asking"), chunk=False)
        store.remove(["d5"])
        return propose(*arguments)

    monkeypatch.setattr(full_tuning, "_propose", written)
    reports = []
    assert tune(store, progress=lambda *report: reports.append(report)).promoted
    assert ("Embedding what was added", 2, 2) in reports
    stats = store.stats()
    assert stats.vectors == stats.chunks == fake_finetune.DOCUMENTS
    for id_ in ("d3", "new", "d77"):
        vector = store.chunks.vectors([chunk_of(store, id_)])[0]
        assert vector == pytest.approx(GOOD.embed_documents([store.get(id_).text])[0])
    assert store.check() == []


def test_a_chunk_whose_text_differs_from_the_copys_does_not_get_its_vector(store, tmp_path):
    fake_finetune.filled(tmp_path / "other.db", 40)
    with hs.open(tmp_path / "other.db") as other:
        other.add(hs.Document(id="d1", text="something else"), chunk=False)
        other.reembed(GOOD)
        passages = store.chunks.passages(list(range(1, 61)))
        assert store_copy._shared(other, passages) == [n for n in range(1, 41) if n != chunk_of(store, "d1")]
        done = store_copy.copy_vectors(other, store, other.stats().embedding)
    assert 0 < done < 60
    assert store.embeddings.pending_count() == fake_finetune.DOCUMENTS - done
    assert store.stats().embedding.fingerprint == POOR.fingerprint


def test_leftovers_of_a_killed_process_are_removed_whatever_the_files_name(tmp_path):
    left = tmp_path / ".notes[1].db-shadow-abc"
    left.mkdir()
    with hs.open(tmp_path / "notes[1].db", embedder="none") as store, store_copy.workplace(store) as folder:
        assert folder.is_dir()
        assert not left.exists()


@pytest.mark.thorough
def test_a_store_in_memory_is_tuned_in_a_folder_that_goes_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_finetune.stand_in(monkeypatch.setattr, fake_finetune.GOOD)
    with hs.open(":memory:", embedder=POOR) as store:
        store.add(hs.Document(id=f"d{n}", text=text) for n, text in enumerate(fake_finetune.texts()))
        assert tune(store).promoted
        folder = store.folder
        assert Path(store.learning.model().reference).parent.parent == folder.resolve()
        assert store.check() == []
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []


# What is trained on


@pytest.mark.thorough
def test_no_text_of_the_gates_documents_is_trained_on(store, monkeypatch):
    seen = []
    monkeypatch.setattr(full_tuning, "finetune", fake_finetune.fake(fake_finetune.BAD, seen=seen))
    tune(store)
    held = {store.get(id_).text for id_ in HELD}
    assert len(seen) > 50
    assert not held & {text for each in seen for text in (each.positive, *each.negatives, *each.ignored)}
    assert store.learning.count_triples() > len(seen)  # those of the gate's documents are there, too


@pytest.mark.thorough
def test_a_question_that_a_document_of_the_gate_answers_is_not_trained_on_at_all(store):
    free, other, held = (chunk_of(store, id_) for id_ in (FREE[0], FREE[1], HELD[0]))
    store.learning.drop_triples()
    store.learning.add_triples([
        Triple(query="both answer", kind="labelled", positive=free, score=1.0),
        Triple(query="both answer", kind="labelled", positive=held, score=1.0),
        Triple(query="cut from there", kind="crop", positive=free, origin=held, score=1.0),
        Triple(query="fine", kind="log", positive=free, score=1.0, negatives=(
            Negative(chunk=held, leg="keyword", score=0.4), Negative(chunk=other, leg="vector", score=0.3))),
    ])  # fmt: skip
    (triple,) = full_tuning._trainable_triples(store)
    assert triple.query == "fine"
    assert [negative.chunk for negative in triple.negatives] == [other]


@pytest.mark.thorough
def test_existing_triples_are_not_harvested_again(store, monkeypatch):
    seen = []
    monkeypatch.setattr(full_tuning, "finetune", fake_finetune.fake(fake_finetune.BAD, seen=seen))
    store.learning.drop_triples()
    store.learning.add_triples(
        [Triple(query=f"ask {id_}", kind="log", positive=chunk_of(store, id_), score=1.0) for id_ in FREE[:9]]
    )
    report = tune(store)
    assert dict(report.questions) == {"log": 9}
    assert sorted(each.query for each in seen) == sorted(f"ask {id_}" for id_ in FREE[:9])
    assert store.learning.count_triples() == 9


# What cannot be done


def test_too_few_documents_are_rejected_before_any_training(tmp_path, monkeypatch):
    fake_finetune.stand_in(monkeypatch.setattr, fake_finetune.GOOD)
    monkeypatch.setattr(full_tuning, "finetune", None)
    fake_finetune.filled(tmp_path / "few.db", 40)
    with hs.open(tmp_path / "few.db") as store, pytest.raises(InputError, match="20 are needed"):
        tune(store)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.db"]


def test_a_store_without_vectors_is_rejected_with_a_remedy(tmp_path):
    with hs.open(tmp_path / "plain.db", embedder="none") as store:
        store.add("only words")
        with pytest.raises(InputError, match="reembed --embedder"):
            tune(store)


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_without_torch_the_extra_is_named_before_anything_is_harvested(path, monkeypatch):
    monkeypatch.setattr(hs.embedders, "load", fake_finetune.load)
    with hs.open(path) as store:
        store.learning.drop_triples()
        with pytest.raises(MissingExtra, match=r"hybridstore\[train\]"):
            tune(store)
        assert store.learning.count_triples() == 0


def test_the_folder_of_an_embedder_in_use_is_not_overwritten(store):
    tune(store)
    used = Path(store.learning.model().reference)
    with pytest.raises(InputError, match="the store's embedder; name another"):
        tune(store, out=used)
    model_versions.rollback(store)
    with pytest.raises(InputError, match="version 1; name another"):
        tune(store, out=used)
    assert (used / "dim").read_text() == str(fake_finetune.GOOD)


@pytest.mark.thorough
def test_an_embedder_changed_meanwhile_makes_the_comparison_void(store, monkeypatch):
    evaluate = full_tuning._evaluate

    def changed(*arguments):
        verdict = evaluate(*arguments)
        with hs.open(store.location) as other:
            other.reembed(HashingEmbedder(32))
        return verdict

    monkeypatch.setattr(full_tuning, "_evaluate", changed)
    with pytest.raises(InputError, match="changed while this one was evaluated"):
        tune(store)
    assert store.stats().embedding.dim == 32
    assert store.learning.models() == []
    assert not (Path(store.location).parent / "notes.db.models" / "1").exists()


# Stopped and killed


class StoppedHereError(Exception):
    pass


@pytest.mark.parametrize(
    "step",
    [
        *(pytest.param(step, marks=pytest.mark.slow) for step in ("Harvesting", "Evaluating the active version")),
        *(
            pytest.param(step, marks=pytest.mark.thorough)
            for step in ("Embedding a copy of the store", adapter_tuning.PROMOTING)
        ),
    ],
)
def test_interrupted_anywhere_it_leaves_the_store_unchanged_and_no_copy(store, step):
    before = answers(store)
    if step == "Harvesting":
        store.learning.drop_triples()

    def stop(name, *_):
        if name == step:
            raise StoppedHereError

    with pytest.raises(StoppedHereError):
        tune(store, progress=stop)
    assert answers(store) == before
    assert store.stats().embedding.fingerprint == POOR.fingerprint
    assert [name for name in beside(store) if name.startswith(".")] == []
    proposed = [(model.state, Path(model.reference).is_dir()) for model in store.learning.models()]
    assert proposed == ([("candidate", True)] if step == adapter_tuning.PROMOTING else [])
    assert tune(store).promoted


@pytest.mark.thorough
def test_a_second_tuning_at_once_is_rejected_and_breaks_nothing(store):
    def again(name, *_):
        if name == "Evaluating the active version":
            with hs.open(store.location) as other, pytest.raises(InputError, match="another process"):
                tune(other)

    assert tune(store, progress=again).promoted


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(0, marks=pytest.mark.thorough),
        *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6)),
    ],
)
def test_killed_anywhere_the_store_answers_as_before_or_as_after(path, monkeypatch, seed):
    fake_finetune.stand_in(monkeypatch.setattr, fake_finetune.GOOD)
    monkeypatch.setattr(reembed, "_AT_ONCE", 10)
    dice = random.Random(seed)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, str(Path(__file__).with_name("full_process.py")), str(path)]
    with hs.open(path) as store:
        before = answers(store)
        copy = path.with_name("after.db")
        store.backup(copy)
        with hs.open(copy) as other:
            other.reembed(fake_finetune.InFolder(fake_finetune.GOOD, "hashing"))
            after = answers(other)
        assert before != after
        for kills in range(3):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            step = "Training" if kills == 0 else dice.choice(("Training", "Evaluating", "Promoting"))
            while not process.stdout.readline().startswith(step):
                assert process.poll() is None
            time.sleep(dice.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            assert kills or any(name.startswith(".notes.db-shadow-") for name in beside(store))  # killed within a turn
            changed = store.stats().embedding.fingerprint == GOOD.fingerprint
            store.calibrate()  # what comes after the change, and was perhaps not reached
            assert answers(store) == (after if changed else before)
            assert store.check() == []
            if changed:
                model_versions.rollback(store)
        assert tune(store).promoted
        assert not any(name.startswith(".") for name in beside(store))
        named = {Path(model.reference).name for model in store.learning.models()}
        assert {each.name for each in (path.parent / "notes.db.models").iterdir()} <= named
        assert answers(store) == after
