"""What all pages share: their list, the name of the store, and what may be done with it."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from fastapi.responses import HTMLResponse

from hybridstore.errors import HybridstoreError, NotFound
from hybridstore.locations import is_url
from hybridstore.serving.http.context import Context
from hybridstore.serving.page.pages import conflicts_page
from hybridstore.serving.page.rendering import render, said

_PAGES = (
    ("/", "Search"),
    ("/add", "Add"),
    ("/glance", "At a glance"),
    ("/memory", "Memory"),
    ("/learning", "Learning"),
)
_NOTHING: dict[str, Any] = {
    **dict.fromkeys(("q", "problem", "done", "text", "here"), ""),
    **dict.fromkeys(("failed", "asked", "forgotten"), ()),
}


class Site:
    """The pages of a context's store."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page made of a template."""
        location, read_only = self._context.store.location, self._context.read_only
        shared = {
            "location": location,
            "store_name": "this store" if location == ":memory:" else PurePath(location).name,
            "in_memory": location == ":memory:",
            "on_server": is_url(location),
            "keeps_all": self._context.keeps_all,
            "read_only": read_only,
            "pages": [*(each for each in _PAGES if not (read_only and each[0] == "/add")), *self._conflicts()],
        }
        return render(template, shared | _NOTHING | values, status=status)

    def _conflicts(self) -> list[tuple[str, str]]:
        """Return the page of conflicts where there are any."""
        found = self._context.cached("conflicts", lambda: bool(conflicts_page(self._context)))
        return [("/conflicts", "Conflicts")] if found else []

    def problem(self, error: HybridstoreError) -> HTMLResponse:
        """Return the page for what went wrong."""
        return self.page("problem.html", status=404 if isinstance(error, NotFound) else 422, problem=said(error))
