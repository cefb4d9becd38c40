"""A store searched as OpenAI's vector stores are, and offered as a tool to models that speak its API.

The shapes are those of `POST /v1/vector_stores/{id}/search` (https://platform.openai.com/docs/api-reference/vector-stores/search)
and of function tools; the package `openai` is not needed for either, and nothing leaves this machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypedDict

from hybridstore import filters as trees
from hybridstore.errors import InputError
from hybridstore.filters import And, Filter
from hybridstore.integrations.context_text import check_budget, filename, passages
from hybridstore.integrations.openai_filters import FILTER_SCHEMA, filter_from
from hybridstore.records import Hit
from hybridstore.store import Store
from hybridstore.store.search_options import Where

MOST_RESULTS = 50
BUDGET = 8_000  # characters, some 2,000 tokens of English

_OPTIONS = ("ranker", "score_threshold")
_ESCAPED = str.maketrans({"\\": "\\\\", ".": "\\."})

Attributes = dict[str, str | float | bool]


class Content(TypedDict):
    """A passage's text."""

    type: Literal["text"]
    text: str


class Result(TypedDict):
    """A passage that was found, and the document that it is from."""

    file_id: str
    filename: str
    score: float
    attributes: Attributes
    content: list[Content]


class SearchPage(TypedDict):
    """What a search of a vector store answers."""

    object: Literal["vector_store.search_results.page"]
    search_query: list[str]
    data: list[Result]
    has_more: bool
    next_page: None


def search(
    store: Store,
    query: str | Sequence[str],
    *,
    max_num_results: int = 10,
    filters: Mapping[str, Any] | None = None,
    ranking_options: Mapping[str, Any] | None = None,
    rewrite_query: bool = False,  # noqa: ARG001 - a part of the API; `search_query` tells that nothing was rewritten
    where: Where = None,
) -> SearchPage:
    """Search, and answer as OpenAI's API does: a page ready for JSON, one result a passage.

    `query` may be several; a passage then counts where it is best. `max_num_results` is 1 to 50. `filters` are OpenAI's
    comparisons ({"type": "eq", "key": …, "value": …}; ne, gt, gte, lt, lte, in, nin) and compounds ({"type": "and",
    "filters": […]}; or). A key is a field's name as in this store's own filters: dots nest, and @id, @title, @uri are
    the document's own. `where` restricts the search too, by what the model that wrote `filters` has no say in.

    `score` is the relevance of a hit, from 0 to 1, and `score_threshold` in `ranking_options` the least of it; in a
    store that measured nothing it is the hit's own score, and a threshold is refused. Results stand in the store's
    order, which their scores need not follow. `ranker` may have any name, for there is one. `rewrite_query` does
    nothing: `search_query` is what was asked. All there is comes in one page.

    `filename` is the last part of the document's uri, else its title or id. `attributes` are the metadata that JSON
    has one value for, by the names that `filters` know them by; lists are written as JSON.

    Raises InputError for arguments that make no sense.
    """
    queries = [query] if isinstance(query, str) else query
    if not isinstance(queries, list | tuple) or not queries or not all(isinstance(each, str) for each in queries):
        raise InputError(f"query is a text or a list of texts, not {query!r}")
    least = _threshold(ranking_options)
    hits = _hits(store, queries, max_num_results, _restricted(where, filters), least)
    return {
        "object": "vector_store.search_results.page",
        "search_query": list(queries),
        "data": [_result(hit) for hit in hits],
        "has_more": False,
        "next_page": None,
    }


def tool(
    *,
    name: str = "search_documents",
    description: str = "Search the documents by words and by meaning, and get the passages that answer best.",
    api: Literal["chat", "responses"] = "chat",
) -> dict[str, Any]:
    """Describe the store as a function tool, for `tools=[…]` of a model; `call` answers what the model then asks.

    `name` and `description` should say what is in the store. `api` "chat" is the form of chat completions, which most
    servers compatible with OpenAI's take, "responses" that of the Responses API.
    """
    parameters = {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What is sought: a question, or words of the answer."},
            "max_num_results": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_RESULTS,
                "description": "How many passages at most; 10 if left out.",
            },
            "filters": {"$ref": "#/$defs/filter"},
        },
        "required": ["query"],
        "additionalProperties": False,
        "$defs": FILTER_SCHEMA,
    }
    function = {"name": name, "description": description, "parameters": parameters}
    if api == "chat":
        return {"type": "function", "function": function}
    if api == "responses":
        return {"type": "function", **function}
    raise InputError(f"api is 'chat' or 'responses', not {api!r}")


