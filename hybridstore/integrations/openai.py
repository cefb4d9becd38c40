"""A store searched like OpenAI's vector stores, and offered as a function tool to models that speak OpenAI's API.

The shapes are those of `POST /v1/vector_stores/{id}/search` (https://platform.openai.com/docs/api-reference/vector-stores/search)
and of function tools; the package `openai` is not needed for either, and nothing leaves this machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from reprlib import repr as short
from typing import Any, Literal, TypedDict

from hybridstore import filters as trees
from hybridstore.errors import InputError
from hybridstore.filters import MAX_LEVELS, And, Comparison, Filter, Or
from hybridstore.integrations.context_text import check_budget, filename, passages
from hybridstore.records import Hit
from hybridstore.store import Store
from hybridstore.store.inputs import Where

MOST_RESULTS = 50
BUDGET = 8_000  # characters, some 2,000 tokens of English

_OPTIONS = ("ranker", "score_threshold")
_ESCAPED = str.maketrans({"\\": "\\\\", ".": "\\."})
_COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
_COMPOUNDS = {"and": And, "or": Or}
_VALUE: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_FILTER_SCHEMA: dict[str, Any] = {
    "filter": {
        "description": "Restricts the search to documents with these attributes; leave it out if you know of none.",
        "anyOf": [{"$ref": "#/$defs/comparison"}, {"$ref": "#/$defs/compound"}],
    },
    "comparison": {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": list(_COMPARISONS)},
            "key": {"type": "string"},
            "value": {"anyOf": [_VALUE, {"type": "array", "items": _VALUE}]},
        },
        "required": ["type", "key", "value"],
        "additionalProperties": False,
    },
    "compound": {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": list(_COMPOUNDS)},
            "filters": {"type": "array", "items": {"$ref": "#/$defs/filter"}},
        },
        "required": ["type", "filters"],
        "additionalProperties": False,
    },
}

Attributes = dict[str, str | float | bool]


class Content(TypedDict):
    """A passage's text."""

    type: Literal["text"]
    text: str


class Result(TypedDict):
    """A passage and its document."""

    file_id: str
    filename: str
    score: float
    attributes: Attributes
    content: list[Content]


