"""Calibration: when a store measures its own vectors, and what it measures."""

import hashlib
import json
from contextlib import closing

import apsw
import numpy as np
import pytest

import hybridstore as hs
from hybridstore.backends.sqlite.checksums import register, set_fact
from hybridstore.backends.values import Calibration
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import FileDamaged
from hybridstore.ingest.export_import import export, load
from hybridstore.store import calibration
from hybridstore.store.calibration import calibrate, measure
from hybridstore.store.embedder_choice import identify


def lines(first: int, last: int) -> list[str]:
    """Return texts that share no words."""
    words = [hashlib.sha256(str(n).encode()).hexdigest()[:7] for n in range(12 * first, 12 * last)]
    return [" ".join(words[n : n + 12]) for n in range(0, len(words), 12)]


@pytest.fixture
def asked(monkeypatch):
    """Count the measurements."""
    made = []

    measured = calibration._measured

    def counted(backend, embedder, *model):
        made.append(embedder.fingerprint)
        return measured(backend, embedder, *model)

    monkeypatch.setattr(calibration, "_measured", counted)
    return made


def test_a_store_is_measured_when_text_was_embedded(store, embedder):
    assert store.state().calibration is None
    store.add(lines(0, 20))
    known = store.state().calibration
    assert (known.fingerprint, known.chunks) == (embedder.fingerprint, 20)
    assert known == measure(store._backend, embedder)
    assert store.search("word").trace.power == known.power


def test_it_is_measured_again_when_it_has_doubled_or_halved(store, asked):
    store.add(lines(0, 20))
    store.add(lines(20, 39))
    assert len(asked) == 1
    store.add(lines(39, 40))  # twice as many
    assert len(asked) == 2
    assert store.state().calibration.chunks == 40
    store.remove([document.id for document in store.documents()][:21])
    assert len(asked) == 2  # nothing was embedded
    store.add(lines(40, 41))
    assert len(asked) == 3
    assert store.state().calibration.chunks == 20


def test_an_add_that_embeds_nothing_measures_nothing(store, asked, path):
    store.add([])
    assert asked == []
    store.add(lines(0, 5))
    store.embeddings.calibrate(Calibration(fingerprint="another", chunks=5, power=1.0, chance=0.1, spread=0.1))
    store.add(lines(0, 5))  # all of them known
    assert len(asked) == 1
    with hs.open(path, embedder="none") as plain:
        plain.add(lines(5, 9))
    assert len(asked) == 1


def test_a_writer_measures_once_at_its_end(store, asked):
    with store.writer() as writer:
        for text in lines(0, 12):
            writer.add(hs.Document(id=text[:7], text=text))
            writer.flush()
        assert asked == []
    assert len(asked) == 1


def test_a_writer_that_fails_measures_nothing(store, asked):
    def failing():
        yield from lines(0, 3)
        raise KeyError

    with pytest.raises(KeyError):
        store.add(failing())
    assert asked == []


def test_given_vectors_are_measured_where_their_embedder_is_named(store, path, asked, embedder):
    store.add(lines(0, 6), vectors=embedder.embed_documents(lines(0, 6)))
    assert asked == [embedder.fingerprint]
    results = store.search(lines(3, 4)[0])
    assert results[0].text == lines(3, 4)[0]
    assert results.confidence is not None


def test_given_vectors_without_an_embedder_are_not_measured(asked):
    vectors = np.random.default_rng(1).normal(size=(6, 32))
    with hs.open(":memory:") as given:
        given.add(lines(0, 6), vectors=vectors)
        assert given.state().calibration is None
        assert asked == []
        results = given.search("word", vector=vectors[0])
    assert results.confidence is None
    assert results[0].relevance is None
    assert 0 < results[0].score <= 1


def test_reembedding_measures_the_new_vectors(store, asked, counting, embedder):
    store.add(lines(0, 10))
    other = counting("other", 16)
    store.reembed(other)
    assert asked == [embedder.fingerprint, other.fingerprint]
    assert store.state().calibration == measure(store._backend, other)
    assert store.search(lines(3, 4)[0]).confidence is not None


def test_a_store_that_was_never_measured_can_make_up_for_it(plain, counting):
    plain.add(lines(0, 10))
    assert plain.search("word").confidence is None
    plain.reembed(counting())
    assert plain.search(lines(0, 1)[0]).confidence > 0.5


def test_a_backup_knows_what_was_measured(store, tmp_path, embedder):
    store.add(lines(0, 10))
    store.backup(tmp_path / "copy.db")
    with hs.open(tmp_path / "copy.db", embedder=embedder) as copy:
        assert copy.state().calibration == store.state().calibration is not None


