"""Versions of every kind, taken and taken back; what cannot be done is refused before anything changes."""

import pytest
from gap import EMBEDDER, PAIRS, answers, filled, question, random_adapter, version

import hybridstore as hs
from hybridstore.backends.learning import ModelVersion
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError, ModelUnavailable, NotFound
from hybridstore.tuning import drift
from hybridstore.tuning.model_versions import promote, promote_embedder, rollback

NEW, THIRD = HashingEmbedder(96), HashingEmbedder(48)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """Return the embedders that are to be had by their names."""
    there = {each.fingerprint.partition("@")[0]: each for each in (EMBEDDER, NEW, THIRD)}

    def load(name, **_):
        if name not in there:
            raise ModelUnavailable(name, "it is not here")
        return there[name]

    monkeypatch.setattr("hybridstore.embedders.load", load)
    return there


@pytest.fixture
def store(tmp_path):
    filled(tmp_path / "gap.db", triples=False).close()
    with hs.open(tmp_path / "gap.db") as store:
        yield store


def adapters(store, *seeds):
    return [store.learning.propose(version(random_adapter(seed=seed, size=2.0))) for seed in seeds]


def states(store):
    return [model.state for model in store.learning.models()]


def number(store):
    model = store.learning.model()
    return model and model.number


def everything(store):
    """Return what a search goes by and what it says."""
    return number(store), store.embeddings.active, store.state().calibration, answers(store)


def test_versions_are_promoted_one_after_the_other_and_rolled_back(store):
    plain = everything(store)
    first, second = adapters(store, 1, 2)
    assert promote(store, first).number == first
    with_first = everything(store)
    assert promote(store, second).previous == first
    with_second = everything(store)
    assert len({str(each) for each in (plain, with_first, with_second)}) == 3
    assert states(store) == ["retired", "active"]
    assert rollback(store).number == first
    assert everything(store) == with_first
    assert states(store) == ["active", "retired"]
    assert rollback(store) is None
    assert everything(store) == plain
    assert states(store) == ["retired", "retired"]
    with pytest.raises(InputError, match=r"no version is active.*hybridstore model history"):
        rollback(store)
    assert promote(store, second).previous is None
    assert everything(store) == with_second


def test_rolling_back_to_the_plain_embedder_is_immediate(store):
    plain = everything(store)
    for each in adapters(store, 1, 2):
        promote(store, each)
    assert promote(store, None) is None
    assert everything(store) == plain
    assert promote(store, None) is None


def test_another_open_store_answers_with_the_version_from_then_on(store, tmp_path):
    with hs.open(tmp_path / "gap.db") as other:
        before = answers(other)
        promote(store, *adapters(store, 1))
        assert answers(other) == answers(store) != before
        assert other.search(question(PAIRS[0])).trace.model == 1
        rollback(other)
        assert answers(store) == answers(other) == before


@pytest.mark.parametrize("unknown", [0, 2, -1, "1", 1.5])
def test_an_unknown_number_is_not_found_and_changes_nothing(store, unknown):
    promote(store, *adapters(store, 1))
    before = everything(store)
    with pytest.raises(NotFound, match="no such version; `hybridstore model history` lists them"):
        promote(store, unknown)
    assert everything(store) == before


def test_a_version_for_other_vectors_is_rejected_and_changes_nothing(store):
    number = store.learning.propose(version(random_adapter(NEW)))
    before = everything(store)
    with pytest.raises(InputError, match=f"for vectors of {NEW.fingerprint}, and the file's are of"):
        promote(store, number)
    assert everything(store) == before
    assert states(store) == ["candidate"]


def test_an_adapter_of_earlier_vectors_is_retired_and_rejected(store):
    (first,) = adapters(store, 1)
    promote(store, first)
    store.reembed(NEW)
    assert number(store) is None
    with pytest.raises(InputError, match="for vectors of"):
        promote(store, first)
    with pytest.raises(InputError, match="no version is active"):
        rollback(store)
    assert states(store) == ["retired"]


def test_an_embedder_is_rolled_back_and_promoted_again(store):
    plain = everything(store)
    first = promote_embedder(store, NEW).number
    with_new = everything(store)
    with pytest.raises(InputError, match="hybridstore model rollback"):
        promote(store, None)
    assert everything(store) == with_new
    assert rollback(store) is None
    assert everything(store) == plain
    reports = []
    assert promote(store, first, progress=lambda *report: reports.append(report)).number == first
    assert everything(store) == with_new
    assert reports == []  # its vectors were kept


def test_two_embedders_are_rolled_back_one_by_one(store):
    plain = everything(store)
    promote_embedder(store, NEW)
    with_new = everything(store)
    promote_embedder(store, THIRD)
    reports = []
    assert rollback(store).number == 1
    assert everything(store) == with_new
    assert rollback(store, progress=lambda *report: reports.append(report)) is None  # only one set of vectors is kept
    assert reports[-1] == (len(PAIRS), len(PAIRS))
    assert everything(store) == plain


