"""Searches with an active model version, which transforms queries or comes with a newer embedder."""

import threading

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.backends.learning import ModelVersion
from hybridstore.errors import EmbedderMismatch, InputError, ModelUnavailable
from hybridstore.search.transforms import Adapter, Affine, write
from hybridstore.store.calibration import calibrate, measure

DIM = 32


def turning(first, second, fingerprint):
    """Return an adapter that maps one direction to another."""
    down = first[:, None].astype(np.float32)
    return Adapter(fingerprint, down, (second - first)[None].astype(np.float32))


def promoted(store, transform, reference="any", **facts):
    kind = "adapter" if transform.source == transform.target else "drift"
    version = ModelVersion(
        kind=kind,
        source=transform.source,
        target=transform.target,
        reference=reference,
        weights=write(transform),
        **facts,
    )
    number = store.learning.propose(version)
    store.learning.promote(number)
    return number


def rotation(rows, columns, seed=3):
    square = np.random.default_rng(seed).standard_normal((max(rows, columns),) * 2)
    return np.linalg.qr(square)[0][:rows, :columns].astype(np.float32)


@pytest.fixture
def filled(store, texts):
    store.add([hs.Document(id=name, text=text) for name, text in texts.items()])
    return store


@pytest.fixture
def adapted(filled, embedder, texts):
    """Yield a store whose adapter ranks another text first for one query than the plain embedder does."""
    question, answer = embedder.embed_documents([texts["lamp"], texts["rust"]])
    promoted(filled, turning(question, answer, embedder.fingerprint))
    return filled


def newer(counting, dim=48):
    """Return an embedder whose vectors are the old one's, rotated into a longer space."""
    turned, old = rotation(DIM, dim), counting()

    class Newer(counting):
        def embed_documents(self, texts):
            self.documents += texts
            return old.embed_documents(texts) @ turned

        def embed_query(self, text):
            self.queries.append(text)
            return old.embed_query(text) @ turned

    made = Newer("newer", dim)
    return made, Affine(made.fingerprint, f"counting@{DIM}", turned.T.copy(), np.zeros(DIM, np.float32))


@pytest.fixture
def drifted(filled, counting, monkeypatch):
    """Yield a store whose queries are embedded by a newer embedder, which loads by its name, and that embedder."""
    made, transform = newer(counting)
    monkeypatch.setattr("hybridstore.embedders.load", lambda name, **_: {"newer": made, "counting": counting()}[name])
    promoted(filled, transform, reference="newer")
    return filled, made


def nearest(store, query, **options):
    return store.search(query, mode="vector", limit=1, **options)[0].document_id


def test_an_adapter_turns_questions_and_is_named(filled, embedder, texts):
    before = filled.search(texts["lamp"], mode="vector").trace
    assert before.model is None
    number = promoted(filled, turning(*embedder.embed_documents([texts["lamp"], texts["rust"]]), embedder.fingerprint))
    after = filled.search(texts["lamp"], mode="vector")
    assert (after[0].document_id, after[0].vector_score) == ("rust", pytest.approx(1.0, abs=1e-5))
    assert after.trace.model == number == 1
    assert filled.search(texts["rust"]).trace.model == number
    assert filled.search(texts["lamp"], mode="keyword").trace.model is None


def test_the_plain_embedder_comes_back_with_the_promotion_of_none(adapted, texts):
    assert nearest(adapted, texts["lamp"]) == "rust"
    adapted.learning.promote(None)
    assert nearest(adapted, texts["lamp"]) == "lamp"


def test_evidence_goes_by_the_turned_question(adapted, texts):
    results = adapted.search(texts["lamp"])
    rust = next(hit.chunk_id for hit in results if hit.document_id == "rust")
    evidence = results.trace.evidence
    assert evidence.vector[evidence.at(rust)] == evidence.vector.max() > 4


