"""The store at a glance, its memory, and what it has learned: views of it, with what a reader can do beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from markupsafe import Markup

from hybridstore.errors import HybridstoreError, InputError
from hybridstore.filters import field
from hybridstore.memory.notes import short_iso
from hybridstore.serving import overview
from hybridstore.serving.page.rendering import said
from hybridstore.views import glance, past

if TYPE_CHECKING:
    from hybridstore.backends.learning import Expectation, ModelVersion
    from hybridstore.memory import Note
    from hybridstore.serving.http.context import Context
    from hybridstore.store.expectations import TestedExpectation

_NOTES = 300  # that are listed, the newest
_BEGINNING = 120  # characters of a note in a list
_HITS = 10  # of a question on the map


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A note in a list: since when it holds, and how it begins."""

    id: str
    since: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPage:
    """The notes of a namespace. `recalled` are those for `query` as of a day; `problem` is why there are none."""

    namespace: str
    panel: Markup
    notes: Sequence[Listed]
    query: str
    as_of: str
    recalled: Sequence[Listed] = ()
    confident: bool = True
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningPage:
    """The versions that can be made active, newest first, and the active one; None is the plain embedder.

    `expectations` are the store's tests; once they were run, `results` says in the same order what came of them.
    """

    panel: Markup
    versions: Sequence[ModelVersion]
    active: ModelVersion | None
    expectations: Sequence[Expectation]
    results: Sequence[TestedExpectation] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Versions, as (id, text), of what two devices changed; the text is None where one removed it."""

    versions: Sequence[tuple[str, str | None]]


def conflicts_page(context: Context) -> list[Conflict]:
    """Read what was changed on two devices and is visible here: documents, and notes of the server's namespace."""
    store, scope = context.store, context.scope
    if not store.merged:
        return []
    own = scope.namespace.prefix
    pairs = [pair for pair in store.conflicts() if scope.is_document(pair[0]) or pair[0].startswith(own)]
    there = store.digests([id_ for id_, _ in pairs])
    found = [
        Conflict(versions=[(id_, store.get(id_).text if id_ in there else None), (copy, store.get(copy).text)])
        for id_, copy in pairs
    ]
    return [*found, *(Conflict(versions=[(note.id, note.text) for note in notes]) for notes in context.memory.forks())]


def keep(context: Context, id_: str) -> None:
    """End a conflict that is visible here; raises InputError for another one."""
    if id_ not in {version for conflict in conflicts_page(context) for version, _ in conflict.versions}:
        raise InputError(f"{id_!r} is not in conflict, or not any more")
    if any(note.id == id_ for notes in context.memory.forks() for note in notes):
        context.memory.choose(id_)
    else:
        context.store.keep_version(id_)


def contents(context: Context, *, check: bool) -> Markup:
    """Draw what is visible of the store; with `check` the whole file is read."""

    def drawn() -> Markup:
        return glance.contents(overview.contents(context.store, context.scope.filter("all"), check=check))

    return drawn() if check else context.cached("contents", drawn)


def passage_map(context: Context, query: str) -> Markup:
    """Draw a map of the passages, with a question and its hits on it if there is one."""
    store, visible = context.store, context.scope.filter("all")
    layout = context.cached("layout", lambda: overview.map_layout(store, visible))
    if not query.strip():
        return context.cached("map", lambda: glance.passage_map(overview.passage_map(store, layout=layout)))
    with store.unlogged():
        hits = list(store.search(query, where=visible, limit=_HITS))
    return glance.passage_map(overview.passage_map(store, query=query.strip(), hits=hits, layout=layout))


def memory_page(context: Context, query: str = "", as_of: str = "") -> MemoryPage:
    """Read the notes of the server's namespace, and recall some of them where something is asked."""
    memory = context.memory
    own = field("@id").prefix(context.scope.namespace.prefix)  # also what is history
    now = datetime.fromtimestamp(memory.clock(), UTC)
    page = MemoryPage(
        namespace="/".join(memory.namespace),
        panel=past.timeline(overview.memory(memory.store, own, now=now)),
        notes=[_listed(note) for note in memory.notes()[: -_NOTES - 1 : -1]],
        query=query,
        as_of=as_of,
    )
    if not query.strip():
        return page
    try:
        with memory.store.unlogged():
            recalled = memory.recall(query, as_of=as_of or None)
    except HybridstoreError as error:
        return replace(page, problem=said(error))
    return replace(page, recalled=[_listed(each.note) for each in recalled], confident=recalled.confident)


def learning_page(context: Context, *, test: bool = False) -> LearningPage:
    """Read what the store has learned, what it was asked, and what it must find, which `test` searches for."""
    store = context.store
    expectations = [each for each in store.expectations() if context.scope.is_document(each.document_id)]
    return LearningPage(
        panel=past.learning(overview.learning(store)),
        versions=store.learning.models()[::-1],
        active=store.learning.model(),
        expectations=expectations,
        results=store.test(expectations) if test else (),
    )


def listed(notes: Sequence[Note]) -> list[Listed]:
    """Return notes as a list shows them."""
    return [_listed(note) for note in notes]


def _listed(note: Note) -> Listed:
    since = note.valid_from or note.time
    text = " ".join(note.text.split())[:_BEGINNING]
    return Listed(id=note.id, since="" if since is None else short_iso(since), text=text)
