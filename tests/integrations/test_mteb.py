"""The search model of MTEB, without MTEB: indexing, searching and errors."""

import gc
import sys
import tempfile

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.errors import EmbedderMismatch, InputError, MissingExtra
from hybridstore.integrations import mteb as adapter
from hybridstore.integrations.mteb import HybridStoreSearch, decreasing, language_of
from hybridstore.text.stemming import LANGUAGES

CORPUS = [
    {"id": "bread", "title": "Bread", "text": "Flour, water, salt and yeast; knead and bake."},
    {"id": "wine", "title": None, "text": "Grapes ferment in a barrel for months."},
    {"id": "beer", "title": "", "text": "Barley, hops and yeast ferment in a tank."},
    {"id": "blank", "title": "", "text": ""},
]
SHIPS = [{"id": "bread", "text": "A sloop has one mast."}, {"id": "ketch", "text": "A ketch has two masts and yeast."}]
QUERIES = [{"id": "q1", "text": "what does yeast ferment"}, {"id": "q2", "text": "masts"}]


@pytest.fixture
def cards(monkeypatch):
    """Have what MTEB would be task_arguments kept here, so that it need not be installed."""
    stored = []
    monkeypatch.setattr(adapter, "_model_meta", lambda *facts: stored.append(facts))
    return stored


@pytest.fixture
def make(cards, embedder):
    """Make search models that are closed at the end."""
    made = []

    def model(path=None, **options):
        made.append(HybridStoreSearch(path, **({"embedder": embedder} | options)))
        return made[-1]

    yield model
    for item in made:
        item.close()


