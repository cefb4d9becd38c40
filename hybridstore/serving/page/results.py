"""Results: the hits of a search as they are shown, by document, each with its place and the words that were found."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from hybridstore.errors import EmptyQuery, HybridstoreError, NotFound
from hybridstore.filters import And, Filter
from hybridstore.ingest.places import body_start, line, place
from hybridstore.memory.note_ids import SCHEME
from hybridstore.memory.recall_result import CONFIDENT
from hybridstore.search.completion import completed, typed
from hybridstore.search.snippets import densest, worth_showing
from hybridstore.search.spelling import corrected, is_suggestion
from hybridstore.serving.page.facets import Choice, Facet, facets
from hybridstore.serving.page.rendering import cut_at_word, said

if TYPE_CHECKING:
    from hybridstore.records import Document, Hit, Results
    from hybridstore.serving.access import Scope
    from hybridstore.store import Store

FIRST, MOST = 20, 200  # passages that are shown at first, and at most
_TYPING = 10  # passages that are shown while somebody types: half the time
_SNIPPET, _SHORT = 420, 200  # characters of a passage that are shown, and of further ones of a document
_FURTHER = 3  # passages of a document beside its best
_COUNTED = 200  # candidates whose documents the facets count
_TITLE = 60  # characters of a text that stand for a title
_MADE = re.compile("[0-9a-f]{16,}")  # an id that was made of the text
_PARTS = 3  # of a path that are shown
_SIGNS = re.compile(r"^(?:#{1,6}(?= )|```+.*|> )", re.MULTILINE)  # of Markdown, before a heading, code, a quotation
_LISTED = 50_000_000  # characters of documents that are read to say the lines of their hits


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: plain, or a word that was searched for; `heading` where it belongs to one."""

    text: str
    found: bool = False
    heading: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A hit as it is shown: where it is, and the part of it that shows best why it was found."""

    hit: Hit
    place: str
    heading: str
    pieces: Sequence[Piece]
    code: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A document's hits, the best first; `more` are those beyond the ones that are shown."""

    id: str
    title: str
    shown: Sequence[Shown]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """A search as the page shows it.

    `asked` is the query that was searched for, which has its last word completed while it is typed. `unsure` says that
    probably nothing here answers it. `facets` are None where none were asked for. `meant` is the query with typing
    errors corrected, `notes` are sentences about the search, `problem` is why there was none.
    """

    query: str
    asked: str = ""
    choice: Choice
    groups: Sequence[Group] = ()
    facets: Sequence[Facet] | None = ()
    passages: int = 0
    further: int = 0
    unsure: bool = False
    meant: str | None = None
    notes: Sequence[str] = ()
    problem: str = ""
    milliseconds: float = 0.0
    completions: Sequence[str] = ()


def search(
    scope: Scope, query: str, choice: Choice, *, limit: int = FIRST, typing: bool = False, with_facets: bool = True
) -> SearchPage:
    """Search for a query among what the reader has chosen.

    While somebody is `typing`, a last word that no passage has is completed, and nothing is logged. Facets take a third
    of the time. A mistake, such as a day that is none, is the page's `problem`.
    """
    store = scope.memory.store
    limit = _TYPING if typing and limit == FIRST else limit
    try:
        where = _where(scope, choice.filter())
        with store.snapshot(), store.unlogged() if typing else nullcontext():
            results = _searched(store, query, where, limit, typing=typing)
            return _page(scope, query, results, choice, with_facets=with_facets)
    except EmptyQuery:
        return SearchPage(query=query, choice=choice, problem="Write at least one word.")
    except HybridstoreError as error:
        return SearchPage(query=query, choice=choice, problem=said(error))


def _where(scope: Scope, chosen: Filter | None) -> Filter:
    visible = scope.filter("all")
    return visible if chosen is None else And((visible, chosen))


def _searched(store: Store, query: str, where: Filter, limit: int, *, typing: bool) -> Results:
    results = store.search(query, where=where, limit=limit)
    last = typed(query) if typing else None
    if last is None or any(term.document_frequency for term in results.trace.terms if term.word.casefold() == last):
        return results
    for word in store.complete(query, limit=1):
        query = completed(query, word)
        results = store.search(query, where=where, limit=limit)
    return results


def _page(scope: Scope, query: str, results: Results, choice: Choice, *, with_facets: bool) -> SearchPage:
    store, trace = scope.memory.store, results.trace
    asked, limit = trace.query, trace.limit
    hits = worth_showing(trace)
    terms = {term.text for term in trace.terms}
    return SearchPage(
        query=query,
        asked=asked,
        choice=choice,
        groups=list(_groups(store, hits, terms)),
        facets=_facets(scope, asked, results, choice) if with_facets else None,
        passages=len(hits),
        further=_further(limit) if len(results) == len(hits) == limit else 0,
        unsure=bool(hits) and results.confidence is not None and results.confidence < CONFIDENT,
        meant=corrected(asked, trace.notes),
        notes=[note for note in trace.notes if not is_suggestion(note)],
        milliseconds=1000 * sum(trace.timings.values()),
    )


def _further(limit: int) -> int:
    """Return how many passages to show instead of so many; 0 where there may be no more."""
    return 0 if limit >= MOST else FIRST if limit < FIRST else min(limit + FIRST, MOST)