def test_measuring_is_deterministic(store, path, tmp_path, embedder):
    store.add(lines(0, 100))
    assert measure(store._backend, embedder) == measure(store._backend, embedder)
    with hs.open(tmp_path / "second.db", embedder=embedder, memory=0) as second:
        second.add(lines(0, 100))
        assert second.state().calibration == store.state().calibration


def test_no_more_than_256_fragments_and_32_questions_are_asked(store, embedder):
    store.add(lines(0, 1_000))
    assert 200 <= len(embedder.queries) <= 256 + 32


def test_a_store_of_nothing_to_ask_about_is_not_measured(store, embedder):
    assert measure(store._backend, embedder) is None
    store.add(hs.Document(id="blank", text=" \n "))
    assert measure(store._backend, embedder) is None
    assert store.state().calibration is None
    assert store.search("word").confidence is None


def test_vectors_that_know_their_texts_have_power_and_shuffled_ones_have_none(tmp_path):
    embedder = HashingEmbedder(256)
    texts = lines(0, 150)
    with hs.open(tmp_path / "right.db", embedder=embedder) as right:
        right.add(texts)
        known = right.state().calibration
    with hs.open(tmp_path / "wrong.db", embedder=embedder) as wrong:
        vectors = embedder.embed_documents(texts)
        wrong.add(texts, vectors=np.roll(vectors, 7, axis=0), chunk=False)
        calibrate(wrong._backend, embedder)
        shuffled = wrong.state().calibration
    assert known.power > 4
    assert shuffled.power < 1
    assert known.chance == pytest.approx(shuffled.chance)  # the same vectors, of whatever they are
    assert 0 < known.chance < 0.5
    assert 0.01 < known.spread < 0.2


def test_few_answers_are_pulled_towards_what_is_usual():
    """Power = (Σ of the answers + 8 · 4) / (their number + 8)."""
    embedder = HashingEmbedder(256)
    with hs.open(":memory:", embedder=embedder) as store:
        (text,) = lines(0, 1)
        store.add(text)
        known = store.state().calibration
    fragment = embedder.embed_query(calibration._fragments({1: text})[1])
    cosine = float(embedder.embed_documents([text])[0] @ fragment)
    assert known.power == pytest.approx(((cosine - 0.1) / 0.1 + 32) / 9)  # without others, chunks at large are usual
    assert known.spread == pytest.approx(0.1)


def test_an_embedder_of_many_queries_embeds_them_in_one_call_with_the_same_result(store, embedder):
    store.add(lines(0, 30))
    batches = []

    class Many(HashingEmbedder):
        def embed_queries(self, texts):
            batches.append(len(texts))
            return np.stack([HashingEmbedder.embed_query(self, text) for text in texts])

        def embed_query(self, text):
            raise AssertionError(text)

    calibration._unrelated_vectors.clear()  # the general questions' vectors, of a run before
    many = Many(embedder.dim, max_tokens=embedder.max_tokens)
    many.fingerprint = embedder.fingerprint
    assert measure(store._backend, many) == measure(store._backend, embedder)
    assert batches == [30, len(calibration._UNRELATED)]


def test_another_embedders_vectors_are_not_judged(store, counting):
    store.add(lines(0, 10))
    before = store.state().calibration
    other = counting("other", 16)
    assert measure(store._backend, other) is None
    calibrate(store._backend, other)
    assert store.state().calibration == before


def test_a_switch_while_the_model_runs_is_noticed(store, counting):
    store.add(lines(0, 10))
    second = counting("second", 16)

    class SlowEmbedder(type(second)):
        """One in whose time another process changes the embedder."""

        def embed_query(self, text):
            if store.embeddings.active.fingerprint == self.fingerprint:
                store.embeddings.begin(identify(second))
                while some := store.embeddings.pending(100):
                    vectors = second.embed_documents([passage.text for passage in some])
                    store.embeddings.fill(identify(second), [passage.chunk for passage in some], vectors)
                assert store.embeddings.switch()
            return super().embed_query(text)

    assert measure(store._backend, SlowEmbedder()) is None
    assert store.state().calibration is None


@pytest.mark.parametrize(
    "text",
    ["one", "one two", "漢字仮名交じり文" * 20, "x" * 500, "a b c d e f g h i j " * 50, "\u3000 。", "é\u0301 🙂"],
)
def test_texts_of_any_kind_can_be_measured(store, embedder, text):
    store.add([text, "another text"])
    known = store.state().calibration
    assert known.chunks == store.stats().chunks >= 2
    assert all(np.isfinite([known.power, known.chance, known.spread]))


