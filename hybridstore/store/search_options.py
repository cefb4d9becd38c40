"""What a search can be told, by name: the arguments of `Store.search`, for whoever passes them on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from numpy.typing import ArrayLike

from hybridstore.filters import Filter
from hybridstore.search.neighbours import Around

Where = Mapping[str, Any] | Filter | None


class SearchOptions(TypedDict, total=False):
    """See `Store.search`, which says what each means and what it is otherwise."""

    limit: int
    where: Where
    mode: str
    fusion: str
    depth: int | None
    syntax: str
    min_relevance: float | None
    vector: ArrayLike | None
    unique: bool
    per_document: int | None
    diversity: float
    around: Around | None