def _facets(scope: Scope, query: str, results: Results, choice: Choice) -> list[Facet]:
    """Return the facets; those of a field that something is chosen of count what there is without that choice."""
    store = scope.memory.store

    def documents(results: Results) -> dict[str, Any]:
        candidates = results.trace.fused.chunks[:_COUNTED].tolist()
        return {passage.document_id: passage.metadata for passage in store.chunks.passages(candidates)}

    found = facets(documents(results), choice)
    for at, facet in enumerate(found):
        if facet.active:
            with store.unlogged():
                others = store.search(query, where=_where(scope, choice.filter(without=facet.name)), limit=1)
            whole = facets(documents(others), choice)
            found[at] = next((each for each in whole if each.name == facet.name), facet)
    return found


def _groups(store: Store, hits: Sequence[Hit], terms: Collection[str]) -> Iterator[Group]:
    by_document: dict[str, list[Hit]] = {}
    for hit in hits:
        by_document.setdefault(hit.document_id, []).append(hit)
    read = 0
    for id_, group in by_document.items():
        document = None
        if read < _LISTED:
            with suppress(NotFound):
                document = store.get(id_)
            read += len(document.text) if document else 0
        shown = group[: 1 + _FURTHER]
        sizes = [_SNIPPET, *[_SHORT] * _FURTHER]
        first = group[0]
        yield Group(
            id_,
            title_of(first.title, id_, document.text if document else first.text),
            [_shown(store, hit, document, terms, size) for hit, size in zip(shown, sizes, strict=False)],
            len(group) - len(shown),
        )


def title_of(title: str, id_: str, text: str) -> str:
    """Return what a document is called: by its title, or its file's name or id; or how its text begins.

    The last is so for notes, and for documents whose id was made of the text.
    """
    if title.strip():
        return title
    if id_.startswith(SCHEME) or _MADE.fullmatch(id_):
        words = " ".join(text[: 4 * _TITLE].split())
        return words if len(words) <= _TITLE else f"{words[:_TITLE].rpartition(' ')[0] or words[:_TITLE]} …"
    return PurePosixPath(id_).name or id_


def _shown(store: Store, hit: Hit, document: Document | None, terms: Collection[str], size: int) -> Shown:
    spans = store.analyser.spans(hit.text, terms)
    body = body_start(hit.text, hit.metadata.get("type"))
    text = hit.text
    if document is not None and document.format == "markdown":
        text = _SIGNS.sub(lambda sign: " " * len(sign[0]), text)  # as long as before, for the spans
    if body and (not spans or spans[-1][1] > body):  # else the front matter is what was found
        text, spans = text[body:], [(start - body, end - body) for start, end in spans if start >= body]
    start, end = densest(text, spans, size)
    start, end = _at_words(text, start, end)
    pieces = list(pieces_of(text, spans, start, end))
    pieces = [Piece("… "), *pieces] if start else pieces
    pieces = [*pieces, Piece(" …")] if end < len(text) else pieces
    heading = hit.heading.rpartition(" > ")[2] if hit.heading != hit.title else ""
    code = document is not None and document.format == "code"
    return Shown(hit, place_of(hit.document_id, document, hit.start + body, hit.end), heading, pieces, code)


def _at_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the stretch without the parts of words at its ends."""
    if start:
        space = text.find(" ", start, start + 40)
        start = space + 1 if space >= 0 else start
    if end < len(text):
        space = text.rfind(" ", max(start, end - 40), end)
        end = space if space > start else end
    return start, end


def pieces_of(text: str, spans: Sequence[tuple[int, int]], start: int, end: int) -> Iterator[Piece]:
    """Yield characters [start, end) of a text in pieces, the words at `spans` apart."""
    at = start
    for first, last in spans:
        if first < at or last > end:
            continue
        if first > at:
            yield Piece(text[at:first])
        yield Piece(text[first:last], found=True)
        at = last
    if at < end:
        yield Piece(text[at:end])


def beginning(document: Document, length: int) -> str:
    """Return the beginning of a document's text, without its front matter, on one line, up to a whole word."""
    start = body_start(document.text, document.metadata.get("type"))
    text = document.text[start : start + 3 * length]
    line = " ".join((_SIGNS.sub(" ", text) if document.format == "markdown" else text).split())
    return cut_at_word(line, length)


def place_of(id_: str, document: Document | None, start: int, end: int) -> str:
    """Return where characters [start, end) are, as people say it: "notes/valve.md:12", "a.pdf, p. 3", "manual-7"."""
    if id_.startswith(SCHEME):
        return "a note"
    path = document.metadata.get("path") if document else None
    name = shown_path(path) if isinstance(path, str) else id_
    if document is None:
        return name
    if (number := line(document, start)) is not None:
        return f"{name}:{number}"
    page = place(document, start, end)
    row = id_.removeprefix(path) if isinstance(path, str) and id_.startswith(path) else ""
    return f"{name}{row}{', ' if page else ''}{page}"


def shown_path(path: str) -> str:
    """Return the end of a path: the file and the two folders that it is in."""
    parts = PurePosixPath(path).parts
    return path if len(parts) <= _PARTS else "/".join(parts[-_PARTS:])
