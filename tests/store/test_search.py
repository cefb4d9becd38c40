"""Store.search: arguments, filters in both legs, vectors passed by callers, arbitrary strings, many threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.errors import EmbedderMismatch, InputError
from hybridstore.search.query_plan import has_words

ANIMALS = [
    hs.Document(id="cat", title="Cats", text="The cat sat on the mat and slept.", metadata={"legs": 4, "wild": False}),
    hs.Document(id="lion", title="Lions", text="The lion slept in the high grass.", metadata={"legs": 4, "wild": True}),
    hs.Document(
        id="owl", title="Owls", text="The owl hunts at night; by day it slept.", metadata={"legs": 2, "wild": True}
    ),
    hs.Document(id="snake", title="Snakes", text="A snake has no legs. It slept.", metadata={"legs": 0}),
]


@pytest.fixture
def animals(store, embedder):
    store.add(ANIMALS)
    embedder.queries.clear()  # what the store asked itself
    return store


def found(store, query, **options) -> list[str]:
    return [hit.document_id for hit in store.search(query, **options)]


def test_a_hit_says_where_it_stands_and_why(animals):
    results = animals.search("the cat sat on the mat", limit=2, fusion="rrf")
    hit = results[0]
    assert len(results) == len(list(results)) == 2
    assert results[0:2] == (results[0], results[1])
    assert (hit.document_id, hit.title, hit.rank, hit.metadata) == ("cat", "Cats", 1, {"legs": 4, "wild": False})
    assert ANIMALS[0].text[hit.start : hit.end] == hit.text
    assert (hit.keyword_rank, hit.vector_rank) == (1, 1)
    assert hit.keyword_score > 0
    assert 0 < hit.vector_score <= 1.000001
    assert hit.score == pytest.approx(1 / 61 + 1 / 61)
    assert results.trace.query == "the cat sat on the mat"
    assert "2 hits" in repr(results)


def test_each_mode_asks_its_leg(animals, embedder):
    query = "lion in the high grass"
    keyword = animals.search("lion", mode="keyword")
    assert embedder.queries == []
    assert [hit.document_id for hit in keyword] == ["lion"]
    assert keyword[0].vector_rank is None
    assert keyword[0].vector_score is None
    vector = animals.search(query, mode="vector")
    assert len(vector) == 4
    assert vector[0].document_id == "lion"
    assert {hit.keyword_rank for hit in vector} == {None}
    assert vector.trace.keyword is None
    assert embedder.queries == [query]


def test_a_filter_holds_in_every_mode(animals):
    for mode in ("hybrid", "keyword", "vector"):
        for where, expected in [
            ({"legs": 4}, {"cat", "lion"}),
            (hs.field("legs") < 4, {"owl", "snake"}),
            ((hs.field("wild") == True) & ~(hs.field("legs") == 2), {"lion"}),  # noqa: E712 - builds a filter
            ({"wild": {"$exists": False}}, {"snake"}),
            ({"@title": {"$prefix": "S"}}, {"snake"}),
            ({"legs": 100}, set()),
        ]:
            assert set(found(animals, "slept", mode=mode, where=where)) == expected, (mode, where)


def test_a_given_vector_is_the_querys(animals, embedder):
    vector = embedder.embed_query("owl hunts at night")
    embedder.queries.clear()
    results = animals.search("cat", vector=vector * 3, mode="hybrid")
    assert embedder.queries == []
    assert {hit.document_id for hit in results if hit.keyword_rank} == {"cat"}
    assert animals.search("", vector=vector, mode="vector", limit=1)[0].document_id == "owl"
    assert animals.search("", vector=vector.tolist(), limit=1)[0].document_id == "owl"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"query": 5}, "string"),
        ({"query": None}, "string"),
        ({"limit": 0}, "at least 1"),
        ({"limit": 2.5}, "whole number"),
        ({"mode": "fuzzy"}, "hybrid, keyword, vector"),
        ({"fusion": "magic"}, "rrf"),
        ({"depth": 3}, "at least limit = 10"),
        ({"depth": "all"}, "whole number"),
        ({"where": {"legs": {"$near": 1}}}, r"\$gte"),
        ({"where": "legs=4"}, "mapping"),
        ({"vector": [1.0, 2.0]}, "32 dimensions"),
        ({"vector": [[1.0] * 32]}, "shape"),
        ({"vector": [float("nan")] * 32}, "finite"),
        ({"vector": "a"}, "array of numbers"),
    ],
)
def test_invalid_arguments_are_rejected(animals, arguments, says):
    with pytest.raises(InputError, match=says):
        animals.search(**{"query": "slept", **arguments})
    with pytest.raises(InputError, match=says):
        animals.explain(**{"query": "slept", **arguments})


def test_limit_and_depth(animals):
    assert [len(animals.search("slept", limit=limit)) for limit in (1, 3, 4, 100)] == [1, 3, 4, 4]
    trace = animals.search("slept", limit=1, depth=2).trace
    assert (trace.limit, trace.depth, len(trace.keyword), len(trace.vector)) == (1, 2, 2, 2)
    assert animals.search("slept").trace.depth == 200
    assert animals.search("slept", limit=300).trace.depth == 600


def test_quotes_and_minus_reach_both_legs(animals):
    assert set(found(animals, '"the cat"')) == {"cat"}
    assert set(found(animals, 'slept -"grass" -"legs"')) == {"cat", "owl"}
    assert set(found(animals, 'slept -"high grass"', mode="vector")) == {"cat", "owl", "snake"}


def test_the_document_about_a_flag_is_found_by_its_flag(store):
    texts = {
        "grep": "grep -r searches all files below a folder.",
        "tar": "tar -xzf unpacks an archive.",
        "http": "python -m http.server serves a folder.",
        "find": "find . -print0 ends each name with a NUL.",
    }
    store.add(hs.Document(id=id_, text=text) for id_, text in texts.items())
    questions = {
        "grep": ("grep -r", "what does grep -r do"),
        "tar": ("tar -xzf", "I was told to type tar -xzf by a colleague who left and would like to know what it means"),
        "http": ("python -m http.server",),
        "find": ("find . -print0", "why would find need -print0"),
    }
    for mode in ("keyword", "hybrid"):
        for id_, asked in questions.items():
            for question in asked:
                assert store.search(question, mode=mode)[0].document_id == id_, (question, mode)


@pytest.mark.parametrize("mode", ["keyword", "vector", "hybrid"])
def test_excluded_words_and_phrases_do_not_occur(animals, mode):
    everything = set(found(animals, "slept grass legs", mode=mode, limit=10))
    assert {"cat", "lion"} <= everything
    left = found(animals, "slept grass legs", mode=mode, limit=10, exclude=["grass"])
    assert set(left) == everything - {hit.document_id for hit in animals.search("grass", mode="keyword")}
    assert found(animals, "slept grass legs", mode=mode, limit=10, exclude="grass") == left
    assert found(animals, 'slept grass legs -"grass"', mode=mode, limit=10) != []
    with pytest.raises(InputError, match="exclude"):
        animals.search("slept", exclude=["?!"])
    with pytest.raises(InputError, match="exclude takes words"):
        animals.search("slept", exclude=[5])


def test_phrases_that_never_occur_together_let_one_go_and_it_is_said(store):
    store.add([hs.Document(id="a", text="the red planet Mars"), hs.Document(id="b", text="a blue giant of a star")])
    for query in ('"red planet" "blue giant"', '"blue giant" "red planet"'):
        first, second = ("a", "b") if query.startswith('"red') else ("b", "a")
        results = store.search(query, mode="keyword")
        assert [hit.document_id for hit in results] == [first]
        assert len(results.trace.phrases) == len(results.trace.notes) == 1
        assert "together with" in results.trace.notes[0]
        assert store.explain(query, expect=second, mode="keyword").expected.lost == "restricted"
    together = store.search('"red planet" heading:giant title:none', mode="keyword")
    assert [hit.document_id for hit in together] == ["a"]
    assert len(together.trace.notes) == 2


def test_a_field_that_never_occurs_with_a_phrase_is_let_go_and_it_is_said(store):
    store.add([hs.Document(id="a", title="Mars", text="red planet"), hs.Document(id="b", title="Venus", text="hot")])
    results = store.search('"red planet" title:venus', mode="keyword")
    assert [hit.document_id for hit in results] == ["a"]
    assert results.trace.notes == (
        'No passage has "venus" in the title together with "red planet", so it was searched for anywhere.',
    )


def test_words_of_grammar_in_a_phrase_that_is_let_go_are_not_searched_for(store):
    store.add([hs.Document(id="a", text="the pump"), hs.Document(id="b", text="it is what it is and the rest")])
    results = store.search('pump "what is the valve"', mode="keyword")
    assert [hit.document_id for hit in results] == ["a"]
    assert {"what", "is", "the"} <= set(results.trace.ignored)
    assert results.trace.phrases == ()
    assert [hit.document_id for hit in store.search('"what it is not"', mode="keyword")] == [
        "b"
    ]  # nothing else to seek


def test_a_phrase_that_is_nowhere_is_searched_as_words_and_it_is_said(animals):
    results = animals.search('"mat the sat"')
    assert results[0].document_id == "cat"
    assert any('"mat the sat"' in note for note in results.trace.notes)
    within = animals.search('"the cat"', where={"legs": 2})
    assert [hit.document_id for hit in within] == ["owl"]
    assert any('"the cat"' in note for note in within.trace.notes)


def test_a_store_without_vectors_says_so(plain, path, embedder):
    plain.add(ANIMALS)
    results = plain.search("lion")
    assert [hit.document_id for hit in results] == ["lion"]
    assert any("no vectors" in note for note in results.trace.notes)
    nothing = plain.search("lion", mode="vector")
    assert len(nothing) == 0
    assert any("nothing was searched" in note for note in nothing.trace.notes)
    with hs.open(path, embedder=embedder) as full:
        full.add(ANIMALS)
    with hs.open(path, embedder="none") as without:
        notes = without.search("lion").trace.notes
        assert any("without an embedder" in note for note in notes)


def test_an_empty_store_finds_nothing(store, plain):
    for empty in (store, plain):
        for mode in ("hybrid", "keyword", "vector"):
            assert len(empty.search("anything", mode=mode)) == 0
            assert "Nothing was found" in str(empty.explain("anything", mode=mode))


def test_a_store_follows_the_embedder_of_its_file(path, store, monkeypatch, counting):
    store.add(ANIMALS)
    loaded = []

    def load(name, *, threads=None, recorded=False):
        assert recorded  # only the file names it
        loaded.append((name, threads))
        return counting(name)

    monkeypatch.setattr("hybridstore.embedders.load", load)
    with hs.open(path, threads=2) as follower:
        assert loaded == []  # nothing is loaded until it is needed
        assert follower.search("cat", mode="keyword")
        assert loaded == []
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda _: len(follower.search("cat")) == 4, range(16)))
        assert loaded == [("counting", 2)]
    monkeypatch.setattr("hybridstore.embedders.load", lambda name, **_: counting("impostor"))
    with hs.open(path) as fooled, pytest.raises(EmbedderMismatch):
        fooled.search("cat")


def test_a_repeated_query_is_not_embedded_again(animals, embedder):
    first = animals.search("a cat", mode="vector")
    again = animals.search("a cat", mode="vector", where={"legs": 0})
    assert embedder.queries == ["a cat"]
    assert again[0].vector_score == {hit.chunk_id: hit.vector_score for hit in first}[again[0].chunk_id]
    animals.search("a Cat")
    assert embedder.queries == ["a cat", "a Cat"]


def test_the_vectors_of_the_last_queries_are_cached(animals, embedder, monkeypatch):
    monkeypatch.setattr("hybridstore.store.embedder_choice._CACHED_QUERIES", 2)
    for query in ("a", "b", "a", "c", "a", "b"):
        animals.search(query, mode="vector")
    assert embedder.queries == ["a", "b", "c", "b"]
    embedder.queries.clear()
    for _ in range(2):
        animals.search("long " * 1000, mode="vector")
    assert len(embedder.queries) == 2  # too long to be worth remembering


def test_another_embedder_embeds_the_same_query_anew(animals, embedder, counting):
    before = animals.search("cat", mode="vector")
    other = counting("other", 16)
    animals.reembed(other)
    other.queries.clear()
    after = animals.search("cat", mode="vector")
    assert (embedder.queries, other.queries) == (["cat"], ["cat"])
    assert before[0].document_id == after[0].document_id == "cat"


def test_threads_that_ask_the_same_get_the_same_vector(animals, embedder):
    with ThreadPoolExecutor(8) as pool:
        scores = set(pool.map(lambda n: animals.search(f"cat {n % 3}", mode="vector")[0].vector_score, range(60)))
    assert len(scores) <= 3
    assert len(embedder.queries) < 60


ODD = [
    "", " ", '"', '""', '"""', "'", "*", "-", "--", "- -", "-*", "AND", "OR NOT", "NEAR(a b)", "a AND", "(", "a:b",
    "title:x", "{a b}", "^a", "a*", '"a*"', "+a", "\0", "a\0b", "\ud800", "\udfff\ud800", "🙂",
    "👩\u200d🚀", "\u202e", "a" * 5000, '"' * 999, '"a" ' * 300, "-a " * 300, "(" * 500, "%s %d {x}",
    "SELECT * FROM documents; DROP TABLE x", "\n\t\r\v\f", "٣٫١٤", "ﷺ", "㈀",
]  # fmt: skip


