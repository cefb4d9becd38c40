"""What a reader can change from the page, as plain forms: each answers with the page that shows what it did."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, HTTPException, UploadFile
from fastapi.responses import HTMLResponse, Response

from hybridstore.errors import HybridstoreError
from hybridstore.records import Document
from hybridstore.serving.http.context import Context
from hybridstore.serving.http.guard import LONGEST_BODY
from hybridstore.serving.http.ingest_routes import ingest
from hybridstore.serving.page.rendering import counted
from hybridstore.serving.page.site import Site
from hybridstore.store.inputs import checked

Field = Annotated[str, Form(max_length=LONGEST_BODY)]
Files = Annotated[list[UploadFile] | None, File()]


def actions(context: Context, site: Site) -> APIRouter:
    """Return the routes of the forms; where the server is read-only they are refused."""

    def writable() -> None:
        if context.read_only:
            raise HTTPException(403, "this server changes nothing")

    router = APIRouter(dependencies=[Depends(writable)])

    @router.post("/add")
    async def add(files: Files = None, text: Field = "", title: Field = "") -> Response:
        given = [file for file in files or () if file.filename]
        try:
            if given:
                report = await ingest(context, given)
                done = f"{counted(report.files - len(report.failed), 'file')} read, {_changed(report)}"
                return site.page("add.html", here="/add", done=done, failed=report.failed)
            return await _add_text(context, site, text, title)
        except HybridstoreError as error:
            return site.page("add.html", here="/add", status=422, done="", failed=[], problem=f"{error}.", text=text)

    return router


def _changed(report: object) -> str:
    names = {"added": "added", "replaced": "replaced", "unchanged": "unchanged"}
    counts = ((getattr(report, name), word) for name, word in names.items())
    return ", ".join(f"{counted(number, 'document')} {word}" for number, word in counts if number) or "nothing added"


async def _add_text(context: Context, site: Site, text: str, title: str) -> HTMLResponse:
    if not text.strip():
        return site.page("add.html", here="/add", status=422, problem="Choose files, or write a text.")
    document = checked(Document(text=text, title=title.strip()))
    report = await context.in_thread(context.store.add, document, vectors="soon")
    return site.page("add.html", here="/add", done=_changed(report))
