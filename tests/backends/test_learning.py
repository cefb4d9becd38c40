"""What SQLite does for learning beyond the contract: it is checked and mended, and a killed process leaves it sound."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import apsw
import numpy as np
import pytest
from learning_process import BATCH
from made import EMBEDDING, OTHER, chunks_of, entry, units

from hybridstore.backends.learning import ModelVersion, Negative, Triple
from hybridstore.backends.sqlite import SQLiteBackend
from hybridstore.backends.sqlite.checksums import change, register

HERE = Path(__file__).parent
VECTORS = units(np.random.default_rng(1), 4)

# name -> (statements, what `check` says, how many triples, negatives, words on hits and active models are left)
DAMAGE = {
    "the positive of a triple is gone": (
        change("triples", positive="77") + " WHERE triple = 1",
        "triples of",
        (1, 1, 1, 1),
    ),
    "the origin of a triple is gone": (
        change("triples", origin="77") + " WHERE triple = 1",
        "triples of",
        (1, 1, 1, 1),
    ),
    "a negative is gone": (change("negatives", chunk="77") + " WHERE triple = 1", "negatives of", (2, 1, 1, 1)),
    "a triple of negatives is gone": ("DELETE FROM triples WHERE triple = 1", "negatives of", (1, 1, 1, 1)),
    "what feedback is about is gone": (change("feedback", chunk="77"), "feedback on", (2, 2, 0, 1)),
    "the model is for other vectors": (
        change("models", target="'x@1'"),
        "active model for vectors",
        (2, 2, 1, 0),
    ),
}


@pytest.fixture
def taught(tmp_path):
    """Give a store with two triples of a negative each, one word on a hit, and an active model."""
    with closing(SQLiteBackend(str(tmp_path / "store.db"))) as backend:
        backend.put([entry(f"d{n}", f"text {n}", vectors=VECTORS[n : n + 1]) for n in range(4)], embedding=EMBEDDING)
        chunks = [chunks_of(backend, f"d{n}")[0] for n in range(4)]
        negative = (Negative(chunk=chunks[2], leg="vector", score=0.5),)
        backend.learning.add_triples(
            [
                Triple(query=query, kind="log", positive=chunks[n], origin=chunks[n], score=1.0, negatives=negative)
                for n, query in enumerate(["one", "two"])
            ]
        )
        backend.learning.add_feedback("one", chunks[0], used=True)
        backend.learning.promote(backend.learning.propose(model_of(EMBEDDING)))
        yield backend


def model_of(embedding) -> ModelVersion:
    name = embedding.fingerprint
    return ModelVersion(kind="adapter", source=name, target=name, reference=embedding.reference, weights=b"w" * 100_000)


def counts(backend) -> tuple[int, int, int, int]:
    triples = list(backend.learning.triples())
    negatives = sum(len(each.negatives) for each in triples)
    return len(triples), negatives, len(backend.learning.feedback()), int(backend.learning.model() is not None)


@pytest.mark.parametrize(("statement", "says", "left"), DAMAGE.values(), ids=DAMAGE)
def test_what_names_nothing_is_found_and_dropped(taught, statement, says, left):
    assert taught.check() == []
    with closing(apsw.Connection(taught.location)) as connection:
        register(connection)
        connection.execute(statement)
    (told,) = taught.check()
    assert says in told.what
    assert (told.count, told.repaired) == (1, False)
    before = taught.state().revision
    assert all(problem.repaired for problem in taught.check(repair=True))
    assert taught.check() == []
    assert counts(taught) == left
    assert taught.state().revision > before


def test_a_document_that_is_gone_takes_what_was_learned_from_it_along_in_a_repair(taught):
    with closing(apsw.Connection(taught.location)) as connection:
        connection.execute("DELETE FROM documents WHERE id = 'd0'")
    taught.check(repair=True)
    assert taught.check() == []
    assert counts(taught) == (1, 1, 0, 1)


def test_the_weights_are_read_once(taught):
    first = taught.learning.model()
    assert taught.learning.model() is first
    with closing(SQLiteBackend(taught.location)) as other:
        other.learning.promote(None)
        other.learning.promote(first.number)
    assert taught.learning.model().weights is first.weights


def test_asking_for_the_model_looks_into_an_index_of_one_row(taught):
    with closing(apsw.Connection(taught.location)) as connection:
        plan = connection.execute("EXPLAIN QUERY PLAN SELECT model, previous FROM models WHERE state = 'active'")
        assert ["USING INDEX models_active" in step[3] for step in plan] == [True]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 4))])
def test_a_killed_process_leaves_what_it_learned_as_before_or_as_after(tmp_path, seed):
    path = tmp_path / "store.db"
    command = [sys.executable, str(HERE / "learning_process.py"), str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout.readline() == "0\n"
    time.sleep(1.5 * random.Random(seed).random())
    process.send_signal(signal.SIGKILL)
    output, errors = process.communicate(timeout=30)
    assert errors == ""
    said = 1 + output.count("\n")
    with closing(SQLiteBackend(str(path))) as backend:
        assert backend.check() == []
        learning, searched = backend.learning, backend.embeddings().active
        assert learning.count_triples() in {said * BATCH, (said + 1) * BATCH}
        assert all(len(each.negatives) == 2 for each in learning.triples())
        assert len(learning.query_log()) in {said - 1, said, said + 1}
        model = learning.model()
        if model is None:
            assert (searched, backend.embeddings().kept) == (EMBEDDING, None)  # killed before the first switch
        else:
            assert model.target == searched.fingerprint
            assert model.weights == model.target.encode() * 5000
            assert backend.stats().vectors == 20
            other = OTHER if searched == EMBEDDING else EMBEDDING
            kept_or_built = backend.embeddings().kept or backend.embeddings().building
            assert kept_or_built == other  # kept, or taken up again
        assert sum(each.state == "active" for each in learning.models()) == int(model is not None)
        goes_on(backend)


def goes_on(backend: SQLiteBackend) -> None:
    """Finish a change of all vectors, begun or not, and go back."""
    for embedding in (OTHER, EMBEDDING, OTHER):
        backend.begin(embedding)
        if backend.embeddings().building is not None:
            while some := backend.pending(100):
                made = units(np.random.default_rng(2), len(some), embedding.dim)
                backend.fill(embedding, [passage.chunk for passage in some], made)
            assert backend.switch(keep=True)
        assert backend.embeddings().active == embedding
    assert backend.embeddings().kept == EMBEDDING
    assert backend.check() == []