def test_without_the_package_the_error_has_the_install_command(monkeypatch, embedder):
    for name in ("mteb", "mteb.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"pip install 'hybridstore\[mteb\]'"):
        HybridStoreSearch(embedder=embedder)


@pytest.mark.parametrize("mode", ["hybrid", "keyword", "vector"])
def test_a_query_gets_the_stores_ranking(make, task_arguments, embedder, mode):
    model = make(mode=mode)
    model.index(CORPUS, **task_arguments())
    results = model.search(QUERIES, **task_arguments(), top_k=3)
    with hs.open(":memory:", embedder=embedder) as store:
        store.add([{**row, "title": row["title"] or ""} for row in CORPUS], chunk=False)
        expected = {row["id"]: store.search(row["text"], limit=3, mode=mode) for row in QUERIES}
    for query, hits in expected.items():
        assert list(results[query]) == [hit.document_id for hit in hits]
        assert list(results[query].values()) == pytest.approx([hit.score for hit in hits], rel=1e-5)
    assert next(iter(results["q1"])) == "beer"


def test_scores_decrease_strictly_in_single_precision():
    nearly = {"a": 0.5, "b": 0.5, "c": 0.5 - 1e-9, "d": 0.4, "e": 0.0, "f": 0.0, "g": -0.0}
    result = decreasing(nearly)
    single = np.array(list(result.values()), np.float32)
    assert list(result) == list(nearly)
    assert (np.diff(single) < 0).all()
    assert np.isfinite(single).all()
    assert list(result.values()) == pytest.approx(list(nearly.values()), abs=2e-7)
    assert result["a"] == 0.5
    assert result["d"] == float(np.float32(0.4))


def test_equal_documents_keep_the_order_of_the_store(make, task_arguments):
    model = make(mode="keyword")
    model.index([{"id": name, "text": "the same words"} for name in "adcb"], **task_arguments())
    scores = model.search([{"id": "q", "text": "same"}], **task_arguments(), top_k=10)["q"]
    assert list(scores) == ["a", "d", "c", "b"]  # in the order they were added
    assert sorted(scores, key=lambda name: (np.float32(scores[name]), name), reverse=True) == list(scores)


def test_a_document_ranks_by_its_best_chunk(make, task_arguments):
    long = " ".join(f"Sentence number {n} says nothing of note." for n in range(30))
    corpus = [{"id": "long", "text": f"{long} The osprey dives. {long}"}, {"id": "short", "text": "An osprey, a bird."}]
    model = make(chunk=True)
    model.index(corpus, **task_arguments())
    assert model._store.stats().chunks > 20
    results = model.search([{"id": "q", "text": "nothing of note: sentence"}], **task_arguments(), top_k=2)["q"]
    assert list(results) == ["long", "short"]  # though a dozen chunks of one stand above the other
    best = model._store.search("nothing of note: sentence", limit=80)
    assert results["long"] == pytest.approx(best[0].score)
    assert results["short"] == pytest.approx(next(hit.score for hit in best if hit.document_id == "short"), rel=1e-5)
    # Deeper searches are what the model has learned now; no more documents come of it.
    assert len(model.search([{"id": "q", "text": "osprey"}], **task_arguments(), top_k=1)["q"]) == 1


def test_consecutive_tasks_do_not_mix(make, task_arguments):
    model = make()
    model.index(CORPUS, **task_arguments("Kitchen"))
    model.index(SHIPS, **task_arguments("Ships"))
    results = model.search([{"id": "q", "text": "yeast"}], **task_arguments("Ships"), top_k=10)["q"]
    assert set(results) == {"bread", "ketch"}
    assert next(iter(results)) == "ketch"
    with pytest.raises(InputError, match="Kitchen / default / test is not what was indexed last"):
        model.search(QUERIES, **task_arguments("Kitchen"), top_k=10)
    with pytest.raises(InputError, match="Ships / default / train"):
        model.search(QUERIES, **task_arguments("Ships", split="train"), top_k=10)


def test_searching_before_indexing_is_rejected(make, task_arguments):
    with pytest.raises(InputError, match="call index for it before search"):
        make().search(QUERIES, **task_arguments(), top_k=10)


def test_an_index_that_failed_is_not_searched(make, task_arguments):
    model = make()
    model.index(CORPUS, **task_arguments())
    with pytest.raises(InputError, match="'pie' has no text"):
        model.index([{"id": "pie", "image": b""}], **task_arguments())
    with pytest.raises(InputError, match="before search"):
        model.search(QUERIES, **task_arguments(), top_k=10)


@pytest.mark.parametrize("query", [{"id": "q", "image": b""}, {"id": "q", "text": None}], ids=["none", "empty"])
def test_a_query_without_text_is_rejected(make, task_arguments, query):
    model = make()
    model.index(CORPUS, **task_arguments())
    with pytest.raises(InputError, match="query 'q' has no text"):
        model.search([query], **task_arguments(), top_k=10)


def test_another_run_embeds_only_what_changed(make, task_arguments, tmp_path, remembering):
    make(tmp_path / "stores").index(CORPUS, **task_arguments())
    embedder = remembering()
    model = make(tmp_path / "stores", embedder=embedder)
    model.index(CORPUS, **task_arguments())
    assert embedder.documents == []
    model.index([CORPUS[0], {**CORPUS[1], "text": "Grapes, pressed."}], **task_arguments())
    assert embedder.documents == ["Grapes, pressed."]
    assert [document.id for document in model._store.documents()] == ["bread", "wine"]
    assert model._store.check() == []


def test_each_task_subset_and_split_has_a_file_of_its_own(make, task_arguments, tmp_path):
    model = make(tmp_path / "stores")
    for name, subset, split in (("A", "x", "test"), ("A", "x", "train"), ("A", "y/z", "test"), ("B", "x", "test")):
        model.index(SHIPS, **task_arguments(name, subset, split))
    files = {file.name for file in (tmp_path / "stores").glob("*.db")}
    assert files == {"A@x@test.db", "A@x@train.db", "A@y%2Fz@test.db", "B@x@test.db"}


def test_a_folder_filled_for_keyword_search_gets_vectors_when_needed(make, task_arguments, tmp_path, embedder):
    first = make(tmp_path, mode="keyword", embedder=None)
    first.index(CORPUS, **task_arguments())
    assert first._store.stats().vectors == 0
    first.close()
    second = make(tmp_path, mode="vector")
    second.index(CORPUS, **task_arguments())
    assert len(second.search(QUERIES, **task_arguments(), top_k=10)["q2"]) == len(CORPUS)
    assert len(embedder.documents) == len(CORPUS)


def test_keyword_search_needs_no_embedder(make, task_arguments):
    model = make(mode="keyword", embedder="a model there is not")
    model.index(CORPUS, **task_arguments())
    assert set(model.search(QUERIES, **task_arguments(), top_k=10)["q1"]) == {"beer", "bread", "wine"}
    assert model.search(QUERIES, **task_arguments(), top_k=10)["q2"] == {}


def test_a_folder_belongs_to_one_embedder(make, task_arguments, tmp_path, remembering):
    make(tmp_path).index(CORPUS, **task_arguments())
    with pytest.raises(EmbedderMismatch, match="remembering@32"):
        make(tmp_path, embedder=remembering("other")).index(CORPUS, **task_arguments())


@pytest.mark.parametrize("mode", ["hybrid", "vector"])
def test_a_reranking_task_searches_only_among_its_candidates(make, task_arguments, mode):
    model = make(mode=mode)
    model.index(CORPUS, **task_arguments())
    top_ranked = {"q1": ["wine", "blank", "no such document"], "q2": []}
    queries = [*QUERIES, {"id": "unnamed", "text": "yeast"}]
    results = model.search(queries, **task_arguments(), top_k=10, top_ranked=top_ranked)
    assert set(results["q1"]) == {"wine", "blank"}
    assert next(iter(results["q1"])) == "wine"
    assert results["q2"] == results["unnamed"] == {}


def test_at_most_top_k_documents_are_returned(make, task_arguments):
    model = make(mode="vector")
    model.index(CORPUS, **task_arguments())
    assert len(model.search(QUERIES, **task_arguments(), top_k=2)["q1"]) == 2


def test_instructions_are_put_before_the_query_if_enabled(make, task_arguments, embedder):
    queries = [
        {"id": "q", "text": "yeast", "instruction": "Find drinks."},
        {"id": "p", "text": "salt", "instruction": None},
    ]
    for expected, searched in ((False, ["yeast", "salt"]), (True, ["Find drinks. yeast", "salt"])):
        model = make(instructions=expected)
        model.index(CORPUS, **task_arguments())
        embedder.queries.clear()  # what the store asked itself
        model.search(queries, **task_arguments(), top_k=1)
        assert embedder.queries == searched


@pytest.mark.parametrize(
    "turns",
    [["wine?", "red"], [{"role": "user", "content": "wine?"}, {"role": "assistant", "content": "red"}]],
    ids=["texts", "roles"],
)
def test_a_conversation_is_a_query_of_all_its_turns(make, task_arguments, embedder, turns):
    model = make()
    model.index(CORPUS, **task_arguments())
    embedder.queries.clear()  # what the store asked itself
    model.search([{"id": "q", "text": turns}], **task_arguments(), top_k=1)
    assert embedder.queries == ["wine?; red" if isinstance(turns[0], str) else "user: wine?; assistant: red"]


def test_the_keyword_index_has_the_tasks_language_by_default(make, task_arguments):
    model = make()
    for subset, language in (("de", "german"), ("vi", "none")):
        model.index(SHIPS, **task_arguments(subset=subset, languages={"de": ["deu-Latn"], "vi": ["vie-Latn"]}))
        assert model._store.stats().language == language
    model = make(language="swedish")
    model.index(SHIPS, **task_arguments())
    assert model._store.stats().language == "swedish"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "telepathy"}, "telepathy"),
        ({"fusion": "cold"}, "cold"),
        ({"language": "klingon"}, "klingon"),
        ({"memory": -1}, "memory"),
        ({"embedder": "none"}, "mode='keyword'"),
    ],
)
def test_an_invalid_option_is_rejected_before_indexing(make, options, message):
    with pytest.raises(InputError, match=message):
        make(**options)


