"""A document as the page shows it: its whole text with a passage in its place, its passages, and what is like it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hybridstore.errors import HybridstoreError, NotFound
from hybridstore.ingest.places import body_start, place
from hybridstore.memory.notes import short_iso
from hybridstore.search.query_plan import has_words
from hybridstore.search.snippets import reflowed
from hybridstore.serving.page.rendering import cut_at_word
from hybridstore.serving.page.results import Piece, pieces_of, place_of, title_of

if TYPE_CHECKING:
    from hybridstore.backends.values import StoredDocument
    from hybridstore.records import Document, Hit
    from hybridstore.serving.access import Scope

_WINDOW = 200_000  # characters that are shown at once; browsers lay out more only slowly
_LINE = 2_000  # characters before it in which its first line begins
_OUTLINE = 400  # passages that are listed
_ALIKE = 5
_WORDS = 60  # of a passage, by which what is like it is found where there are no vectors
_BREAK = "\f"
_LANGUAGE = re.compile("[A-Za-z]{2}")
_HEADING = re.compile(r"^(#{1,6}[ \t]+)\S.*$|^ {0,3}(`{3,}|~{3,})", re.MULTILINE)  # with its marks; or a fence


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a text: pieces, the name of a page that begins there, or both; `passage` is the one that was found."""

    pieces: Sequence[Piece]
    passage: bool = False
    page: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A passage in the list of a document's passages."""

    number: int
    chunk: int
    label: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPage:
    """A document. `number` is that of the passage that is shown, from 1, 0 for none; `window` what of it is shown.

    `lines` says that the passage is made of whole lines. `versions` are those of a note, oldest first: since when, id,
    text.
    """

    document: Document
    title: str
    place: str
    parts: Sequence[Part]
    passages: Sequence[Entry]
    number: int
    count: int
    lines: bool
    previous: int | None
    following: int | None
    window: tuple[int, int]
    changed: str
    versions: Sequence[tuple[str, str, str]]
    metadata: Mapping[str, Any]
    alike: Sequence[tuple[Hit, str, str]]

    @property
    def language(self) -> str:
        """The code of the text's language, as far as its metadata say; else ""."""
        named = self.metadata.get("language") or self.metadata.get("lang")
        return named.lower() if isinstance(named, str) and _LANGUAGE.fullmatch(named) else ""


def document_page(scope: Scope, id_: str, chunk: int | None, query: str) -> DocumentPage:
    """Read a document for its page; raises NotFound for one that is not there, or not visible."""
    store = scope.memory.store
    with store.snapshot():
        stored = store.stored(str(_visible(scope, id_).id))
        document = stored.document
        ids = store.chunks.of([str(document.id)]).get(str(document.id), [])
        at = ids.index(chunk) if chunk in ids else None
        span = (stored.chunks[at].start, stored.chunks[at].end) if at is not None else (0, 0)
        window, whole = _window(document.text, span), _is_lines(document.text, *span)
        passage = (span[0], span[1] + (whole and document.text[span[1] : span[1] + 1] == "\n"))
        return DocumentPage(
            document=document,
            title=title_of(document.title, str(document.id), document.text),
            place=place_of(str(document.id), document, *span),
            parts=list(_parts(document, _found(scope, document.text, window, query), passage, window)),
            passages=_outline(stored, ids, at),
            number=0 if at is None else at + 1,
            count=len(ids),
            lines=whole,
            previous=ids[at - 1] if at else None,
            following=ids[at + 1] if at is not None and at + 1 < len(ids) else None,
            window=window,
            changed=stored.changed,
            versions=_versions(scope, str(document.id)),
            metadata={name: value for name, value in document.metadata.items() if name not in ("path", "memory")},
            alike=[
                (hit, title_of(hit.title, hit.document_id, hit.text), _beginning(hit))
                for hit in _alike(scope, stored, ids, at)
            ],
        )


def _visible(scope: Scope, id_: str) -> Document:
    """Return a document, or a note of the namespace."""
    if not id_:  # that of no document, and the uri of many
        raise NotFound(id_)
    note = scope.namespace.note(id_)
    if note is None:
        return scope.document(id_)
    return scope.memory.store.get(scope.memory.get(note).uri)  # raises NotFound where it has expired


def _versions(scope: Scope, id_: str) -> list[tuple[str, str, str]]:
    """Return the versions of a note, what it replaced and what replaced it; [] where there is but one."""
    note = scope.namespace.note(id_)
    versions = [] if note is None else scope.memory.history(note)
    times = [version.valid_from or version.time for version in versions]
    shown = [
        ("" if time is None else short_iso(time), each.uri, each.text)
        for time, each in zip(times, versions, strict=True)
    ]
    return shown if len(shown) > 1 else []


