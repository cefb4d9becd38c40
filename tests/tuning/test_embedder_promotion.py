"""An embedder promoted and rolled back, also when the process that does it is killed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.backends.learning import ModelVersion
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError, ModelUnavailable
from hybridstore.search import transforms
from hybridstore.store import reembed
from hybridstore.tuning.model_versions import promote_embedder, rollback

OLD, NEW, THIRD = HashingEmbedder(16), HashingEmbedder(24), HashingEmbedder(32)
TEXTS = [f"passage {n} about {word}" for n, word in enumerate(["sun", "moon", "tides", "comets", "waves"] * 4)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(reembed, "_AT_ONCE", 6)
    known = {each.fingerprint.partition("@")[0]: each for each in (OLD, NEW, THIRD)}
    monkeypatch.setattr("hybridstore.embedders.load", lambda name, **_: known[name])


@pytest.fixture
def store(tmp_path):
    with hs.open(tmp_path / "notes.db", embedder=OLD) as store:
        store.add(TEXTS)
    with hs.open(tmp_path / "notes.db") as store:
        yield store


class InterruptedHereError(Exception):
    pass


def stop(done: int, of: int) -> None:
    assert done <= of
    if done >= 12:
        raise InterruptedHereError


def state(store):
    model, stats = store.learning.model(), store.stats()
    assert stats.vectors == stats.chunks
    assert store.check() == []
    assert store.search(TEXTS[1], mode="vector", limit=1)[0].text == TEXTS[1]
    return model and model.number, stats.embedding.fingerprint, stats.kept and stats.kept.fingerprint


def test_a_promoted_embedder_is_the_stores_and_the_one_before_is_kept(store):
    reports = []
    model = promote_embedder(store, NEW, {"gain": 0.1}, progress=lambda *report: reports.append(report))
    assert reports == [(6, 20), (12, 20), (18, 20), (20, 20)]
    assert (model.number, model.kind, model.state, model.previous) == (1, "embedder", "active", None)
    assert (model.source, model.target, model.reference) == (NEW.fingerprint, NEW.fingerprint, "hashing-24")
    assert model.report["gain"] == 0.1
    assert model.report["before"]["fingerprint"] == OLD.fingerprint
    assert state(store) == (1, NEW.fingerprint, OLD.fingerprint)
    assert promote_embedder(store, NEW) == model  # it is there already
    assert len(store.learning.models()) == 1


def test_rolling_back_embeds_only_what_was_added_meanwhile(store):
    before = [(hit.document_id, hit.score) for hit in store.search("tides and waves", mode="vector")]
    promote_embedder(store, NEW)
    store.add(["one about rivers", "one about lakes"])
    store.remove([store.search("rivers", mode="keyword")[0].document_id])
    reports = []
    assert rollback(store, progress=lambda *report: reports.append(report)) is None
    assert reports == [(1, 1)]
    assert state(store) == (None, OLD.fingerprint, NEW.fingerprint)
    store.remove([store.search("lakes", mode="keyword")[0].document_id])
    assert [(hit.document_id, hit.score) for hit in store.search("tides and waves", mode="vector")] == before
    assert [model.state for model in store.learning.models()] == ["retired"]


def test_two_promotions_are_rolled_back_one_by_one_though_only_one_is_kept(store):
    promote_embedder(store, NEW)
    assert promote_embedder(store, THIRD).previous == 1
    assert state(store) == (2, THIRD.fingerprint, NEW.fingerprint)
    assert rollback(store).number == 1
    assert state(store) == (1, NEW.fingerprint, THIRD.fingerprint)
    assert rollback(store) is None
    assert state(store) == (None, OLD.fingerprint, NEW.fingerprint)
    assert promote_embedder(store, NEW).report["before"]["fingerprint"] == OLD.fingerprint


def test_an_adapter_of_the_old_vectors_is_retired_and_comes_back(store):
    nothing = transforms.Adapter(OLD.fingerprint, np.zeros((16, 2), np.float32), np.zeros((2, 16), np.float32))
    learning = store.learning
    number = learning.propose(
        ModelVersion(
            kind="adapter",
            source=OLD.fingerprint,
            target=OLD.fingerprint,
            reference="hashing-16",
            weights=transforms.write(nothing),
        )
    )
    learning.promote(number)
    assert promote_embedder(store, NEW).previous == number
    assert rollback(store).number == number
    assert state(store) == (number, OLD.fingerprint, NEW.fingerprint)


def test_an_interrupted_promotion_resumes_as_the_same_version(store):
    with pytest.raises(InterruptedHereError):
        promote_embedder(store, NEW, progress=stop)
    assert state(store) == (None, OLD.fingerprint, None)
    store.add("added meanwhile")
    reports = []
    assert promote_embedder(store, NEW, progress=lambda *report: reports.append(report)).number == 1
    assert reports[-1] == (9, 9)
    assert state(store) == (1, NEW.fingerprint, OLD.fingerprint)


def test_an_interrupted_rollback_resumes(store):
    promote_embedder(store, NEW)
    store.add([f"later {text}" for text in TEXTS])
    with pytest.raises(InterruptedHereError):
        rollback(store, progress=stop)
    assert state(store) == (1, NEW.fingerprint, None)
    assert rollback(store) is None
    assert state(store) == (None, OLD.fingerprint, NEW.fingerprint)


def test_vectors_that_are_the_new_embedders_already_are_only_recorded(store):
    store.reembed(NEW)
    assert promote_embedder(store, NEW).number == 1
    assert state(store) == (1, NEW.fingerprint, None)
    with pytest.raises(InputError, match="no other vectors before"):
        rollback(store)


def test_a_store_without_vectors_gets_its_first_and_nothing_to_go_back_to(tmp_path):
    with hs.open(tmp_path / "words.db", embedder="none") as plain:
        plain.add(TEXTS)
    with hs.open(tmp_path / "words.db") as plain:
        assert promote_embedder(plain, NEW).number == 1
        with pytest.raises(InputError, match="no other vectors before"):
            rollback(plain)


def test_what_cannot_be_rolled_back_is_rejected(store, monkeypatch):
    with pytest.raises(InputError, match="no version is active"):
        rollback(store)
    promote_embedder(store, NEW)
    monkeypatch.setattr("hybridstore.embedders.load", lambda *_, **__: THIRD)
    with pytest.raises(ModelUnavailable, match=f"made by {OLD.fingerprint}"):
        rollback(store)
    assert state(store) == (1, NEW.fingerprint, OLD.fingerprint)
    assert rollback(store, embedder=OLD) is None


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 3))])
def test_killed_anywhere_the_store_is_as_before_or_as_after(store, tmp_path, seed):
    dice = random.Random(seed)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, str(Path(__file__).with_name("promoting_process.py")), str(tmp_path / "notes.db")]
    turns = 0
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout.readline() == "ready\n"
        until = time.monotonic() + dice.uniform(0.0, 0.3)
        while time.monotonic() < until:
            assert store.search(TEXTS[1], mode="vector", limit=1)[0].text == TEXTS[1]
            turns += 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        number, fingerprint, _ = state(store)
        assert (number is not None) == (fingerprint == NEW.fingerprint)
    assert turns
    promote_embedder(store, NEW)
    assert state(store)[1] == NEW.fingerprint
    rollback(store)
    assert state(store)[:2] == (None, OLD.fingerprint)