def call(
    store: Store,
    arguments: str | Mapping[str, Any],
    *,
    budget: int = BUDGET,
    where: Where = None,
    score_threshold: float | None = None,
) -> str:
    """Answer a model's call of `tool`: the text to send back, at most `budget` characters long.

    `arguments` are the call's, as JSON or read from it. Passages stand in the store's order, each under its document's
    title and id; the last is cut where the budget ends, and what did not fit is counted. `where` and `score_threshold`
    are those of `search`, and not the model's to set.

    What is wrong with the arguments is told to the model, in a text that begins with "Error:". Raises InputError for
    what is wrong with the other options: a budget below 200, a filter or a threshold that cannot be.
    """
    check_budget(budget)
    own = trees.parse(where)
    least = _threshold({"score_threshold": score_threshold})
    try:
        asked = _arguments(arguments)
        restriction = _restricted(own, asked.get("filters"))
        _check_number(asked.get("max_num_results", 10))
    except InputError as error:
        return f"Error: {error}"[:budget]
    hits = _hits(store, [asked["query"]], asked.get("max_num_results", 10), restriction, least)
    return passages(hits, budget)


def _arguments(arguments: str | Mapping[str, Any]) -> dict[str, Any]:
    try:
        asked = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError) as error:
        raise InputError(f"the arguments are no JSON ({error})") from error
    if not isinstance(asked, Mapping):
        raise InputError("the arguments are no JSON object")
    known = ("query", "max_num_results", "filters")
    if unknown := [name for name in asked if name not in known]:
        raise InputError(f"there is no argument {unknown[0]!r}, only {', '.join(known)}")
    if not isinstance(asked.get("query"), str):
        raise InputError(f"query must be a text, not {asked.get('query')!r}")
    return {name: value for name, value in asked.items() if value is not None}


def _threshold(options: Mapping[str, Any] | None) -> float | None:
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise InputError(f"ranking_options is a mapping with {' and '.join(_OPTIONS)}, not {options!r}")
    if unknown := [name for name in options if name not in _OPTIONS]:
        raise InputError(f"ranking_options has no {unknown[0]!r} here, only {' and '.join(_OPTIONS)}")
    least = options.get("score_threshold")
    if least is None:
        return None
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
        raise InputError(f"score_threshold is a number from 0 to 1, not {least!r}")
    return float(least) or None  # 0 restricts nothing, and needs nothing measured


def _check_number(number: object) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST_RESULTS:
        raise InputError(f"max_num_results is a whole number from 1 to {MOST_RESULTS}, not {number!r}")


def _restricted(where: Where, wanted: object) -> Filter | None:
    own = trees.parse(where)
    theirs = None if wanted is None else trees.parse(filter_from(wanted))
    if own is None or theirs is None:
        return own if theirs is None else theirs
    return trees.parse(And((own, theirs)))  # the bounds are those of both together


def _hits(store: Store, queries: Sequence[str], number: int, where: Filter | None, least: float | None) -> list[Hit]:
    _check_number(number)
    best: dict[int, Hit] = {}
    for query in queries:
        for hit in store.search(query, limit=number, where=where, min_relevance=least):
            if hit.chunk_id not in best or hit.score > best[hit.chunk_id].score:
                best[hit.chunk_id] = hit
    # One query's hits are in order; the scores of several compare across them.
    return (list(best.values()) if len(queries) == 1 else sorted(best.values(), key=lambda hit: -hit.score))[:number]


def _result(hit: Hit) -> Result:
    return {
        "file_id": hit.document_id,
        "filename": filename(hit),
        "score": hit.score if hit.relevance is None else hit.relevance,
        "attributes": dict(_attributes(hit.metadata, "")),
        "content": [{"type": "text", "text": hit.text}],
    }


def _attributes(metadata: Mapping[str, Any], above: str) -> Iterator[tuple[str, str | float | bool]]:
    for key, value in metadata.items():
        name = above + key.translate(_ESCAPED)
        if not above and key.startswith(("@", "$")):
            name = f"\\{name}"
        if isinstance(value, Mapping):
            yield from _attributes(value, f"{name}.")
        elif isinstance(value, list):
            yield name, json.dumps(value, ensure_ascii=False)
        elif value is not None:
            yield name, value
