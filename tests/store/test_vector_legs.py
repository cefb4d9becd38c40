"""Vector legs beside a store's own: added, kept up with every write, searched together, left out, taken away."""

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError, ModelUnavailable, NotFound
from hybridstore.records import FULL_Z_SCORE
from hybridstore.search.rank_fusion import by_power
from hybridstore.search.vector_legs import shares
from hybridstore.store.embedder_choice import identify

OWN, ADDED = HashingEmbedder(64), HashingEmbedder(32)
TEXTS = [f"{word} number {n} in hall {n % 7}" for n, word in enumerate(["valve", "pump", "pressure", "inlet"] * 10)]


class Unheard(HashingEmbedder):
    """An embedder of a language that nothing is in: all its vectors are chance."""

    def __init__(self) -> None:
        super().__init__(16)
        self.fingerprint = "unheard@1"

    def embed_documents(self, texts):
        seeds = [sum(text.encode()) * 7919 for text in texts]
        rows = np.array([np.random.default_rng(seed).normal(size=self.dim) for seed in seeds], np.float32)
        rows = rows.reshape(-1, self.dim)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(params=[":memory:", "file"])
def store(request, tmp_path):
    path = ":memory:" if request.param == ":memory:" else str(tmp_path / "legs.db")
    with hs.open(path, embedder=OWN) as store:
        store.add(TEXTS)
        yield store


def ids(results) -> list[str]:
    return [hit.document_id for hit in results]


def test_a_store_with_one_embedder_names_its_two_legs(store):
    trace = store.search("valve number 4").trace
    assert [leg.name for leg in trace.legs] == ["keyword", "hashing-64"]
    assert [leg.weight for leg in trace.legs] == list(trace.weights)
    assert trace.added == ()
    assert [sorted(leg) for leg in trace.to_dict()["legs"]] == [["candidates", "name", "power", "weight"]] * 2


def test_adding_the_vectors_of_another_embedder_searches_both(store):
    before = store.search("valve number 4", limit=40)
    assert store.reembed(add=ADDED) == len(TEXTS)
    assert store.embeddings.active.fingerprint == OWN.fingerprint
    trace = store.search("valve number 4", limit=40).trace
    assert [leg.name for leg in trace.legs] == ["keyword", "hashing-64", "hashing-32"]
    assert trace.vector.chunks.tolist() == before.trace.vector.chunks.tolist()
    assert trace.legs[2].power == store.state().legs[0].calibration.power
    assert store.reembed(add=ADDED) == 0
    assert store.check() == []


def test_the_score_is_the_sum_of_what_each_leg_says(store):
    store.reembed(add=ADDED)
    trace = store.search("valve number 4", limit=5).trace
    own, added = store.state().calibration, store.state().legs[0].calibration
    agreement = added.agreement[OWN.fingerprint]
    share, power = shares((own.power, added.power), ((1.0, agreement), (agreement, 1.0)))
    assert trace.power == pytest.approx(power)
    assert trace.weights == by_power(trace.power)
    assert [leg.weight for leg in trace.legs[1:]] == pytest.approx([trace.weights[1] * each for each in share])
    for hit in trace.hits:
        place = trace.evidence.at(hit.chunk_id)
        parts = [
            leg.weight * part[place] for leg, part in zip(trace.legs[1:], trace.evidence.legs.values(), strict=True)
        ]
        expected = trace.weights[0] * trace.evidence.keyword[place] + sum(parts) / FULL_Z_SCORE
        assert hit.score == pytest.approx(min(expected, 1.0))
        assert 0 <= hit.relevance <= 1
    chunks, query = trace.evidence.chunks, "valve number 4"
    cosines = (
        store._backend.cosines(chunks, OWN.embed_query(query), None),
        store._backend.cosines(chunks, ADDED.embed_query(query), ADDED.fingerprint),
    )
    above = sum(
        each * (cosine - measured.chance) / measured.spread
        for each, cosine, measured in zip(share, cosines, (own, added), strict=True)
    )
    above = above / sum(share) + 3.0 * trace.evidence.coverage
    above -= (1 - len(TEXTS) / 64) * (above.max() - above)
    assert trace.evidence.relevance == pytest.approx(1 / (1 + np.exp(1.35 * (2.4 - above))), abs=0.01)


def test_a_leg_that_another_one_makes_worse_than_useless_has_no_share():
    assert shares((4.0, 0.5), ((1.0, 0.9), (0.9, 1.0))) == ((1.0, 0.0), 4.0)
    assert shares((0.5, 4.0, 0.5), ((1.0, 0.9, 0.9), (0.9, 1.0, 0.9), (0.9, 0.9, 1.0))) == ((0.0, 1.0, 0.0), 4.0)
    assert shares((-1.0,), ((1.0,),))[0] == (1.0,)