@pytest.mark.parametrize("mode", ["hybrid", "keyword", "vector"])
@pytest.mark.parametrize("query", ODD)
def test_any_odd_string_is_a_safe_query(animals, query, mode):
    if not has_words(query):
        for look in (animals.search, animals.explain):
            with pytest.raises(InputError, match="nothing to search for"):
                look(query, mode=mode)
        return
    assert len(animals.search(query, mode=mode)) <= 4
    assert str(animals.explain(query, mode=mode, expect="cat"))


@settings(max_examples=settings().max_examples * 3 // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(['"', "-", "*", "cat", "slept ", " ", "(", ")", "NOT ", ":", "\0", "\ud800"])
        | st.text(max_size=5)
    )
)
@example(["cat"] * 200)
def test_any_string_is_a_safe_query(animals, pieces):
    assert len(animals.search("a".join(pieces) + "a", mode="hybrid")) <= 4


@pytest.mark.parametrize(
    "query",
    [
        " ".join(f"word{n}" for n in range(10_000)) + " cat",
        '"' + " ".join(f"word{n}" for n in range(10_000)) + '"',
        " ".join(f'"a{n}"' for n in range(1_000)),
        " ".join(f"-word{n}" for n in range(10_000)) + " cat",
        "cat " * 250_000,
        "é" * 1_000_000,
        "漢" * 100_000,
    ],
    ids=[
        "10,000 words",
        "a phrase of 10,000",
        "1,000 phrases",
        "10,000 exclusions",
        "1 MB of words",
        "1 M letters",
        "Chinese",
    ],
)
def test_a_very_long_query_is_safe(animals, query):
    assert len(animals.search(query, mode="keyword")) <= 4


