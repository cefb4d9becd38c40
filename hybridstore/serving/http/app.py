"""The app: all routes, behind the guard."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from hybridstore import __version__
from hybridstore.serving.http import (
    document_routes,
    exchange_routes,
    expectation_routes,
    ingest_routes,
    memory_routes,
    model_routes,
    search_routes,
    store_routes,
)
from hybridstore.serving.http.context import Context
from hybridstore.serving.http.guard import LONGEST_BODY, UPLOADS, Guard
from hybridstore.serving.http.problems import Problem, handle_problems
from hybridstore.serving.http_access import Names

_DESCRIPTION = """\
Search one hybridstore file by words and by meaning, add documents, and remember notes.

Errors are problem details (RFC 9457) with a `remedy`. Answers that change with the store alone have an `ETag`; sent
back as `If-None-Match`, it is answered with 304 while nothing has changed."""

_PROBLEMS: dict[int | str, dict[str, object]] = {
    "4XX": {"description": "The request cannot be answered; `remedy` says what to do.", "model": Problem}
}


def create_app(context: Context, names: Names, *, token: str | None = None) -> FastAPI:
    """Make the ASGI app of a store: the API under /api, and the page.

    Requests need `token`, if there is one, as `Authorization: Bearer TOKEN`, or once as `?token=TOKEN` in the address
    of a page, which sets a cookie; and a Host and an Origin in `names`. The store is left open.
    """
    from hybridstore.serving.page.routes import routes as page_routes  # which imports the context from this package

    app = FastAPI(
        title="hybridstore",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        generate_unique_id_function=_operation_id,
    )
    app.state.context, app.state.tunnels = context, exchange_routes.Tunnels()
    handle_problems(app)
    api = APIRouter(prefix="/api", responses=_PROBLEMS)
    for routes in (
        search_routes,
        ingest_routes,
        document_routes,
        memory_routes,
        model_routes,
        expectation_routes,
        exchange_routes,
        store_routes,
    ):
        longest = max(UPLOADS.values()) if routes is ingest_routes else LONGEST_BODY
        api.include_router(routes.router, max_body_size=longest)
    app.include_router(api)
    app.include_router(search_routes.command, max_body_size=LONGEST_BODY)
    app.include_router(page_routes(context), include_in_schema=False, max_body_size=LONGEST_BODY)
    app.add_middleware(Guard, names=names, token=token)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
