"""What a reader can change from the page, as plain forms: each answers with the page that shows what it did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, HTTPException, UploadFile
from fastapi.responses import HTMLResponse

from hybridstore.errors import HybridstoreError, InputError
from hybridstore.records import Document
from hybridstore.serving.http import model_routes
from hybridstore.serving.http.context import Context
from hybridstore.serving.http.expectation_routes import keep
from hybridstore.serving.http.guard import LONGEST_BODY, UPLOADS
from hybridstore.serving.http.ingest_routes import Ingested, ingest
from hybridstore.serving.page import pages
from hybridstore.serving.page.rendering import counted, said
from hybridstore.serving.page.site import Site
from hybridstore.store.inputs import checked

Short = Annotated[str, Form(max_length=4096)]
Field = Annotated[str, Form(max_length=LONGEST_BODY)]
Switch = Annotated[bool, Form()]
Ids = Annotated[list[str] | None, Form(alias="id", max_length=1000)]
Files = Annotated[list[UploadFile] | None, File()]

_DONE = ("added", "replaced", "unchanged")


def actions(context: Context, site: Site) -> APIRouter:
    """Return the routes of the forms; where the server is read-only they are refused."""

    def writable() -> None:
        if context.read_only:
            raise HTTPException(403, "this server changes nothing")

    router = APIRouter(dependencies=[Depends(writable)])
    _adding(router, context, site)
    _remembering(router, context, site)
    _learning(router, context, site)
    _expecting(router, context, site)
    _choosing(router, context, site)
    return router


def _adding(router: APIRouter, context: Context, site: Site) -> None:
    @router.post("/add", max_body_size=UPLOADS["/add"])
    async def add(files: Files = None, text: Field = "", title: Short = "") -> HTMLResponse:
        given = [file for file in files or () if file.filename]
        failed = []
        try:
            if given:
                report = await ingest(context, given)
                failed = report.failed
                done = f"{counted(report.files - len(failed), 'file')} read, {_changed(report)}"
            elif text.strip():
                document = checked(Document(text=text, title=title.strip()))
                done = _changed(await context.in_thread(context.store.add, document, vectors="soon"))
            else:
                raise InputError("choose files, or write a text")
        except HybridstoreError as error:
            return site.page("add.html", here="/add", status=422, problem=said(error), text=text)
        return site.page("add.html", here="/add", done=done, failed=failed)


def _changed(report: Ingested | Any) -> str:
    counts = ((getattr(report, name), name) for name in _DONE)
    return ", ".join(f"{counted(number, 'document')} {name}" for number, name in counts if number) or "nothing added"


def _remembering(router: APIRouter, context: Context, site: Site) -> None:
    answered = _answering(context, site, "memory", pages.memory_page)

    @router.post("/memory/remember")
    async def remember(text: Field = "", day: Short = "", replaces: Short = "") -> HTMLResponse:
        async def done() -> dict[str, Any]:
            supersedes = [replaces] if replaces else []
            await context.in_thread(context.memory.remember, text, occurred_at=day or None, supersedes=supersedes)
            return {"done": "Remembered."}

        return await answered(done, text=text)

    @router.post("/memory/forget")
    async def forget(id_: Ids = None, dry_run: Switch = True) -> HTMLResponse:
        async def done() -> dict[str, Any]:
            if not id_:
                raise InputError("choose the notes to forget")
            report = await context.in_thread(context.memory.forget, id_, dry_run=dry_run)
            if dry_run:
                return {"asked": id_, "forgotten": pages.listed(report.notes)}
            return {"done": f"{counted(len(report.notes), 'note')} forgotten, older versions included."}

        return await answered(done)


def _learning(router: APIRouter, context: Context, site: Site) -> None:
    answered = _answering(context, site, "learning", pages.learning_page)

    def active(versions: model_routes.Versions) -> dict[str, Any]:
        number = versions.active
        return {"done": "The plain embedder is active now." if number is None else f"Version {number} is active now."}

    @router.post("/learning/promote")
    async def promote(version: Short = "", force: Switch = False) -> HTMLResponse:
        async def done() -> dict[str, Any]:
            if version.strip() and not version.strip().isdecimal():
                raise InputError("choose a version")
            number = int(version) if version.strip() else None
            return active(await model_routes.promote(context, model_routes.Promotion(number=number, force=force)))

        return await answered(done)

    @router.post("/learning/rollback")
    async def rollback() -> HTMLResponse:
        async def done() -> dict[str, Any]:
            return active(await model_routes.rollback(context))

        return await answered(done)


def _expecting(router: APIRouter, context: Context, site: Site) -> None:
    answered = _answering(context, site, "learning", pages.learning_page)

    @router.post("/learning/expect")
    async def expect(query: Field = "", document_id: Short = "") -> HTMLResponse:
        async def done() -> dict[str, Any]:
            return {"done": f"Kept as a test. {await context.in_thread(keep, context, query, document_id)}."}

        return await answered(done)

    @router.post("/learning/drop")
    async def drop(query: Field = "", document_id: Short = "") -> HTMLResponse:
        async def done() -> dict[str, Any]:
            dropped = await context.in_thread(context.store.drop_expectation, query, document_id)
            return {"done": "The test was dropped." if dropped else "This was not a test of the store."}

        return await answered(done)


def _choosing(router: APIRouter, context: Context, site: Site) -> None:
    answered = _answering(context, site, "conflicts", pages.conflicts_page)

    @router.post("/conflicts/keep")
    async def keep_one(id_: Annotated[str, Form(alias="id", max_length=4096)] = "") -> HTMLResponse:
        async def done() -> dict[str, Any]:
            await context.in_thread(pages.keep, context, id_)
            return {"done": "Kept. The other devices hear of it when changes are exchanged next."}

        return await answered(done)


def _answering(
    context: Context, site: Site, name: str, read: Callable[[Context], object]
) -> Callable[..., Awaitable[HTMLResponse]]:
    """Return a function that does something and shows a page of what there is then; `values` stay after an error."""

    async def answered(do: Callable[[], Awaitable[dict[str, Any]]], **values: Any) -> HTMLResponse:
        status = 200
        try:
            shown = await do()
        except HybridstoreError as error:
            status, shown = 422, {"problem": said(error)} | values
        page = await context.in_thread(read, context)
        return site.page(f"{name}.html", here=f"/{name}", status=status, page=page, **shown)

    return answered