def test_threads_search_while_others_add(animals):
    def add(number: int) -> None:
        animals.add([hs.Document(id=f"new{number}-{n}", text=f"the cat number {number} {n} slept") for n in range(5)])

    def search(_: int) -> int:
        return len(animals.search("cat slept", limit=50))

    with ThreadPoolExecutor(6) as pool:
        adding = [pool.submit(add, n) for n in range(6)]
        sizes = list(pool.map(search, range(30)))
        for future in adding:
            future.result(30)
    assert sizes[0] >= 4
    assert len(animals.search("cat slept", limit=50)) == 34
    assert animals.check() == []
    assert np.all(np.diff(animals.search("cat slept", limit=50).trace.fused.scores) <= 0)


def test_explain_says_which_words_were_too_common_to_search_for():
    with hs.open(":memory:", embedder="none") as store:
        store.add([f"spare {'valve' if n == 7 else 'pump'} number{n}" for n in range(1_200)])
        story = str(store.explain("spare valve", mode="keyword"))
    assert "Terms, rarest first: valve (in 1," in story
    assert "Left out, because they are too common to add much: spare (in 1,200," in story


def test_results_are_a_sequence_that_shows_itself(animals):
    results = animals.search("slept", limit=4)
    assert len(results) == 4
    assert results[0] in results
    assert results[0].document_id in results
    assert "zebra" not in results
    part = results[1:3]
    assert type(part) is type(results)
    assert list(part) == [results[1], results[2]]
    assert part.to_dicts() == results.to_dicts()[1:3]
    assert results[:] == results
    assert [hit.rank for hit in reversed(results)] == [4, 3, 2, 1]
    assert repr(results).startswith(f"<Results 'slept': 4 hits: {results[0].document_id} ")
    assert repr(results[:0]) == "<Results 'slept': 0 hits>"
    assert len(repr(results.trace)) < 100
    assert "4 hits" in repr(results.trace)


