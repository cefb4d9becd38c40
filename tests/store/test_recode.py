"""Codecs of the vectors that a file keeps: less of each, the same answers nearly, and nothing by halves."""

from contextlib import closing

import apsw
import numpy as np
import pytest

import hybridstore as hs
from hybridstore.codecs.kept_vectors import CODECS, codec_for, codec_of
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import ExpectationsBroken, FileDamaged, InputError, Unsupported

LOSSY = [name for name in CODECS if name != "float32"]
WORDS = ("tea", "rain", "oak", "iron", "salt")
TEXTS = [f"{word} number {n} of the {other}" for n in range(8) for word in WORDS for other in ("harbour", "valley")]


class Close:
    """An embedder of texts that are vectors, so that two can be as close as need be."""

    dim, max_tokens, fingerprint, reference = 8, 256, "close@1", "close"

    def embed_documents(self, texts):
        made = np.array([self._vector(text) for text in texts], np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    def embed_queries(self, texts):
        return self.embed_documents(texts)

    def embed_query(self, text):
        return self.embed_documents([text])[0]

    def token_starts(self, text):
        return list(range(len(text.split())))

    @staticmethod
    def _vector(text):
        named = {"near": (1, 0.02), "nearer": (1, 0.03), "asked": (1, 0.03)}
        return [*next((value for word, value in named.items() if word == text.split()[-1]), (0.1, 1)), *[0] * 6]


@pytest.fixture
def filled(tmp_path):
    with hs.open(tmp_path / "a.db", embedder=HashingEmbedder()) as store:
        store.add([{"id": str(n), "text": text} for n, text in enumerate(TEXTS)])
        yield store


def ranked(store, **options):
    return [(hit.document_id, hit.score) for hit in store.search("tea in the valley", **{"limit": 20} | options)]


@pytest.mark.parametrize("dim", [8, 9, 384])
@pytest.mark.parametrize("name", CODECS)
def test_a_vector_comes_back_nearly_as_it_was_and_its_length_says_by_which_codec(name, dim):
    vectors = np.random.default_rng(dim).standard_normal((50, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[7] = 0
    vectors[8] = -np.eye(dim)[0]
    codec = codec_for(name, dim)
    data = codec.encode(vectors)
    assert data[0].nbytes == codec.size(dim)
    assert codec_of(codec.size(dim), dim) is codec
    back = codec.decode(data.tobytes(), dim)
    assert (back.shape, back.dtype, back[7].any()) == (vectors.shape, np.float32, np.False_)
    cosines = (np.delete(back, 7, 0) * np.delete(vectors, 7, 0)).sum(axis=1)
    assert cosines.min() > {"float32": 1 - 1e-6, "float16": 1 - 1e-6, "int8": 0.9998, "int4": 0.975}[name]
    assert codec.encode(back).tobytes() == data.tobytes() or name == "float16"  # which keeps norms to 1e-3
    assert codec_for(name, 7).name == "float32"


@pytest.mark.parametrize("name", LOSSY)
def test_a_recoded_store_answers_as_before_in_less_room_and_goes_on(filled, tmp_path, name):
    before, exact = ranked(filled), dict(ranked(filled, mode="vector", limit=80))
    with hs.open(tmp_path / "a.db", embedder=HashingEmbedder()) as other:
        ranked(other)  # holds copies in memory
        size, seen = filled.compact().after, []
        assert filled.recode(name, progress=lambda *done: seen.append(done)) == len(TEXTS)
        assert seen[-1] == (len(TEXTS), len(TEXTS))
        for store in (filled, other):
            near = {"float16": 2e-3, "int8": 0.02, "int4": 0.1}[name]
            assert [score for _, score in ranked(store)] == pytest.approx([score for _, score in before], abs=near)
            assert dict(ranked(store, mode="vector", limit=80)) == pytest.approx(exact, abs=near)
    assert filled.compact().after < size
    filled.add([{"id": "3", "text": "Something else."}, {"id": "new", "text": "Tea in another valley."}])
    filled.reembed(HashingEmbedder(32))
    filled.recode("float32")
    filled.recode(name)
    assert filled.check() == []
    assert filled.stats().codec == name
    filled.backup(tmp_path / "copy.db")
    with hs.open(tmp_path / "copy.db", codec=name, embedder=HashingEmbedder(32)) as copy:
        assert dict(ranked(copy)) == pytest.approx(dict(ranked(filled)))
        with hs.open(tmp_path / "merged.db", embedder=HashingEmbedder(32)) as merged:
            merged.merge(copy)
            assert merged.stats().codec == "float32"
            assert merged.embeddings.missing_count() == 0
            assert dict(ranked(merged, limit=80)) == pytest.approx(dict(ranked(copy, limit=80)), abs=1e-3)
            assert merged.check() == []


def test_a_store_is_made_with_a_codec_and_only_opened_with_that(tmp_path):
    path = tmp_path / "a.db"
    with hs.open(path, embedder=HashingEmbedder(), codec="int8") as store:
        store.add("The harbour is closed.")
        assert store.stats().codec == "int8"
    with pytest.raises(InputError, match=r"as int8, not float16; .*recode float16"):
        hs.open(path, embedder="none", codec="float16")
    with pytest.raises(InputError, match="a codec is one of float32, float16"):
        hs.open(path, codec="float64")
    with pytest.raises(InputError, match="in memory keeps vectors as float32"):
        hs.open(":memory:", codec="int8")
    with hs.open(":memory:", embedder="none") as memory, pytest.raises(Unsupported, match="as float32"):
        memory.recode("int8")


def test_a_codec_that_breaks_an_expectation_is_refused(tmp_path):
    with hs.open(tmp_path / "a.db", embedder=Close()) as store:
        store.add([{"id": word, "text": f"{word}"} for word in ("far", "near", "nearer")])
        store.expect("what is asked", "nearer", within=1)
        store.recode("float16")
        with pytest.raises(ExpectationsBroken, match="Keeping vectors as int4"):
            store.recode("int4")
        assert (store.stats().codec, store.test()[0].holds) == ("float16", True)
        store.recode("int4", force=True)
        assert not store.test()[0].holds


def in_sql(store, sql):
    with closing(apsw.Connection(store.location)) as connection:
        return connection.execute(sql).fetchall()


def test_recoding_hides_no_damage(filled):
    flipped = "CAST(substr(vector, 1, 8) || x'0000003f' || substr(vector, 13) AS BLOB)"
    in_sql(filled, f"UPDATE vectors_1 SET vector = {flipped} WHERE chunk = 5")
    with pytest.raises(FileDamaged, match="chunk 5 is not what was written"):
        filled.recode("float16")
    assert filled.stats().codec == "float32"
    filled.check(repair=True)
    filled.embed()
    assert filled.recode("float16") == len(TEXTS)
    assert filled.check() == []


@pytest.mark.parametrize("lost", ["DELETE FROM meta", "UPDATE meta SET value = 'x'"])
def test_vectors_outlive_the_name_of_their_codec(filled, lost):
    filled.recode("int8")
    before = ranked(filled)
    in_sql(filled, f"{lost} WHERE key = 'codec'")
    filled.check(repair=True)
    assert (ranked(filled), filled.stats().vectors, filled.stats().codec) == (before, len(TEXTS), "float32")
    filled.add([{"id": "new", "text": "Tea in another valley."}])  # by float32, beside the others
    assert "new" in dict(ranked(filled, mode="vector"))
    assert filled.check() == []
    assert filled.recode("int8") == 1
    assert {size for (size,) in in_sql(filled, "SELECT octet_length(vector) FROM vectors_1")} == {64}


def test_recoding_by_the_same_codec_changes_nothing(filled):
    filled.recode("int8")
    revision = filled.stats().revision
    assert filled.recode("int8") == 0
    assert filled.stats().revision == revision


def test_a_number_that_is_none_is_found_in_silence(filled):
    filled.recode("float16")
    in_sql(filled, "UPDATE vectors_1 SET vector = CAST(x'007c' || substr(vector, 3) AS BLOB) WHERE chunk = 5")
    assert "no numbers" in str(filled.check())
    with pytest.raises(FileDamaged):
        filled.recode("int8")


def test_a_vector_of_another_length_is_found_and_mended(filled):
    filled.recode("int8")
    with closing(apsw.Connection(filled.location)) as connection:
        connection.execute("UPDATE vectors_1 SET vector = zeroblob(7) WHERE chunk = 5")
    assert "wrong length" in str(filled.check())
    filled.check(repair=True)
    filled.embed()
    assert filled.check() == []