def test_every_write_fills_every_leg(store):
    store.reembed(add=ADDED)
    store.add([hs.Document(id="new", text="a turbine in the cellar"), hs.Document(id="two", text="x" * 50)])
    store.add(hs.Document(id="new", text="a turbine in the attic"))
    store.remove("two")
    (leg,) = store.stats().legs
    assert leg.vectors == store.stats().vectors == store.stats().chunks == len(TEXTS) + 1
    assert ids(store.search("turbine in the attic", legs="hashing-32", limit=1)) == ["new"]
    assert store.check() == []


def test_chunks_that_did_not_change_are_not_embedded_again(store):
    embedder = HashingEmbedder(32)
    store.reembed(add=embedder)
    text = "\n\n".join(f"Paragraph {n}. " + f"word{n} " * 150 for n in range(4))
    store.add(hs.Document(id="long", text=text))
    made, embed = [], embedder.embed_documents
    embedder.embed_documents = lambda texts: made.extend(texts) or embed(texts)
    store.add(hs.Document(id="long", text=text.replace("Paragraph 3", "Chapter 3")))
    assert 0 < len(made) < store.stats().chunks - len(TEXTS)
    assert all("Chapter" in each or "word3" in each for each in made)


def test_legs_choose_what_is_searched(store):
    store.reembed(add=ADDED)
    query = "valve number 4"
    assert ids(store.search(query, legs="keyword")) == ids(store.search(query, mode="keyword"))
    assert ids(store.search(query, legs=["vector"])) == ids(store.search(query, mode="vector"))
    alone = store.search(query, legs=["hashing-32"])
    assert [leg.name for leg in alone.trace.legs] == ["hashing-32"]
    assert alone[0].score == pytest.approx(float(alone.trace.legs[0].ranking.scores[0]))
    two = store.search(query, legs=["keyword", ADDED.fingerprint])
    assert [leg.name for leg in two.trace.legs] == ["keyword", "hashing-32"]
    assert two.trace.vector is None
    assert two.confidence is not None
    without = store.search(query, legs=["keyword", "hashing-64"])
    assert [leg.name for leg in without.trace.legs] == ["keyword", "hashing-64"]
    with pytest.raises(InputError, match="its legs are keyword, hashing-64, hashing-32"):
        store.search(query, legs="hashing-16")
    with pytest.raises(InputError, match="leave out mode"):
        store.search(query, legs="keyword", mode="vector")


@pytest.mark.parametrize("fusion", ["adaptive", "rrf", "idf-rrf", "convex"])
@pytest.mark.parametrize("legs", [None, ["vector"], ["keyword", "hashing-32"]])
def test_every_fusion_takes_every_leg(store, fusion, legs):
    store.reembed(add=ADDED)
    trace = store.search("valve number 4", fusion=fusion, legs=legs, limit=3).trace
    found = set().union(*(leg.ranking.chunks.tolist() for leg in trace.legs))
    assert set(trace.fused.chunks.tolist()) == found
    assert np.all(np.diff(trace.fused.scores) <= 0)


def test_vectors_that_are_chance_count_next_to_nothing(store):
    before = ids(store.search("valve number 4", limit=10))
    store.reembed(add=Unheard())
    trace = store.search("valve number 4", limit=10).trace
    unheard = trace.legs[2]
    assert unheard.name == "unheard"
    assert unheard.weight < trace.legs[1].weight / 3
    assert len(set(before) & {hit.document_id for hit in trace.hits}) >= 9


def test_a_leg_whose_embedder_is_not_here_is_left_out_and_said(tmp_path):
    path = str(tmp_path / "legs.db")
    with hs.open(path, embedder=OWN) as store:
        store.add(TEXTS)
        before = ids(store.search("valve number 4"))
        store.reembed(add=ADDED)
    with hs.open(path, embedder=HashingEmbedder(64)) as store:
        results = store.search("valve number 4")
        assert ids(results) == before
        assert [leg.name for leg in results.trace.legs] == ["keyword", "hashing-64"]
        (note,) = results.trace.notes
        assert note.startswith("The vector leg hashing-32 was left out: ")
        store.add(hs.Document(id="new", text="a turbine"))  # goes on without
        (leg,) = store.stats().legs
        assert leg.vectors == store.stats().vectors - 1
        with pytest.raises(ModelUnavailable):
            store.search("valve number 4", legs="hashing-32")
        store.use_for_queries(HashingEmbedder(32))
        assert len(store.search("valve number 4").trace.legs) == 3
        assert ids(store.search("a turbine", limit=1)) == ["new"]  # its missing vector counts for nothing
        assert store.embed() == 1
        assert store.check() == []


def test_a_leg_answers_where_the_stores_own_embedder_is_not_here(tmp_path):
    path = str(tmp_path / "legs.db")
    with hs.open(path, embedder=OWN) as store:
        store.add(TEXTS)
        store.reembed(add=ADDED)
    with hs.open(path) as store:
        with pytest.raises(ModelUnavailable):
            store.search("valve number 4")
        store.use_for_queries(HashingEmbedder(32))
        trace = store.search("valve number 4").trace
        assert [leg.name for leg in trace.legs] == ["keyword", "hashing-32"]
        assert trace.notes[0].startswith("The vector leg hashing-64 was left out: ")


