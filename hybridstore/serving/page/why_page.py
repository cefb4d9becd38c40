"""Why a search ranked as it did, and where a document was lost that a reader expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from hybridstore.errors import NotFound
from hybridstore.filters import And, field
from hybridstore.serving.page.facets import Choice
from hybridstore.serving.page.results import FIRST, title_of
from hybridstore.views.why import why

if TYPE_CHECKING:
    from hybridstore.serving.access import Scope

_NAMED = 12  # documents to choose from where several have the name


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyPage:
    """The evidence as a fragment; `expect` is what the reader expected, `choices` (id, title) what it may mean.

    `expected` is the id of the document that is meant, which the question can be kept for as a test.
    """

    query: str
    choice: Choice
    panel: Markup
    expect: str
    choices: Sequence[tuple[str, str]]
    expected: str | None
    unknown: bool


def why_page(scope: Scope, query: str, choice: Choice, *, chunk: int | None, expect: str) -> WhyPage:
    """Explain a search among what the reader has chosen, the evidence of a chunk first; raises InputError."""
    store = scope.memory.store
    chosen = choice.filter()
    visible = scope.filter("all")
    where = visible if chosen is None else And((visible, chosen))
    named = _named(scope, expect.strip()) if expect.strip() else []
    expected = named[0] if len(named) == 1 else None
    with store.snapshot(), store.unlogged():
        explanation = store.explain(query, where=where, limit=FIRST, expect=expected)
        return WhyPage(
            query=query,
            choice=choice,
            panel=why(explanation.to_dict(), opened=chunk),
            expect=expect,
            expected=expected if expected is not None and scope.is_document(expected) else None,
            choices=[(id_, _title(scope, id_)) for id_ in named[:_NAMED]] if len(named) > 1 else (),
            unknown=bool(expect.strip()) and not named,
        )


def _named(scope: Scope, name: str) -> list[str]:
    """Return the ids of the documents that a name may mean: an id, a uri, the end of a path, or a part of a title."""
    store, visible = scope.memory.store, scope.filter("all")
    try:
        return [str(scope.document(name).id)]
    except NotFound:
        pass
    ids = store.ids(visible)
    ending = [id_ for id_ in ids if id_.endswith(f"/{name}") or id_ == name]
    return ending or store.ids(And((visible, field("@title").contains(name))))


def _title(scope: Scope, id_: str) -> str:
    document = scope.memory.store.get(id_)
    return title_of(document.title, id_, document.text)