def test_a_path_that_is_a_file_is_rejected_and_untouched(make, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"mine\.txt cannot be the folder"):
        make(tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_temporary_store_is_removed_with_the_next_task_or_the_model(make, task_arguments, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = make()
    model.index(CORPUS, **task_arguments("A"))
    before = list(tmp_path.glob("*/*.db"))
    assert [file.name for file in before] == ["A@default@test.db"]
    model.index(CORPUS, **task_arguments("B"))
    assert [file.name for file in tmp_path.glob("*/*.db")] == ["B@default@test.db"]
    with model:
        pass
    assert list(tmp_path.iterdir()) == []
    model.index(CORPUS, **task_arguments("B"))  # a closed one opens again
    assert model.search(QUERIES, **task_arguments("B"), top_k=1)["q1"].keys() == {"beer"}


def test_a_model_that_was_not_closed_leaves_nothing_behind(cards, task_arguments, tmp_path, monkeypatch, embedder):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = HybridStoreSearch(embedder=embedder)
    model.index(CORPUS, **task_arguments())
    assert list(tmp_path.iterdir())
    del model
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_the_model_metadata_name_all_changed_options(make, cards, embedder):
    make()
    make(mode="keyword", chunk=True, language="german")
    assert cards == [(embedder, "hybrid", {}), (None, "keyword", {"chunk": True, "language": "german"})]


@pytest.mark.parametrize(
    ("codes", "language"),
    [
        (["eng-Latn"], "english"),
        (["deu-Latn"], "german"),
        (["nob-Latn", "nno-Latn"], "norwegian"),
        (["rus-Cyrl"], "russian"),
        (["vie-Latn"], "none"),
        (["zho-Hans"], "english"),
        (["eng-Latn", "python-Code"], "english"),
        (["jpn-Jpan", "fra-Latn"], "french"),
        (["eng-Latn", "deu-Latn"], "none"),
        (["rus-Cyrl", "ell-Grek"], "english"),
        ([], "english"),
    ],
)
def test_the_languages_of_a_task_become_one_of_the_stores(codes, language):
    assert language_of(codes) == language
    assert language_of({"here": codes, "there": ["spa-Latn"]}, "here") == language


def test_a_subset_without_languages_counts_as_english():
    assert language_of({"here": ["spa-Latn"]}, "elsewhere") == "english"


def test_a_stemmer_that_is_not_installed_is_not_used(monkeypatch):
    monkeypatch.setattr(adapter, "LANGUAGES", ("none", "english"))
    assert language_of(["pol-Latn"]) == "none"
    assert language_of(["fas-Arab"]) == "english"


def test_every_stemmer_has_a_code():
    assert set(adapter._STEMMED.values()) | {"none", "porter", "dutch_porter"} >= set(LANGUAGES)
    assert all(len(code) == 3 for code in adapter._STEMMED)