def test_a_filling_that_was_stopped_is_continued_and_not_searched_before(store):
    embedder = HashingEmbedder(32)
    calls, embed = [], embedder.embed_documents

    def stop(texts):
        if calls:
            raise KeyboardInterrupt
        calls.append(texts)
        return embed(texts)

    store.add([f"line {n}" for n in range(200)])
    embedder.embed_documents = stop
    with pytest.raises(KeyboardInterrupt):
        store.reembed(add=embedder)
    assert store.state().legs == ()
    assert len(store.search("valve").trace.legs) == 2
    assert store.check() == []
    embedder.embed_documents = embed
    assert store.reembed(add=embedder) == store.stats().chunks - 128
    assert len(store.search("valve").trace.legs) == 3


def test_a_dropped_leg_is_gone(store):
    before = [(hit.document_id, hit.score) for hit in store.search("valve number 4")]
    store.reembed(add=ADDED)
    with pytest.raises(NotFound, match="there are: hashing-32"):
        store.drop_leg("hashing-16")
    with pytest.raises(InputError, match="own vectors"):
        store.drop_leg("hashing-64")
    assert store.drop_leg("hashing-32") == ADDED.fingerprint
    assert store.embeddings.added == ()
    assert [(hit.document_id, hit.score) for hit in store.search("valve number 4")] == before
    assert store.check() == []


def test_the_same_embedder_is_not_added_and_add_stands_alone(store):
    with pytest.raises(InputError, match="already"):
        store.reembed(add=HashingEmbedder(64))
    with pytest.raises(InputError, match="leave out embedder"):
        store.reembed(OWN, add=ADDED)


def test_a_leg_can_become_the_stores_own_embedder(store):
    store.reembed(add=ADDED)
    assert store.reembed(ADDED) == 0
    assert store.embeddings.active.fingerprint == ADDED.fingerprint
    assert store.embeddings.added == ()
    assert [leg.name for leg in store.search("valve").trace.legs] == ["keyword", "hashing-32"]


def test_explain_names_the_legs_and_what_each_found(store):
    store.reembed(add=ADDED)
    text = str(store.explain("valve number 4", limit=2))
    assert "Searched with keyword and hashing-64 and hashing-32 together" in text
    assert "hashing-32 weighs" in text
    assert "hashing-32: 40 candidates" in text
    assert "The hashing-32 leg alone: " in text
    assert "hashing-32 rank" in text
    document = store.search("inlet number 39", limit=40)[-1].document_id
    assert "hashing-32 leg ranks it" in str(store.explain("inlet number 39", limit=1, expect=document))
    story = store.explain("inlet number 39", limit=1, expect=document, legs=["keyword", "hashing-32"])
    assert story.expected.lost


def test_neighbours_are_read_in_every_leg(store):
    store.reembed(add=ADDED)
    everything = store.ids()

    def around(id_):
        place = everything.index(id_)
        return everything[max(place - 2, 0) : place + 3]

    trace = store.search("valve number 4", around=around).trace
    share = [leg.weight / trace.weights[1] for leg in trace.legs[1:]]
    summed = sum(each * part for each, part in zip(share, trace.evidence.legs.values(), strict=True))
    assert trace.evidence.vector == pytest.approx(summed)


def test_a_write_fills_its_own_chunks_and_leaves_the_rest_to_embed(store):
    store.reembed(add=ADDED)
    store.add([f"later {n}" for n in range(20)], vectors="later")
    assert [leg.vectors for leg in store.stats().legs] == [len(TEXTS)]
    store.add("at once")
    assert [leg.vectors for leg in store.stats().legs] == [len(TEXTS) + 1]
    assert store.embed(limit=25) == 25
    assert store.embeddings.pending_count(ADDED.fingerprint) == 15
    assert store.embed() == 15
    assert store.check() == []


def test_a_write_does_not_continue_a_leg_that_is_not_finished(store):
    store._backend.add_leg(identify(ADDED))
    store._embedder.adopt_added(ADDED)
    store.add("one more")
    assert [leg.vectors for leg in store.stats().legs] == [0]
    with pytest.raises(InputError, match="name at least one leg"):
        store.search("one", legs=[])


def test_a_chunk_without_any_vector_is_judged_by_its_words(store):
    store.reembed(add=ADDED)
    store.add([hs.Document(id="late", text="valve of platinum")], vectors="later")
    trace = store.search("valve of platinum", limit=3).trace
    assert trace.hits[0].document_id == "late"
    assert trace.evidence.is_estimated(trace.hits[0].chunk_id)
    assert trace.hits[0].relevance > 0.3
