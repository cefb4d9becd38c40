"""Routes of the page: every one works without JavaScript, and answers a part of itself where a script asks for that."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from hybridstore.errors import HybridstoreError
from hybridstore.serving.http.context import Context
from hybridstore.serving.page import document_page, pages, results, why_page
from hybridstore.serving.page.actions import actions
from hybridstore.serving.page.facets import Choice
from hybridstore.serving.page.rendering import static_routes
from hybridstore.serving.page.site import Site
from hybridstore.serving.page.start import start_page

_LONGEST = 10_000  # characters of a query

Text = Annotated[str, Query(max_length=_LONGEST)]


def routes(context: Context) -> APIRouter:
    """Return the page's routes: `/` and what it leads to, for what `context` shows and allows."""
    router = APIRouter()
    router.include_router(static_routes())
    site = Site(context)
    router.include_router(actions(context, site))
    _searching(router, context, site)
    _looking(router, context, site)
    return router


def _searching(router: APIRouter, context: Context, site: Site) -> None:
    """Add the search, and what its hits lead to."""

    @router.get("/")
    def search(
        request: Request,
        *,
        q: Text = "",
        limit: int = results.FIRST,
        part: bool = False,
        typing: bool = False,
        facets: bool = True,
    ) -> HTMLResponse:
        choice = Choice.of(request.query_params.multi_items())
        if not q.strip():
            template = "part_start.html" if part else "search.html"
            return site.page(
                template, here="/", page=None, start=context.cached("start", lambda: start_page(context)), q=q
            )
        limit = min(max(limit, 1), results.MOST)
        found = results.search(context.scope, q, choice, limit=limit, typing=typing, with_facets=facets)
        template = "part_results.html" if part else "search.html"
        return site.page(template, here="/", page=found, start=None, q=q)

    @router.get("/why")
    def why(
        request: Request, q: Text = "", chunk: int | None = None, expect: Text = "", part: bool = False
    ) -> HTMLResponse:
        choice = Choice.of(request.query_params.multi_items())
        try:
            shown = why_page.why_page(context.scope, q, choice, chunk=chunk, expect=expect)
        except HybridstoreError as error:
            return site.problem(error)
        return site.page("part_why.html" if part else "why.html", page=shown, q=q)

    @router.get("/document")
    def document(id_: Annotated[str, Query(alias="id")] = "", chunk: int | None = None, q: Text = "") -> HTMLResponse:
        try:
            shown = document_page.document_page(context.scope, id_, chunk, q)
        except HybridstoreError as error:
            return site.problem(error)
        return site.page("document.html", page=shown, q=q)


def _looking(router: APIRouter, context: Context, site: Site) -> None:
    """Add the pages that show the store as a whole."""

    @router.get("/glance")
    def at_a_glance(q: Text = "", check: bool = False) -> HTMLResponse:
        return site.page("glance.html", here="/glance", contents=pages.contents(context, check=check), check=check, q=q)

    @router.get("/map")
    def passage_map(q: Text = "", part: bool = False) -> HTMLResponse:
        try:
            drawn = pages.passage_map(context, q)
        except HybridstoreError as error:
            return site.problem(error)
        return site.page("part_map.html" if part else "map.html", here="/glance", drawn=drawn, q=q)

    @router.get("/memory")
    def memory(q: Text = "", as_of: Text = "") -> HTMLResponse:
        return site.page("memory.html", here="/memory", page=pages.memory_page(context, q, as_of))

    @router.get("/learning")
    def learning(*, test: bool = False) -> HTMLResponse:
        return site.page("learning.html", here="/learning", page=pages.learning_page(context, test=test))

    @router.get("/conflicts")
    def conflicts() -> HTMLResponse:
        return site.page("conflicts.html", here="/conflicts", page=pages.conflicts_page(context))

    @router.get("/add")
    def add() -> HTMLResponse:
        return site.page("add.html", here="/add")
