"""What people asked is private: what was forgotten, or went with a document, cannot be read from the file's bytes."""

import random
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from made import chunks_of, entry

from hybridstore.backends.learning import Negative, Triple
from hybridstore.backends.sqlite import SQLiteBackend


def question(n: int) -> str:
    return f"<question {n:05} {'why ' * (n % 23)}>"


def readable(path: Path, numbers) -> set[int]:
    """Give the numbers of the questions whose beginning stands anywhere in the file or beside it."""
    data = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    return {n for n in numbers if question(n)[:15].encode() in data}


def chunk(backend, id_: str) -> int:
    return chunks_of(backend, id_)[0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 3))])
def test_a_forgotten_question_is_nowhere_in_the_file(path, seed):
    numbers = list(range(2500))
    random.Random(seed).shuffle(numbers)
    left = set(numbers)
    with closing(SQLiteBackend(str(path))) as backend:
        backend.put([entry("a", "some text"), entry("b", "other text")])
        one, other = chunk(backend, "a"), chunk(backend, "b")
        for first in range(0, len(numbers), 100):
            some = [question(n) for n in numbers[first : first + 100]]
            backend.learning.log_queries([*some, *some[:50]])
            for query in some[:10]:
                backend.learning.add_feedback(query, one, used=True)
            backend.learning.add_triples(
                [
                    Triple(
                        query=query,
                        kind="log",
                        positive=one,
                        score=0.5,
                        negatives=(Negative(chunk=other, leg="keyword", score=0.25),),
                    )
                    for query in some
                ]
            )
            if first % 500 == 400:  # some go while others come
                gone = random.Random(first).sample(sorted(left & set(numbers[:first])), 60)
                assert backend.learning.forget_queries([question(n) for n in gone]) == 60
                left -= set(gone)
    assert readable(path, numbers) == left
    with closing(SQLiteBackend(str(path))) as backend:
        assert backend.check() == []
        assert {each.query for each in backend.learning.triples()} == {question(n) for n in left}
        assert backend.learning.forget_queries() == len(left)
    assert readable(path, numbers) == set()


@pytest.mark.thorough
def test_nothing_is_left_of_rows_that_moved_while_they_lived(path):
    # Of these, SQLite alone leaves a few behind in pages that it filled anew without clearing them.
    choose = random.Random(1)
    left = list(range(3000))
    gone: set[int] = set()
    with closing(SQLiteBackend(str(path))) as backend:
        for first in range(0, 3000, 64):
            backend.learning.log_queries([f"{n * 7919 % 3000:04} {question(n)}" for n in left[first : first + 64]])
        choose.shuffle(left)
        while left:
            some = [left.pop() for _ in range(min(len(left), choose.choice([1, 50, 500])))]
            backend.learning.forget_queries([f"{n * 7919 % 3000:04} {question(n)}" for n in some])
            gone.update(some)
            backend._connections.get().wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            assert readable(path, gone) == set()


@pytest.mark.parametrize("way", ["removed", "replaced"])
def test_what_was_asked_about_a_document_goes_with_it(path, way):
    ids = [f"d{n}" for n in range(40)]
    with closing(SQLiteBackend(str(path))) as backend:
        backend.put([entry(id_, f"text of {id_}") for id_ in ids])
        for n, id_ in enumerate(ids):
            here = chunk(backend, id_)
            origin = Triple(
                query=question(n),
                kind="title",
                positive=here if n % 3 else chunk(backend, "d39"),
                origin=here,
                score=0.5,
            )
            backend.learning.add_triples([origin])
            backend.learning.add_feedback(question(100 + n), here, used=False)
    numbers = {*range(40), *range(100, 140)}
    assert readable(path, numbers) == numbers
    with closing(SQLiteBackend(str(path))) as backend:
        if way == "removed":
            backend.remove(ids[:20])
        else:
            backend.put([entry(id_, f"new text of {id_}") for id_ in ids[:20]])
    assert readable(path, numbers) == {*range(20, 40), *range(120, 140)}


def test_dropped_triples_are_nowhere_in_the_file(path):
    with closing(SQLiteBackend(str(path))) as backend:
        backend.put([entry("a", "some text")])
        here = chunk(backend, "a")
        backend.learning.add_triples(
            [Triple(query=question(n), kind="log", positive=here, score=0.5) for n in range(500)]
        )
        backend.learning.log_queries([question(1000)])
    assert len(readable(path, range(1001))) == 501
    with closing(SQLiteBackend(str(path))) as backend:
        assert backend.learning.drop_triples() == 500
    assert readable(path, range(1001)) == {1000}


def test_other_deletions_go_on_as_fast_as_they_went(path):
    with closing(SQLiteBackend(str(path))) as backend:
        backend.put([entry("a", "some text")])
        backend.learning.log_queries(["q"])
        backend.learning.forget_queries()
        with backend._connections.reading() as connection:
            assert connection.execute("PRAGMA secure_delete").fetchall() == [(0,)]
