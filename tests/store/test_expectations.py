"""Expectations: kept in the store, tested by searches, and guarding every change of the ranking."""

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.backends.learning import Expectation, ModelVersion
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import ExpectationsBroken, InputError, NotFound
from hybridstore.search import transforms
from hybridstore.tuning.model_versions import promote

TEXTS = {"sun": "the sun is a star", "moon": "the moon orbits the earth", "tides": "tides follow the moon"}
ASKED = "where does it revolve"  # no word of any text


class Blind(HashingEmbedder):
    """Another embedder, for which every query is like the text about tides."""

    def __init__(self) -> None:
        super().__init__(16)
        self.fingerprint, self.reference = "blind@16", "blind"

    def embed_query(self, text):
        return super().embed_query(TEXTS["tides"])


class Sighted(Blind):
    """An embedder for which every query is like the text about the moon."""

    def __init__(self, name: str = "sighted") -> None:
        super().__init__()
        self.fingerprint, self.reference = f"{name}@16", name

    def embed_query(self, text):
        return HashingEmbedder.embed_query(self, TEXTS["moon"])


@pytest.fixture
def filled(path):
    with hs.open(path, embedder=Sighted()) as store:
        store.add([hs.Document(id=id_, text=text) for id_, text in TEXTS.items()])
        yield store


def results(store):
    return [(each.expectation.query, each.expectation.document_id, each.rank, each.holds) for each in store.test()]


def best(store):
    return store.search(ASKED)[0].document_id, store.stats().embedding.fingerprint


def test_an_expectation_holds_where_its_document_is_high_enough(filled):
    filled.expect("what does the moon orbit", "moon")
    filled.expect("  the sun  ", "sun", within=3)
    filled.expect("the moon orbits the earth", "tides", within=1)
    assert [result[1:] for result in results(filled)] == [
        ("moon", 1, True),
        ("sun", results(filled)[1][2], True),
        ("tides", None, False),
    ]
    assert str(filled.test()[2]) == "'the moon orbits the earth': tides is not among the first 1"
    assert filled.test()[0].to_dict()["rank"] == 1
    filled.remove("moon")
    assert str(filled.test()[0]) == "'what does the moon orbit': moon is not in the store any more"
    assert filled.drop_expectation("the sun ", "sun")
    assert not filled.drop_expectation("the sun", "sun")
    assert [each.document_id for each in filled.expectations()] == ["moon", "tides"]


def test_some_expectations_are_tested_alone(filled):
    for document in ("moon", "sun"):
        filled.expect(ASKED, document, within=1)
    (result,) = filled.test(filled.expectations()[1:])
    assert (result.expectation.document_id, result.holds) == ("sun", False)


def test_ranks_count_documents_and_not_passages(store):
    long = "\n\n".join(
        f"The sun is a star, part {n}. " + "It shines and it burns all day long. " * 20 for n in range(9)
    )
    store.add([hs.Document(id="long", text=long), hs.Document(id="short", text="the sun sets over the sea")])
    store.expect("the sun", "short", within=2)
    assert len(store.search("the sun")) > 3
    assert store.test()[0].holds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "sun"), "a text that is not empty"),
        ((3, "sun"), "a text that is not empty"),
        (("x" * 5000, "sun"), "at most 4,096 characters"),
        (("q", 7), "by its id"),
        (("q", "sun", 0), "from 1 to 1000"),
        (("q", "sun", True), "from 1 to 1000"),
        (("q", "sun", "2"), "from 1 to 1000"),
    ],
)
def test_what_cannot_be_expected_is_refused(filled, arguments, message):
    query, document, *within = arguments
    with pytest.raises(InputError, match=message):
        filled.expect(query, document, **({"within": within[0]} if within else {}))
    assert filled.expectations() == []


def test_a_document_that_is_not_there_cannot_be_expected(filled):
    with pytest.raises(NotFound):
        filled.expect("the sun", "mars")


def test_testing_logs_no_query(path, embedder):
    with hs.open(path, embedder=embedder, log_queries=True) as store:
        store.add([hs.Document(id="sun", text="the sun")])
        store.expect("sun", "sun")
        store.test()
        assert store.query_log() == []


def test_vectors_that_would_break_an_expectation_are_not_searched(filled, path):
    filled.expect(ASKED, "moon", within=1)
    assert best(filled) == ("moon", "sighted@16")
    with pytest.raises(ExpectationsBroken, match=r"Vectors of blind@16 would break 1 expectation.*moon.*--remove") as e:
        filled.reembed(Blind())
    assert e.value.queries == (ASKED,)
    assert best(filled) == ("moon", "sighted@16")
    assert [file.name for file in path.parent.iterdir() if "shadow" in file.name] == []
    assert filled.reembed(Blind(), force=True) == 0  # they were made already
    assert best(filled) == ("tides", "blind@16")
    assert filled.check() == []


def test_vectors_that_keep_expectations_are_taken(filled):
    filled.expect(ASKED, "moon", within=1)
    filled.expect(ASKED, "sun", within=1)  # does not hold, and need not
    assert filled.reembed(Sighted("other")) == 3
    assert filled.stats().embedding.fingerprint == "other@16"


def test_a_version_that_would_break_an_expectation_is_not_promoted(filled):
    filled.expect(ASKED, "moon", within=1)
    to_tides = transforms.Affine(
        "sighted@16", "sighted@16", np.zeros((16, 16), np.float32), Blind().embed_query("anything")
    )
    number = filled.learning.propose(
        ModelVersion(
            kind="adapter",
            source="sighted@16",
            target="sighted@16",
            reference="sighted",
            weights=transforms.write(to_tides),
        )
    )
    with pytest.raises(ExpectationsBroken, match="This version would break 1 expectation"):
        promote(filled, number)
    assert filled.learning.model() is None
    assert promote(filled, number, force=True).number == number
    assert not filled.test()[0].holds


def test_keywords_are_made_anew_on_a_copy_first(filled, path, monkeypatch):
    filled.expect(ASKED, "moon")
    places = []
    reindex = hs.Store.reindex

    def spied(self, *, force=False):
        places.append(self.location)
        return reindex(self, force=force)

    monkeypatch.setattr(hs.Store, "reindex", spied)
    assert filled.reindex() == 3
    assert len(places) == 2
    assert places[0] == str(path)
    assert "shadow" in places[1]


def test_where_nothing_can_be_copied_the_change_must_be_forced(filled, monkeypatch):
    filled.expect(ASKED, "moon")
    monkeypatch.setattr(hs.Store, "folder", None)
    with pytest.raises(hs.Unsupported, match="force it, and run `hybridstore test` afterwards"):
        filled.reindex()
    assert filled.reindex(force=True) == 3


def test_expectations_are_in_a_copy_of_the_file(filled, tmp_path):
    filled.expect(ASKED, "moon", within=7)
    filled.backup(tmp_path / "copy.db")
    with hs.open(tmp_path / "copy.db", embedder="none") as copy:
        (expected,) = copy.expectations()
        assert expected == Expectation(ASKED, "moon", 7, expected.made)