def test_an_adapter_transforms_query_vectors_passed_by_callers(adapted, embedder, texts):
    vector = embedder.embed_documents([texts["lamp"]])[0]
    assert nearest(adapted, "", vector=vector) == "rust"
    assert not adapted.search("", vector=np.zeros(DIM), mode="vector")
    with pytest.raises(InputError, match=r"has shape \(7,\); 32 dimensions"):
        adapted.search("", vector=np.ones(7))


def test_an_explanation_names_the_version_that_transformed_the_query(adapted, texts):
    sentence = "Version 1 of this store's model adapted the query's vector before the comparison."
    assert sentence in str(adapted.explain(texts["lamp"])).splitlines()
    adapted.learning.promote(None)
    assert "version" not in str(adapted.explain(texts["lamp"]))


def test_an_adapter_of_other_vectors_does_not_apply(adapted, counting, texts):
    adapted.reembed(counting("other"))
    assert nearest(adapted, texts["lamp"]) == "lamp"
    assert adapted.search(texts["lamp"]).trace.model is None


def test_chance_goes_by_the_turned_questions_and_power_by_plain_ones(adapted, embedder):
    before = adapted.state().calibration
    calibrate(adapted._backend, embedder)
    after = adapted.state().calibration
    assert after.fingerprint == before.fingerprint
    assert after.power == before.power
    assert after.chance != before.chance
    adapted.learning.promote(None)
    calibrate(adapted._backend, embedder)
    assert adapted.state().calibration == before  # the general questions are remembered unturned


def test_damaged_weights_are_reported_with_a_remedy(filled, embedder):
    model = ModelVersion(
        kind="adapter", source=embedder.fingerprint, target=embedder.fingerprint, reference="c", weights=b"?"
    )
    learning = filled.learning
    learning.promote(learning.propose(model))
    with pytest.raises(ModelUnavailable, match="hybridstore model rollback"):
        filled.search("lamp")
    assert filled.search("lamp", mode="keyword")


def test_questions_come_from_the_newer_embedder_and_documents_do_not(drifted, texts, embedder):
    store, made = drifted
    results = store.search(texts["helmet"], mode="vector")
    assert (results[0].document_id, results[0].vector_score) == ("helmet", pytest.approx(1.0, abs=1e-5))
    assert results.trace.model == 1
    assert made.queries == [texts["helmet"]]
    store.add("Tubeless tyres need new milk every spring.")
    assert embedder.documents[-1] == "Tubeless tyres need new milk every spring."
    assert nearest(store, embedder.documents[-1]) != "helmet"
    assert made.documents == []


def test_a_drifted_file_loads_both_embedders_by_name(drifted, path, texts):
    _, made = drifted
    with hs.open(path) as store:
        assert nearest(store, texts["lock"]) == "lock"
        store.add(hs.Document(id="pump", text="A pump stands in the hall."))
        assert nearest(store, "A pump stands in the hall.") == "pump"
    assert made.queries == [texts["lock"], "A pump stands in the hall."]


def test_a_drifted_file_opens_with_either_embedder_and_with_no_third(drifted, path, counting, texts):
    _, made = drifted
    for given in (made, counting()):
        with hs.open(path, embedder=given) as store:
            assert nearest(store, texts["lock"]) == "lock"
    with pytest.raises(EmbedderMismatch):
        hs.open(path, embedder=counting("third"))


def test_a_callers_vectors_are_taken_for_the_documents_embedder(drifted, embedder, texts):
    store, _ = drifted
    vector = embedder.embed_documents([texts["tour"]])[0]
    results = store.search("", vector=vector, mode="vector")
    assert (results[0].document_id, results.trace.model) == ("tour", None)


def test_a_name_that_is_another_embedder_by_now_is_rejected(drifted, path, counting, monkeypatch):
    other = counting("newer", 48)
    other.fingerprint = "newer@another"
    monkeypatch.setattr("hybridstore.embedders.load", lambda *_, **__: other)
    with (
        hs.open(path) as store,
        pytest.raises(ModelUnavailable, match=r"newer@48, and the embedder of that name here is newer@another"),
    ):
        store.search("lamp")