def test_a_notebook_shows_a_small_table_in_which_everything_is_escaped_and_below_it_why(store):
    store.add(
        hs.Document(id=f"<b>{n}", title="<script>", text=f"slept <img src=x onerror=1> {n} " * 99) for n in range(30)
    )
    results = store.search('slept "<i>" -x', limit=30)
    html, below = results._repr_html_().split("<details>")
    assert not {"<script", "<img", "<b>", "<i>"}.intersection({html[at : at + 7] for at in range(len(html))})
    assert "&lt;b&gt;" in html
    assert len(html) < 40_000
    assert "color:inherit" in html
    assert "#" not in html.replace("&#", "")  # no colour of its own, for light and dark pages
    assert "and 10 more" in html
    assert results.trace._repr_html_() in below


@pytest.mark.parametrize(
    ("unknown", "sentence"),
    [
        ({"k": 5}, "search takes limit=, not k="),
        ({"top_k": 5}, "search takes limit=, not top_k="),
        ({"n": 5}, "search takes limit=, not n="),
        ({"n_results": 5}, "search takes limit=, not n_results="),
        ({"filter": {}}, "search takes where=, not filter="),
        ({"query_embedding": []}, "search takes vector=, not query_embedding="),
        ({"score_threshold": 0.5}, "search takes min_relevance=, not score_threshold="),
        ({"limits": 5}, "search takes limit=, not limits="),
        ({"zzz": 5}, "search takes no zzz=; it takes query=, limit=, where="),
    ],
)
def test_an_argument_of_another_name_is_told_the_right_one(animals, unknown, sentence):
    for look in (animals.search, animals.explain):
        with pytest.raises(InputError, match=sentence):
            look("cat", **unknown)


def test_arguments_by_position_are_told_their_names(animals):
    with pytest.raises(InputError, match="search takes only query by position; name the others: limit="):
        animals.search("cat", 5)


def test_a_filter_on_a_field_that_no_document_has_says_which_there_are(animals):
    results = animals.search("slept", where={"legz": 4})
    assert results.trace.notes == ("No document has the field 'legz'; did you mean 'legs'? there are legs, wild.",)
    animals.add({"text": "many", "metadata": {f"x{n:02}": n for n in range(11)}})
    assert animals.search("horse", where={"legz": 4}).trace.notes[0].endswith("x08, x09, ….")
    assert not animals.search("slept", where={"legs": 99}).trace.notes
    assert not animals.search("slept", where={"@id": "nobody"}).trace.notes
    assert len(animals.search("slept", where={"$or": [{"a.b": 1}, {"c": 2}]}).trace.notes) == 2