class SearchPage(TypedDict):
    """The answer to a search of a vector store."""

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
    rewrite_query: bool = False,  # noqa: ARG001 - part of the API; `search_query` shows that nothing was rewritten
    where: Where = None,
) -> SearchPage:
    """Search like OpenAI's API: return a page ready for JSON, with one result for each passage.

    `query` may be several; a passage then has its best score. `max_num_results` is 1 to 50. `filters` are OpenAI's
    comparisons ({"type": "eq", "key": …, "value": …}; ne, gt, gte, lt, lte, in, nin) and compounds ({"type": "and",
    "filters": […]}; or). A key is a field's name as in this store's own filters: dots nest, and @id, @title, @uri are
    the document's own. `where` restricts the search too, independently of the model that wrote `filters`.

    `score` is a hit's relevance, from 0 to 1, and `score_threshold` in `ranking_options` its minimum. In a store
    without calibration it is the hit's own score, and a threshold is rejected. Results are in the store's order, which
    need not be that of their scores. `ranker` may have any name, since there is one. `rewrite_query` has no effect.
    All results are in one page.

    `filename` is the last part of the document's uri, else its title or id. `attributes` are the metadata that are
    single JSON values, by the names that `filters` use; lists are written as JSON.

    Raises InputError for invalid arguments.
    """
    queries = [query] if isinstance(query, str) else query
    if not isinstance(queries, list | tuple) or not queries or not all(isinstance(text, str) for text in queries):
        raise InputError(f"query must be a text or a list of texts, not {query!r}")
    threshold = _threshold(ranking_options)
    hits = _hits(store, queries, max_num_results, _restricted(where, filters), threshold)
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
    """Describe the store as a function tool for a model's `tools=[…]`; `call` answers the model's calls.

    `name` and `description` should say what is in the store. `api` is the form: "chat" that of chat completions, which
    most servers compatible with OpenAI's take, "responses" that of the Responses API.
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
        "$defs": _FILTER_SCHEMA,
    }
    function = {"name": name, "description": description, "parameters": parameters}
    if api == "chat":
        return {"type": "function", "function": function}
    if api == "responses":
        return {"type": "function", **function}
    raise InputError(f"api must be 'chat' or 'responses', not {api!r}")


def call(
    store: Store,
    arguments: str | Mapping[str, Any],
    *,
    budget: int = BUDGET,
    where: Where = None,
    score_threshold: float | None = None,
) -> str:
    """Answer a model's call of `tool` with a text of at most `budget` characters.

    `arguments` are the call's, as JSON or read from it. Passages are in the store's order, each under its document's
    title and id; the last is cut at the end of the budget, and the number of those left out is added. `where` and
    `score_threshold` are those of `search`, and out of the model's reach.

    Invalid arguments are reported to the model, in a text that begins with "Error:". Raises InputError for the other
    options: a budget below 200, an invalid filter or threshold.
    """
    check_budget(budget)
    own = trees.parse(where)
    threshold = _threshold({"score_threshold": score_threshold})
    try:
        values = _arguments(arguments)
        restriction = _restricted(own, values.get("filters"))
        limit = _check_limit(values.get("max_num_results", 10))
    except InputError as error:
        return f"Error: {error}"[:budget]
    return passages(_hits(store, [values["query"]], limit, restriction, threshold), budget)


def _arguments(arguments: str | Mapping[str, Any]) -> dict[str, Any]:
    try:
        values = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError) as error:
        raise InputError(f"the arguments are not JSON ({error})") from error
    if not isinstance(values, Mapping):
        raise InputError("the arguments are not a JSON object")
    known = ("query", "max_num_results", "filters")
    if unknown := [name for name in values if name not in known]:
        raise InputError(f"there is no argument {unknown[0]!r}, only {', '.join(known)}")
    if not isinstance(values.get("query"), str):
        raise InputError(f"query must be a text, not {values.get('query')!r}")
    return {name: value for name, value in values.items() if value is not None}


def _threshold(options: Mapping[str, Any] | None) -> float | None:
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise InputError(f"ranking_options must be a mapping with {' and '.join(_OPTIONS)}, not {options!r}")
    if unknown := [name for name in options if name not in _OPTIONS]:
        raise InputError(f"ranking_options has no {unknown[0]!r} here, only {' and '.join(_OPTIONS)}")
    threshold = options.get("score_threshold")
    if threshold is None:
        return None
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise InputError(f"score_threshold must be a number from 0 to 1, not {threshold!r}")
    return float(threshold) or None  # 0 restricts nothing, and needs no calibration


def _check_limit(limit: Any) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_RESULTS:
        raise InputError(f"max_num_results must be a whole number from 1 to {MOST_RESULTS}, not {limit!r}")
    return limit


def _restricted(where: Where, model_filter: object) -> Filter | None:
    own = trees.parse(where)
    theirs = None if model_filter is None else trees.parse(filter_from(model_filter))
    if own is None or theirs is None:
        return own if theirs is None else theirs
    return trees.parse(And((own, theirs)))  # the size limits are for both together


def filter_from(value: object, level: int = 1) -> Filter:
    """Return one of OpenAI's filters as the store's; raises InputError, with the right form, for anything else.

    A value is compared as in this store's own filters: only with values of its type, and ne and nin keep documents
    without the attribute.
    """
    if level > MAX_LEVELS:
        raise InputError(f"the filter is over {MAX_LEVELS} levels deep; flatten it")
    kind = value.get("type") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(kind, str) or kind not in (*_COMPARISONS, *_COMPOUNDS):
        kinds = ", ".join((*_COMPARISONS, *_COMPOUNDS))
        raise InputError(f"a filter must be a mapping whose type is one of {kinds}, not {short(value)}")
    keys = ("type", "filters") if kind in _COMPOUNDS else ("type", "key", "value")
    if set(value) != set(keys):
        raise InputError(
            f"a filter of the type {kind!r} has {', '.join(keys)}, and this one {', '.join(map(str, value))}"
        )
    if kind not in _COMPOUNDS:
        return Comparison(value["key"], kind, value["value"])
    if not isinstance(value["filters"], list | tuple):
        raise InputError(f"the filters in one of the type {kind!r} must be a list, not {short(value['filters'])}")
    return _COMPOUNDS[kind](tuple(filter_from(member, level + 1) for member in value["filters"]))


def _hits(store: Store, queries: Sequence[str], limit: int, where: Filter | None, threshold: float | None) -> list[Hit]:
    _check_limit(limit)
    best: dict[int, Hit] = {}
    for query in queries:
        for hit in store.search(query, limit=limit, where=where, min_relevance=threshold):
            if hit.chunk_id not in best or hit.score > best[hit.chunk_id].score:
                best[hit.chunk_id] = hit
    # One query's hits are in order; the scores of several are comparable.
    return (list(best.values()) if len(queries) == 1 else sorted(best.values(), key=lambda hit: -hit.score))[:limit]


def _result(hit: Hit) -> Result:
    return {
        "file_id": hit.document_id,
        "filename": filename(hit),
        "score": hit.score if hit.relevance is None else hit.relevance,
        "attributes": dict(_attributes(hit.metadata, "")),
        "content": [{"type": "text", "text": hit.text}],
    }


def _attributes(metadata: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str | float | bool]]:
    for key, value in metadata.items():
        name = prefix + key.translate(_ESCAPED)
        if not prefix and key.startswith(("@", "$")):
            name = f"\\{name}"
        if isinstance(value, Mapping):
            yield from _attributes(value, f"{name}.")
        elif isinstance(value, list):
            yield name, json.dumps(value, ensure_ascii=False)
        elif value is not None:
            yield name, value