def test_documents_are_added_where_the_questions_embedder_is_not_to_be_had(filled, path, counting, embedder):
    _, transform = newer(counting)
    promoted(filled, transform, reference="no-such-model")
    with hs.open(path, embedder=embedder) as store:
        store.add([f"another text, the {n}th of many" for n in range(30)])
        with pytest.raises(ModelUnavailable, match="no-such-model"):
            store.search("text")
        assert store.search("another", mode="keyword")
        assert store.stats().vectors == store.stats().chunks


def test_a_query_embedder_that_is_handed_in_is_not_loaded(filled, counting, texts):
    made, transform = newer(counting)
    promoted(filled, transform, reference="nowhere to be found")
    filled._embedder.use_for_queries(made)
    assert nearest(filled, texts["lock"]) == "lock"


def test_going_back_from_a_newer_embedder_needs_no_second_look(drifted, embedder, texts):
    store, made = drifted
    assert nearest(store, texts["lock"]) == "lock"
    store.learning.promote(None)
    assert nearest(store, texts["lock"]) == "lock"
    assert (made.queries, embedder.queries[-1]) == ([texts["lock"]], texts["lock"])


def test_reembedding_to_the_newer_embedder_ends_the_drift(drifted, texts):
    store, made = drifted
    store.reembed(made)
    assert store.learning.model() is None
    results = store.search(texts["lock"], mode="vector")
    assert (results[0].document_id, results.trace.model) == ("lock", None)
    assert store.state().calibration == measure(store._backend, made)


def test_a_newer_embedder_at_hand_is_used_when_another_process_has_reembedded_for_it(filled, path, counting, texts):
    made, transform = newer(counting)  # no name would find it
    promoted(filled, transform)
    with hs.open(path, embedder=made) as store:
        assert nearest(store, texts["lock"]) == "lock"
        filled.reembed(made)
        assert nearest(store, texts["tour"]) == "tour"
        store.add("one more")
    assert made.documents[-1] == "one more"


def test_a_model_that_is_switched_after_the_question_was_embedded_is_noticed(filled, counting, texts):
    made, transform = newer(counting)
    promoted(filled, transform)
    filled._embedder.use_for_queries(made)
    learning, embed = filled.learning, made.embed_query

    def slowly(text):
        other = threading.Thread(target=learning.promote, args=(None,))
        other.start()
        other.join()
        return embed(text)

    made.embed_query = slowly
    results = filled.search(texts["lock"], mode="vector")
    assert (results[0].document_id, results.trace.model) == ("lock", None)


def test_a_drifted_store_is_measured_by_the_questions_it_gets(drifted, embedder):
    store, made = drifted
    before = store.state().calibration
    assert measure(store._backend, embedder) is None  # it embeds no queries here
    known = measure(store._backend, made)
    assert known.fingerprint == embedder.fingerprint
    assert (known.power, known.chance) == (pytest.approx(before.power), pytest.approx(before.chance))
    asked = len(made.queries)
    store.add([f"another text, the {n}th of many" for n in range(30)])  # it has doubled
    assert len(made.queries) > asked
    assert store.state().calibration == measure(store._backend, made) != before


def test_vectors_passed_by_callers_can_be_searched_by_text_through_a_map_to_them(counting, texts):
    made, transform = newer(counting)
    given = counting().embed_documents(list(texts.values()))
    with hs.open(":memory:") as store:
        store.add([hs.Document(id=name, text=text) for name, text in texts.items()], vectors=given)
        with pytest.raises(InputError, match="passed by its caller"):
            store.search("lock", mode="vector")
        stored = store.stats().embedding.fingerprint
        promoted(store, Affine(made.fingerprint, stored, transform.matrix, transform.offset))
        store._embedder.use_for_queries(made)
        assert nearest(store, texts["lock"]) == "lock"