def test_a_fragment_is_a_few_words_of_the_text_in_a_row():
    def fragment(text: str, chunk: int = 5) -> str:
        return calibration._fragments({chunk: text}).get(chunk, "")

    text = " ".join(f"w{n}" for n in range(100))
    made = {fragment(text, chunk) for chunk in range(1, 40)}
    assert len(made) > 20  # which ones goes by the chunk's number
    assert all(len(each.split()) == 8 and each in text for each in made)
    assert fragment("a b c d") in {"a b c", "b c d"}
    assert fragment("alone") == "alone"
    assert not fragment(" \n")
    unspaced = "".join(map(chr, range(0x4E00, 0x4E00 + 400)))
    assert len(fragment(unspaced)) == 24
    assert fragment(unspaced) in unspaced
    assert len(fragment(unspaced[:40])) == 10


def test_a_fragment_has_words_that_are_in_no_other_text():
    shared = " ".join(f"w{n}" for n in range(20))
    texts = {chunk: f"{shared} fact{chunk} {shared}" for chunk in range(1, 20)} | {20: shared, 21: f"{shared} end"}
    made = calibration._fragments(texts)
    assert all(f"fact{chunk}" in made[chunk] for chunk in range(1, 20))
    assert 20 not in made
    assert len(calibration._fragments({1: shared, 2: shared})) == 2  # rather these than none
    ideographs = "".join(map(chr, range(0x4E00, 0x4E00 + 200)))
    longer = ideographs + "".join(map(chr, range(0x5000, 0x5000 + 100)))
    assert {*calibration._fragments({1: ideographs, 2: longer})} == {2}


def test_sentences_that_many_texts_share_do_not_hide_what_vectors_are_worth(embedder):
    shared, facts = lines(0, 6), lines(100, 160)
    with hs.open(":memory:", embedder=embedder) as plain, hs.open(":memory:", embedder=embedder) as repetitive:
        plain.add(facts)
        repetitive.add([f"{shared[n % 6]} {fact} {shared[(n + 1) % 6]}" for n, fact in enumerate(facts)])
        powers = [store.state().calibration.power for store in (plain, repetitive)]
    assert powers[1] > 0.5 * powers[0]


class Squeezed(HashingEmbedder):
    """An embedder whose cosines are all near each other, as those trained at a low temperature are."""

    def __init__(self) -> None:
        super().__init__(64)
        self.fingerprint = "squeezed@1"

    def embed_documents(self, texts):
        vectors = super().embed_documents(texts).copy()
        vectors[:, 0] += 2.0
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_power_does_not_depend_on_how_close_together_an_embedder_has_its_cosines(tmp_path):
    powers, scores = [], []
    for embedder in (HashingEmbedder(64), Squeezed()):
        path = tmp_path / f"{len(powers)}.db"
        with hs.open(path, embedder=embedder) as store:
            store.add(lines(0, 120))
            measured = store.state().calibration
            powers.append(measured.power)
        with hs.open(path, embedder=embedder) as store:
            assert store.state().calibration == measured
            found = store.search(" ".join(lines(7, 8)[0].split()[:4]))
            scores.append(found[0].score)
            assert found[0].text == lines(7, 8)[0]
        if len(powers) == 1:
            assert measured.scale is None
    mean, deviation = measured.scale
    assert mean > 0.7
    assert 0.001 < deviation < 0.05
    assert powers[1] == pytest.approx(powers[0], abs=0.5)
    assert scores[1] == pytest.approx(scores[0], abs=0.05)


def test_the_scale_of_an_embedder_goes_with_an_export(tmp_path):
    with hs.open(":memory:", embedder=Squeezed()) as store:
        store.add(lines(0, 40))
        export(store, tmp_path / "all.jsonl", vectors=True)
        measured = store.state().calibration
    with hs.open(":memory:", embedder=Squeezed()) as copy:
        load(copy, tmp_path / "all.jsonl")
        assert copy.state().calibration == measured


def test_a_file_whose_scale_is_none_is_damaged(tmp_path):
    with hs.open(tmp_path / "a.db", embedder=Squeezed()) as store:
        store.add(lines(0, 40))
    with closing(apsw.Connection(str(tmp_path / "a.db"))) as connection:
        register(connection)
        (stored,) = connection.execute("SELECT value FROM meta WHERE key = 'background'").fetchone()
        for scale in ([0.7], [0.7, 0.0], "wide", [0.7, float("nan")], {"a": 1}):
            set_fact(connection, "background", json.dumps(json.loads(stored) | {"scale": scale}))
            with pytest.raises(FileDamaged), hs.open(tmp_path / "a.db", embedder=Squeezed()) as store:
                store.search("anything")