def test_an_adapter_on_an_embedder_is_rolled_back_without_that_embedders_model(store, known):
    promote_embedder(store, NEW)
    with_new = everything(store)
    upon = store.learning.propose(version(random_adapter(NEW)))
    assert promote(store, upon).previous == 1
    known.clear()
    assert rollback(store).number == 1
    assert everything(store) == with_new


def test_an_embedder_after_an_adapter_rolls_back_to_that_adapter(store):
    promote(store, *adapters(store, 1))
    with_adapter = everything(store)
    assert promote_embedder(store, NEW).previous == 1
    assert rollback(store).number == 1
    assert everything(store) == with_adapter


def test_an_unavailable_embedder_is_rejected_and_changes_nothing(store, known):
    first = promote_embedder(store, NEW).number
    rollback(store)
    before = everything(store)
    del known["hashing-96"]
    with pytest.raises(ModelUnavailable, match="it is not here"):
        promote(store, first)
    assert everything(store) == before


class Turned(HashingEmbedder):
    """The store's embedder, its numbers in another order: one that drift compensation can map."""

    def __init__(self):
        super().__init__(EMBEDDER.dim)
        self.fingerprint = "turned@1"

    def embed_documents(self, texts):
        return super().embed_documents(texts)[:, ::-1].copy()


def test_drift_compensation_is_promoted_and_rolled_back(store, known):
    plain = everything(store)
    known["turned"] = Turned()
    first = drift.compensate(store, Turned()).number
    with_drift = everything(store)
    assert number(store) == first
    assert rollback(store) is None
    assert everything(store) == plain
    promote(store, first)
    assert everything(store) == with_drift


def test_drift_compensation_by_an_unavailable_embedder_is_rejected(store, tmp_path):
    first = drift.compensate(store, Turned()).number
    assert rollback(store) is None
    with hs.open(tmp_path / "gap.db") as other:
        before = everything(other)
        with pytest.raises(ModelUnavailable, match="it is not here"):
            promote(other, first)
        assert everything(other) == before


def test_drift_compensation_is_rolled_back_though_the_old_embedder_is_gone(store, tmp_path, known):
    drift.compensate(store, Turned())
    del known["hashing-64"]
    with hs.open(tmp_path / "gap.db", embedder=Turned()) as other:
        assert rollback(other) is None
        assert number(other) is None
        vector = EMBEDDER.embed_query("harbour")
        assert len(other.search("harbour", vector=vector)) == 10
        with pytest.raises(ModelUnavailable, match="it is not here"):
            other.search("harbour")


def test_vectors_given_by_the_caller_are_restored(tmp_path, known):
    known["turned"] = Turned()
    texts = [f"The {n} of a {question(pair)}" for n, pair in enumerate(PAIRS)]
    with hs.open(tmp_path / "given.db") as store:
        store.add(texts, vectors=EMBEDDER.embed_documents(texts))
        drift.compensate(store, known["turned"])
        assert store.search("harbour", mode="vector").trace.model == 1
        assert rollback(store) is None
        assert store.search("harbour", mode="vector", vector=EMBEDDER.embed_query("harbour")).trace.model is None


def test_a_store_without_vectors_or_embedder_accepts_and_rejects_the_right_versions(store, tmp_path):
    (first,) = adapters(store, 1)
    with hs.open(tmp_path / "gap.db", embedder="none") as other:
        assert promote(other, first).number == first
        assert rollback(other) is None
    with hs.open(tmp_path / "words.db", embedder="none") as words:
        words.add("words alone")
        kept = words.learning.propose(version(random_adapter()))
        with pytest.raises(InputError, match="the file has none"):
            promote(words, kept)
        with pytest.raises(InputError, match="no version is active"):
            rollback(words)


def test_a_refused_version_can_be_promoted_by_its_number(store):
    kept = store.learning.propose(version(random_adapter(), state="refused"))
    assert promote(store, kept).state == "active"


def test_a_version_with_damaged_weights_is_rejected_and_can_be_rolled_back(store):
    plain = answers(store)
    broken = ModelVersion(
        kind="adapter",
        source=EMBEDDER.fingerprint,
        target=EMBEDDER.fingerprint,
        reference="hashing-64",
        weights=b"no weights at all, though there are some bytes",
    )
    number = store.learning.propose(broken)
    with pytest.raises(ModelUnavailable, match="hybridstore model rollback"):
        promote(store, number)
    assert answers(store) == plain
    store.learning.promote(number)  # as if the weights had been damaged since
    with pytest.raises(ModelUnavailable, match="hybridstore model rollback"):
        store.search("harbour")
    assert rollback(store) is None
    assert answers(store) == plain


def test_repeated_rollbacks_never_cycle(store):
    first, second, third = adapters(store, 1, 2, 3)
    for number in (first, second, third, first):
        promote(store, number)
    assert [getattr(rollback(store), "number", None) for _ in range(4)] == [third, second, first, None]


def test_a_process_stopped_right_after_the_switch_leaves_the_new_answers(store, monkeypatch):
    (first,) = adapters(store, 1)
    with monkeypatch.context() as stopped:
        stopped.setattr(type(store), "calibrate", lambda *_: None)
        promote(store, first)
    left = answers(store)
    store.calibrate()
    assert left == answers(store)
