"""Searching like OpenAI's vector stores: shapes, filters, thresholds, and the function tool."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.integrations.openai import call, filter_from, search, tool

DOCUMENTS = [
    hs.Document(
        id="bread", title="Bread", uri="kitchen/bread.md", text="Flour, water, yeast.", metadata={"year": 2001}
    ),
    hs.Document(
        id="beer", title="Beer", text="Barley, hops and yeast ferment.", metadata={"year": 2010, "alcohol": True}
    ),
    hs.Document(
        id="wine", text="Grapes and yeast ferment.", metadata={"year": 2020, "by": {"name": "Ada", "a.b": "x"}}
    ),
    hs.Document(id="rope", text="A sloop has one mast.", metadata={"tags": ["sea", None], "none": None, "@id": "odd"}),
]


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(32)) as store:
        store.add(DOCUMENTS)
        yield store


def found(page):
    return [result["file_id"] for result in page["data"]]


def test_a_page_has_the_hits_in_the_shape_of_the_api(store):
    page = search(store, "yeast ferment", max_num_results=3)
    hits = store.search("yeast ferment", limit=3)
    assert {name: value for name, value in page.items() if name != "data"} == {
        "object": "vector_store.search_results.page",
        "search_query": ["yeast ferment"],
        "has_more": False,
        "next_page": None,
    }
    assert found(page) == [hit.document_id for hit in hits]
    assert [result["content"] for result in page["data"]] == [[{"type": "text", "text": hit.text}] for hit in hits]
    assert [result["score"] for result in page["data"]] == [hit.relevance for hit in hits]
    assert json.loads(json.dumps(page)) == page


def test_a_file_name_is_the_uris_the_title_or_the_id(store):
    page = search(store, "yeast mast", max_num_results=50)
    assert {result["file_id"]: result["filename"] for result in page["data"]} == {
        "bread": "bread.md",
        "beer": "Beer",
        "wine": "wine",
        "rope": "rope",
    }


def test_attributes_are_flat_and_named_as_filters_name_them(store):
    page = search(store, "yeast mast", max_num_results=50)
    attributes = {result["file_id"]: result["attributes"] for result in page["data"]}
    assert attributes["wine"] == {"year": 2020, "by.name": "Ada", "by.a\\.b": "x"}
    assert attributes["rope"] == {"tags": '["sea", null]', "\\@id": "odd"}
    for file_id, item in attributes.items():
        for key, value in item.items():
            if key != "tags":
                assert file_id in found(search(store, "yeast mast", filters={"type": "eq", "key": key, "value": value}))


EVERY = {"bread", "beer", "wine", "rope"}


@pytest.mark.parametrize(
    ("kind", "key", "value", "expected"),
    [
        ("eq", "year", 2010, {"beer"}),
        ("eq", "year", 2010.0, {"beer"}),
        ("eq", "year", "2010", set()),
        ("eq", "alcohol", True, {"beer"}),
        ("eq", "alcohol", 1, set()),
        ("ne", "year", 2010, EVERY - {"beer"}),
        ("gt", "year", 2010, {"wine"}),
        ("gte", "year", 2010, {"beer", "wine"}),
        ("lt", "year", 2010, {"bread"}),
        ("lte", "year", 2010, {"bread", "beer"}),
        ("in", "year", [2001, 2020, "x"], {"bread", "wine"}),
        ("nin", "year", [2001, 2020], {"beer", "rope"}),
        ("eq", "by.name", "Ada", {"wine"}),
        ("eq", "by.a\\.b", "x", {"wine"}),
        ("in", "@id", ["rope", "wine"], {"rope", "wine"}),
    ],
)
def test_each_comparison_keeps_the_right_documents(store, kind, key, value, expected):
    page = search(store, "yeast mast", filters={"type": kind, "key": key, "value": value}, max_num_results=50)
    assert set(found(page)) == expected


def test_compounds_nest_and_the_callers_own_filter_applies_too(store):
    old = {"type": "lt", "key": "year", "value": 2015}
    ada = {"type": "eq", "key": "by.name", "value": "Ada"}
    either = {
        "type": "or",
        "filters": [ada, {"type": "and", "filters": [old, {"type": "ne", "key": "alcohol", "value": True}]}],
    }
    assert set(found(search(store, "yeast", filters=either))) == {"bread", "wine"}
    assert set(found(search(store, "yeast", filters=either, where={"year": {"$gt": 2005}}))) == {"wine"}
    assert set(found(search(store, "yeast", where={"year": {"$gt": 2005}}))) == {"beer", "wine"}
    assert found(search(store, "yeast", filters={"type": "or", "filters": []})) == []
    assert set(found(search(store, "yeast mast", filters={"type": "and", "filters": []}))) == EVERY


DEEP = {"type": "eq", "key": "a", "value": 1}
for _ in range(70):
    DEEP = {"type": "and", "filters": [DEEP]}
BAD_FILTERS = {
    "no mapping": ([1], "a filter must be a mapping whose type is one of eq, "),
    "no type": ({"key": "a", "value": 1}, "a filter must be a mapping"),
    "an unknown type": ({"type": "like", "key": "a", "value": "x"}, "one of eq, ne, .* and, or, not .*like"),
    "a type that is a list": ({"type": ["eq"], "key": "a", "value": "x"}, "one of eq"),
    "no key": ({"type": "eq", "value": 1}, "'eq' has type, key, value, and this one type, value"),
    "more than there is": ({"type": "eq", "key": "a", "value": 1, "boost": 2}, "and this one .*boost"),
    "filters that are no list": ({"type": "or", "filters": {"type": "eq"}}, "must be a list"),
    "a filter in the wrong place": ({"type": "and", "filters": [{"type": "and"}]}, "'and' has type, filters"),
    "a list where a value is wanted": ({"type": "eq", "key": "a", "value": [1]}, r"\$eq of 'a'"),
    "a value where a list is wanted": ({"type": "in", "key": "a", "value": "x"}, r"\$in of 'a' takes a list"),
    "a key that is no text": ({"type": "eq", "key": 5, "value": 1}, "name must be a string"),
    "an unknown own field": ({"type": "eq", "key": "@file", "value": "x"}, "@id, @title, @uri"),
    "more levels than there may be": (DEEP, "over 64 levels"),
}


@pytest.mark.parametrize(("filters", "message"), BAD_FILTERS.values(), ids=BAD_FILTERS)
def test_an_invalid_filter_is_rejected_and_reported_to_the_model(store, filters, message):
    with pytest.raises(InputError, match=message):
        search(store, "yeast", filters=filters)
    answer = call(store, json.dumps({"query": "yeast", "filters": filters}))
    assert answer.startswith("Error: ")
    assert len(answer) < 1_000


WORDS = st.sampled_from(["eq", "in", "and", "or", "a", "@id"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries({"type": WORDS, "key": WORDS, "value": inner})
        | st.fixed_dictionaries({"type": WORDS, "filters": st.lists(inner, max_size=3)})
    ),
)


@given(ANYTHING)
def test_anything_a_model_writes_is_a_filter_or_rejected(expected):
    try:
        tree = filter_from(expected)
    except InputError:
        return
    assert isinstance(tree, Filter)


def test_a_threshold_excludes_less_relevant_passages(store):
    every = search(store, "yeast ferment", max_num_results=4)
    scores = sorted(result["score"] for result in every["data"])
    page = search(store, "yeast ferment", ranking_options={"ranker": "auto", "score_threshold": scores[2]})
    assert [result["score"] for result in page["data"]] == [
        result["score"] for result in every["data"] if result["score"] >= scores[2]
    ]
    assert 0 < len(page["data"]) < 4
    assert search(store, "yeast ferment", ranking_options={"score_threshold": 0.0})["data"] == every["data"]
    assert search(store, "yeast ferment", ranking_options={}, rewrite_query=True)["data"] == every["data"]


def test_a_store_without_vectors_has_its_own_scores_and_rejects_a_threshold():
    with hs.open(":memory:", embedder="none") as store:
        store.add(DOCUMENTS)
        page = search(store, "yeast")
        assert [result["score"] for result in page["data"]] == [hit.score for hit in store.search("yeast")]
        assert search(store, "yeast", ranking_options={"score_threshold": 0})["data"] == page["data"]
        with pytest.raises(InputError, match="min_relevance"):
            search(store, "yeast", ranking_options={"score_threshold": 0.5})


def test_with_several_queries_a_passage_has_its_best_score(store):
    both = search(store, ["hops", "sloop"], max_num_results=2)
    assert both["search_query"] == ["hops", "sloop"]
    assert set(found(both)) == {"beer", "rope"}
    best = {hit.document_id: hit.score for query in ("sloop", "hops") for hit in store.search(query, limit=1)}
    assert found(both) == sorted(best, key=best.get, reverse=True)
    assert len(found(search(store, ["yeast", "yeast"], max_num_results=50))) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query": 5}, "query must be a text"),
        ({"query": []}, "query must be a text"),
        ({"query": ["a", 5]}, "query must be a text"),
        ({"max_num_results": 0}, "from 1 to 50"),
        ({"max_num_results": 51}, "from 1 to 50"),
        ({"max_num_results": True}, "from 1 to 50"),
        ({"ranking_options": 5}, "ranking_options must be a mapping"),
        ({"ranking_options": {"rank": 1}}, "has no 'rank' here"),
        ({"ranking_options": {"score_threshold": 1.5}}, "from 0 to 1"),
        ({"ranking_options": {"score_threshold": "0.5"}}, "from 0 to 1"),
    ],
)
def test_invalid_arguments_are_rejected(store, options, message):
    with pytest.raises(InputError, match=message):
        search(store, **({"query": "yeast"} | options))


def test_the_tool_is_described_in_both_forms():
    chat, responses = (
        tool(name="notes", description="My notes."),
        tool(name="notes", description="My notes.", api="responses"),
    )
    assert chat == {
        "type": "function",
        "function": {name: responses[name] for name in ("name", "description", "parameters")},
    }
    assert responses["type"] == "function"
    assert responses["parameters"]["required"] == ["query"]
    assert json.loads(json.dumps(chat)) == chat
    with pytest.raises(InputError, match="'chat' or 'responses'"):
        tool(api="mail")


def test_the_schema_allows_what_the_call_accepts(store):
    jsonschema = pytest.importorskip("jsonschema", reason="the schema is tried with jsonschema")
    schema = tool(api="responses")["parameters"]
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    nested = {"type": "or", "filters": [{"type": "in", "key": "year", "value": [2001]}, {"type": "and", "filters": []}]}
    for arguments in ({"query": "yeast"}, {"query": "yeast", "max_num_results": 2, "filters": nested}):
        assert validator.is_valid(arguments)
        assert call(store, arguments).startswith("[1] ")
    for arguments in (
        {},
        {"query": "x", "max_num_results": 51},
        {"query": "x", "top": 1},
        {"query": "x", "filters": {"type": "eq"}},
    ):
        assert not validator.is_valid(arguments)
        assert call(store, arguments).startswith("Error: ")


def test_an_answer_names_each_passages_document(store):
    hits = store.search("yeast ferment", limit=2)
    answer = call(store, '{"query": "yeast ferment", "max_num_results": 2}')
    assert answer == "\n\n".join(
        f"[{hit.rank}] {hit.title or hit.document_id} (id: {hit.document_id})\n{hit.text}" for hit in hits
    )
    assert call(store, {"query": "yeast", "filters": {"type": "eq", "key": "year", "value": 1}}) == (
        "Nothing was found. Try other words, or fewer filters."
    )
    assert "wine" not in call(store, {"query": "yeast", "filters": None}, where={"year": {"$lt": 2015}})
    assert call(store, {"query": "yeast ferment"}, score_threshold=1.0).startswith("Nothing was found.")


@pytest.mark.parametrize("budget", [200, 333, 1_000, 5_000, 100_000])
def test_an_answer_keeps_to_its_budget_and_counts_the_rest(budget):
    with hs.open(":memory:", embedder="none") as store:
        store.add(
            [hs.Document(id=f"{n}" * 90, title=f"T\n{n}", text=f"word {n} " * 40 * (n + 1)) for n in range(9)],
            chunk=False,
        )
        answer = call(store, '{"query": "word"}', budget=budget)
        assert len(answer) <= budget
        hits = store.search("word")
        shown = [hit for hit in hits if hit.text.strip() in answer]
        begun = answer.count("\n\n[") + 1
        assert answer.startswith("[1] T ")
        assert len(shown) <= begun <= len(shown) + 1
        assert (f"({9 - begun} more found, for which there is no room here.)" in answer) is (begun < 9)
        assert (" …" in answer) is (begun > len(shown))
        assert (len(shown) == 9) is (budget == 100_000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "query must be a text, not None"),
        ('{"query": 5}', "query must be a text, not 5"),
        ('{"query": "x", "limit": 3}', "no argument 'limit', only query, max_num_results, filters"),
        ('{"query": "x", "max_num_results": 0}', "from 1 to 50"),
        ('{"query": "x", "max_num_results": "3"}', "from 1 to 50"),
    ],
)
def test_invalid_arguments_are_reported_to_the_model(store, arguments, message):
    answer = call(store, arguments)
    assert answer.startswith("Error: ")
    assert message in answer


@pytest.mark.parametrize(
    "options", [{"budget": 199}, {"budget": "x"}, {"where": {"a": {"$like": 1}}}, {"score_threshold": 2}]
)
def test_invalid_options_of_the_program_are_raised(store, options):
    with pytest.raises(InputError):
        call(store, '{"query": "yeast"}', **options)


def test_the_package_of_openai_is_not_needed():
    code = "import sys; sys.modules['openai'] = None\nimport hybridstore as hs\n"
    code += "from hybridstore.integrations.openai import search\n"
    code += "with hs.open(':memory:', embedder='none') as s: s.add('yeast'); print(len(search(s, 'yeast')['data']))"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"


class Api(BaseHTTPRequestHandler):
    """Answers POST /vector_stores/{id}/search with what `search` gives for the request's body."""

    def do_POST(self):
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.paths.append(self.path)
        body = json.dumps(search(self.server.store, queries.pop("query"), **queries)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture
def api(store):
    server = HTTPServer(("127.0.0.1", 0), Api)
    server.store, server.paths = store, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_result_validates_as_openais_own_model(store):
    types = pytest.importorskip("openai.types", reason="the shape is tried with the package openai")
    for result in search(store, "yeast mast", max_num_results=50)["data"]:
        read = types.VectorStoreSearchResponse.model_validate(result, strict=True)
        assert read.model_dump() == result
        assert not read.model_extra


def test_openais_own_client_searches_a_store_behind_such_an_endpoint(store, api):
    openai = pytest.importorskip("openai", reason="the shape is tried with the package openai")
    with openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{api.server_port}/v1") as client:
        page = client.vector_stores.search(
            "vs_1",
            query="yeast ferment",
            max_num_results=2,
            filters={"type": "and", "filters": [{"type": "gte", "key": "year", "value": 2010}]},
            ranking_options={"ranker": "auto", "score_threshold": 0.0},
            rewrite_query=False,
        )
        results = list(page)
    assert api.paths == ["/v1/vector_stores/vs_1/search"]
    assert page.object == "vector_store.search_results.page"
    assert {result.file_id for result in results} == {"beer", "wine"}
    assert results[0].content[0].text == store.get(results[0].file_id).text