def _window(text: str, span: tuple[int, int]) -> tuple[int, int]:
    if len(text) <= _WINDOW:
        return 0, len(text)
    start = max(0, min(span[0] - _WINDOW // 2, len(text) - _WINDOW))
    line = text.rfind("\n", max(0, start - _LINE), start) + 1
    return line or start, min(start + _WINDOW, len(text))


def _is_lines(text: str, start: int, end: int) -> bool:
    """Return whether these characters are whole lines."""
    return (start == 0 or text[start - 1] == "\n") and (end == len(text) or text[end] == "\n")


def _found(scope: Scope, text: str, window: tuple[int, int], query: str) -> list[tuple[int, int]]:
    """Return where the query's words are."""
    analyser, (start, end) = scope.memory.store.analyser, window
    terms = set(analyser.terms(query)) if query.strip() else set()
    return [(start + a, start + b) for a, b in analyser.spans(text[start:end], terms)] if terms else []


def _parts(
    document: Document, spans: Sequence[tuple[int, int]], passage: tuple[int, int], window: tuple[int, int]
) -> Iterator[Part]:
    """Yield the text in parts that end where the passage or a page does."""
    is_markdown, (start, end) = document.format == "markdown", window
    text = reflowed(document.text) if is_markdown else document.text
    headings = _headings(document.text, start, end) if is_markdown else []
    edges = {start, end, *(edge for edge in passage if start < edge < end)}
    breaks = {at for at in range(start, end) if text[at] == _BREAK} if _BREAK in text[start:end] else set[int]()
    ends = sorted(edges | breaks | {at + 1 for at in breaks})
    firsts = [first for first, _ in spans]
    for first, last in pairwise(ends):
        if first in breaks:
            yield Part((), page=place(document, last) or "page")
            continue
        inside = spans[max(bisect_right(firsts, first) - 1, 0) : bisect_right(firsts, last)]
        pieces = list[Piece]()
        for a, b, is_heading in _by_headings(headings, first, last):
            pieces += (replace(piece, heading=is_heading) for piece in pieces_of(text, inside, a, b))
        yield Part(pieces, passage=passage[0] <= first < passage[1])


def _headings(text: str, start: int, end: int) -> list[tuple[int, int, int]]:
    """Return where each heading of Markdown begins, where its words do, and where it ends; code has none."""
    found, fence = list[tuple[int, int, int]](), ""
    for line in _HEADING.finditer(text, start, end):
        if mark := line[2]:
            if not fence:
                fence = mark
            elif mark[0] == fence[0] and len(mark) >= len(fence):
                fence = ""
        elif not fence:
            found.append((line.start(), line.end(1), line.end()))
    return found


def _by_headings(headings: Sequence[tuple[int, int, int]], first: int, last: int) -> Iterator[tuple[int, int, bool]]:
    """Yield characters [first, last) in parts that are the words of a heading, or have none; without the marks."""
    at = first
    for start, words, end in headings:
        if first <= start and end <= last:
            yield at, start, False
            yield words, end, True
            at = end
    yield at, last, False


def _outline(stored: StoredDocument, ids: Sequence[int], at: int | None) -> list[Entry]:
    """Return the passages around the one that is shown, each by its heading or its beginning."""
    first = max(0, min((at or 0) - _OUTLINE // 2, len(ids) - _OUTLINE))
    entries, text = [], stored.document.text
    for number in range(first, min(first + _OUTLINE, len(ids))):
        chunk = stored.chunks[number]
        label = chunk.heading.rpartition(" > ")[2] or " ".join(text[chunk.start : chunk.start + 80].split())
        entries.append(Entry(number + 1, ids[number], label[:70], number == at))
    return entries


def _beginning(hit: Hit) -> str:
    start = body_start(hit.text, hit.metadata.get("type"))
    return cut_at_word(" ".join(hit.text[start : start + 400].split()), 120)


def _alike(scope: Scope, stored: StoredDocument, ids: Sequence[int], at: int | None) -> list[Hit]:
    """Return the passages of other documents that are nearest to this passage, or to the first one."""
    store = scope.memory.store
    if not ids:
        return []
    chunk = stored.chunks[at or 0]
    vector = store.chunks.vectors([ids[at or 0]])
    has_vector = vector.size > 0 and bool(vector.any())
    words = " ".join(stored.document.text[chunk.start : chunk.end].replace('"', " ").split()[:_WORDS])
    if not has_words(words):
        return []
    how: dict[str, Any] = {"mode": "vector", "vector": vector[0]} if has_vector else {"mode": "keyword"}
    try:
        with store.unlogged():
            found = store.search(words, where=scope.filter("all"), limit=_ALIKE + 1, per_document=1, **how)
        return [hit for hit in found if hit.document_id != stored.document.id][:_ALIKE]
    except HybridstoreError:  # what is like it is an extra: the document is shown without
        return []
