"""A store as a page in one file: what it holds, its map, what it remembers and has learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybridstore.views import glance, past
from hybridstore.views.html_page import page


def store_page(
    contents: Mapping[str, Any],
    passages: Mapping[str, Any],
    memory: Mapping[str, Any],
    learning: Mapping[str, Any],
) -> str:
    """Return the page of what the functions of `hybridstore.serving.overview` give, in their order."""
    parts = [glance.contents(contents), glance.passage_map(passages)]
    if memory["notes"] or memory["turns"]:
        parts.append(past.timeline(memory))
    parts.append(past.learning(learning))
    return page(contents["name"], *parts, modules=glance.MODULES + past.MODULES)
