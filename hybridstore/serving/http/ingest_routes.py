"""Files that are uploaded, one or a whole folder, read into documents, with progress as it happens."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from threading import Event
from typing import Annotated, Any

from fastapi import APIRouter, File, HTTPException, UploadFile
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from hybridstore.errors import HybridstoreError, InputError
from hybridstore.ingest import Unreadable, read
from hybridstore.records import AddReport, Document
from hybridstore.serving.answers import cut
from hybridstore.serving.error_sentences import error_sentence
from hybridstore.serving.http.context import WRITES, Context, Shared

router = APIRouter(tags=["documents"])

_LONGEST_PART = 200  # bytes of a file's or a folder's name; file systems take 255
_LOOK = 0.5  # seconds between two reports within a file
_SHOWN = 200  # characters of a name that an answer repeats

Files = Annotated[list[UploadFile], File(description="The files; names with slashes keep the folders they were in.")]


class Failure(BaseModel):
    """A file that could not be read, and why."""

    file: str
    reason: str


class Reading(BaseModel):
    """A file that is being read: its bytes, and the documents and characters that it has yielded so far."""

    file: str
    bytes: int
    documents: int
    characters: int


class Ingested(BaseModel):
    """How far reading the files has come: files and documents so far, and what could not be read."""

    files: int
    files_total: int
    added: int
    replaced: int
    unchanged: int
    removed: int
    chunks: int
    failed: list[Failure]
    reading: Reading | None = Field(None, description="The file that is being read.")


@router.post("/ingest", dependencies=[WRITES])
async def ingest(context: Shared, files: Files) -> Ingested:
    """Read files into documents, whose ids are the files' names. Vectors are made in the background."""
    async for done in _ingest(context, files):  # noqa: B007 - the last one
        pass
    return done


@router.post("/ingest/stream", dependencies=[WRITES], response_class=EventSourceResponse)
async def ingest_with_progress(context: Shared, files: Files) -> AsyncIterator[ServerSentEvent]:
    """Read files like `/api/ingest`, and send server-sent events: `progress` after each file and within long ones.

    The last event is `done` or `error`.
    """
    try:
        async for done in _ingest(context, files):
            if done.files < done.files_total or done.reading:
                yield ServerSentEvent(event="progress", data=done)
        yield ServerSentEvent(event="done", data=done)
    except HybridstoreError as error:
        yield ServerSentEvent(event="error", data={"detail": error_sentence(error)})
    except HTTPException as error:
        yield ServerSentEvent(event="error", data={"detail": error.detail})


async def _ingest(context: Context, files: list[UploadFile]) -> AsyncIterator[Ingested]:
    """Yield how far it has come after each file, and twice a second within one."""
    total, failed = AddReport(), list[Failure]()

    def so_far(number: int, **reading: Any) -> Ingested:
        counts = {each: getattr(total, each) for each in ("added", "replaced", "unchanged", "removed", "chunks")}
        return Ingested(files=number, files_total=len(files), **counts, failed=failed, **reading)

    for number, file in enumerate(files):
        name = file.filename or ""
        state = Reading(file=cut(name, _SHOWN), bytes=file.size or 0, documents=0, characters=0)
        gone = Event()
        reading = asyncio.ensure_future(context.in_thread(_read, context, file, state, gone))
        reading.add_done_callback(lambda task: task.cancelled() or task.exception())  # where nobody waits for it
        try:
            while not (await asyncio.wait({reading}, timeout=_LOOK))[0]:
                yield so_far(number, reading=state.model_copy())
            total += await reading
        except (Unreadable, InputError) as error:
            failed.append(Failure(file=state.file, reason=getattr(error, "reason", str(error))))
        finally:
            gone.set()
        yield so_far(number + 1)


def _read(context: Context, file: UploadFile, state: Reading, gone: Event) -> AddReport:
    """Read one file; documents of a file of the same name that it no longer has are removed.

    What was read when the client is `gone`, or the server is stopped, stays; adding the file again adds the rest.
    """
    name = file.filename or ""
    place = _place(name)
    context.scope.check_new(place.as_posix())
    with TemporaryDirectory(prefix="hybridstore-") as folder:
        path = Path(folder).resolve() / place
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as copy:
            shutil.copyfileobj(file.file, copy)
        ids = set[str]()
        with context.store.writer(vectors="later") as writer, closing(_documents(path, place)) as documents:
            for document in documents:
                if gone.is_set() or context.stopping.is_set():
                    raise HTTPException(503, "the server was stopped while it read; add the files again")
                ids.add(str(document.id))
                writer.add(document)
                state.documents += 1
                state.characters += len(document.text)
    before = context.store.ids(context.scope.filter("documents", where={"@id": {"$prefix": f"{place.as_posix()}#"}}))
    dropped = [id_ for id_ in before if id_ not in ids]
    return writer.report + AddReport(removed=context.store.remove(dropped) if dropped else 0)


def _documents(path: Path, place: PurePosixPath) -> Generator[Document]:
    """Yield a file's documents under its own name, instead of where it was put to be read."""
    own, there = place.as_posix(), path.as_posix()

    def renamed(text: Any) -> Any:
        return own + text[len(there) :] if isinstance(text, str) and text.startswith(there) else text

    try:
        for document in read(path):
            metadata = {**document.metadata, "path": renamed(document.metadata.get("path"))}
            yield replace(document, id=renamed(document.id), uri=renamed(document.uri), metadata=metadata)
    except Unreadable as error:
        raise Unreadable(own, error.reason) from error


def _place(name: str) -> PurePosixPath:
    """Return the relative path that an uploaded file's name stands for; raises Unreadable for one that is none."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    shown = cut(name, _SHOWN)
    if not parts or ".." in parts or "\0" in name:
        raise Unreadable(shown, "its name is not a path below a folder")
    if any(len(part.encode("utf-8", "replace")) > _LONGEST_PART for part in parts) or len(name) > _LONGEST_PART * 10:
        raise Unreadable(shown, "its name is too long")
    if any(part.startswith(".") for part in parts):
        raise Unreadable(shown, "it is hidden, and hidden files are not read")
    return PurePosixPath(*parts)
