"""The start page: what the store holds, what was added last, and things to ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridstore.serving.page.results import beginning, shown_path, title_of

if TYPE_CHECKING:
    from hybridstore.serving.http.context import Context

_RECENT, _EXAMPLES = 6, 8
_TRIED = 4  # of these that are shown
_TITLE = 60  # characters of an example


@dataclass(frozen=True, slots=True)
class Recent:
    """A document that was added last."""

    id: str
    title: str
    place: str
    beginning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPage:
    """What a reader sees first. `examples` are titles of documents, to ask for."""

    documents: int
    notes: int
    passages: int
    embedded: bool
    waiting: int
    recent: Sequence[Recent]
    examples: Sequence[str]


def start_page(context: Context) -> StartPage:
    """Read what the start page shows."""
    store, scope = context.store, context.scope
    with store.snapshot():
        state = store.state()
        ids, notes = store.ids(scope.filter("documents")), len(store.ids(scope.filter("notes")))
        recent = [store.get(id_) for id_ in ids[: -_RECENT - 1 : -1]]
        spread = [store.get(id_) for id_ in ids[:: max(len(ids) // _EXAMPLES, 1)][:_EXAMPLES]]
        titles = sorted((" ".join(document.title.split()) for document in spread), key=lambda title: " " not in title)
        return StartPage(
            documents=len(ids),
            notes=notes,
            passages=state.chunks,
            embedded=state.embedding is not None,
            waiting=store.embeddings.missing_count(),
            recent=[
                Recent(
                    str(each.id),
                    title_of(each.title, str(each.id), each.text),
                    shown_path(str(each.metadata.get("path") or each.id)),
                    beginning(each, 160),
                )
                for each in recent
            ],
            examples=list(dict.fromkeys(title for title in titles if 3 < len(title) <= _TITLE))[:_TRIED],
        )
