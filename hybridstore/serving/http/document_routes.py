"""Documents: adding, reading, listing, removing, and erasing them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from hybridstore.backends.values import PurgeReport
from hybridstore.errors import InputError
from hybridstore.records import AddReport, Document
from hybridstore.serving.answers import BEGINNING, line
from hybridstore.serving.http.context import CACHED, WRITES, Conditions, Context, Shared, all_of
from hybridstore.store.inputs import checked

router = APIRouter(tags=["documents"])

MOST = 1000  # documents of one request

Id = Annotated[str, Path(description="The document's id, percent-encoded.", max_length=4096)]


class NewDocument(BaseModel):
    """A text to be stored and searched. Without an `id`, one is made from the content."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="What is split into passages, and searched.")
    id: str | None = Field(None, description="A name of its own; adding a document with it replaces this one.")
    title: str = Field("", description="Searched like the text, with more weight.")
    uri: str = Field("", description="Where it is from.")
    metadata: dict[str, Any] = Field({}, description="Facts to filter by.")
    format: Literal["plain", "markdown", "code"] = Field("plain", description="How a long text is split.")

    def document(self, context: Context) -> Document:
        """Return it as it will be stored; raises InputError for what cannot be."""
        context.scope.check_new(self.id)
        if not f"{self.text}{self.title}".strip():
            raise InputError("an empty text cannot be found again; give it a title, or leave it out")
        return checked(Document(**self.model_dump()))


class NewDocuments(BaseModel):
    """Several documents."""

    model_config = ConfigDict(extra="forbid")

    documents: list[NewDocument] = Field(max_length=MOST)


def _form(body: object) -> str:
    """Return which of the forms a body has, so that its mistakes are named in terms of that."""
    return "list" if isinstance(body, list) else "several" if isinstance(body, dict) and "documents" in body else "one"


Addition = Annotated[
    Annotated[NewDocument, Tag("one")]
    | Annotated[NewDocuments, Tag("several")]
    | Annotated[list[NewDocument], Field(max_length=MOST), Tag("list")],
    Discriminator(_form),
]


class Added(BaseModel):
    """What adding did: the documents' ids in their order, and counts of documents and chunks."""

    ids: list[str]
    added: int
    replaced: int
    unchanged: int
    chunks: int
    embedded: int = Field(description="Chunks whose vectors are made; others follow in the background.")


class WholeDocument(BaseModel):
    """A document as it was added."""

    id: str
    text: str
    title: str
    uri: str
    metadata: dict[str, Any]
    format: str


class ListedDocument(BaseModel):
    """A document in a list: its facts, and where its text begins."""

    id: str
    title: str
    uri: str
    metadata: dict[str, Any]
    beginning: str
    characters: int


class DocumentPage(BaseModel):
    """A part of the list: how many there are in all, and the `offset` of the next part, null after the last."""

    documents: list[ListedDocument]
    total: int
    next: int | None


class Chosen(BaseModel):
    """Documents by id, or by a filter such as {"year": {"$lt": 2020}}; with `dry_run` it is only said how many."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] | None = Field(None, max_length=MOST, description="These documents.")
    where: dict[str, Any] | None = Field(None, description='Or those that pass a filter: {"year": {"$lt": 2020}}.')
    dry_run: bool = Field(False, description="Only say how many.")

    def existing(self, context: Context) -> list[str]:
        """Return the ids of those that are there and visible; raises InputError unless exactly one of both is given."""
        if bool(self.ids) == bool(self.where):
            raise InputError("name the documents either by ids or by a filter; nothing was removed")
        where = self.where if self.ids is None else {"@id": {"$in": self.ids}}
        return context.store.ids(context.scope.filter("documents", where=where))


class Purge(BaseModel):
    """Documents to erase, by their ids; also of those that were removed before."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] = Field(max_length=MOST, description="The documents.")
    verify: bool = Field(True, description="Search the file for bytes that are left.")


class Removed(BaseModel):
    """How many documents were removed, or would be."""

    removed: int


@router.post("/documents", status_code=201, dependencies=[WRITES])
async def add_documents(context: Shared, body: Addition) -> Added:
    """Add one document, or several. One with a known id replaces it, unless nothing has changed."""
    listed = body if isinstance(body, list) else body.documents if isinstance(body, NewDocuments) else [body]

    def add() -> tuple[list[Document], AddReport]:
        documents = [each.document(context) for each in listed]
        return documents, context.store.add(documents, vectors="soon")

    documents, report = await context.in_thread(add)
    counts = {name: getattr(report, name) for name in ("added", "replaced", "unchanged", "chunks", "embedded")}
    return Added(ids=[str(document.id) for document in documents], **counts)


@router.get("/documents", dependencies=[CACHED])
def list_documents(
    context: Shared,
    where: Conditions = (),
    limit: Annotated[int, Query(ge=1, le=MOST, description="Documents of one answer.")] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9, description="How many to skip.")] = 0,
) -> DocumentPage:
    """List the documents, the newest first, a part at a time."""
    with context.store.snapshot():
        ids = context.store.ids(context.scope.filter("documents", where=all_of(where)))[::-1]
        documents = [context.store.get(id_) for id_ in ids[offset : offset + limit]]
    listed = [
        ListedDocument(
            id=str(document.id),
            title=document.title,
            uri=document.uri,
            metadata=dict(document.metadata),
            beginning=line(document.text, BEGINNING),
            characters=len(document.text),
        )
        for document in documents
    ]
    return DocumentPage(documents=listed, total=len(ids), next=offset + limit if offset + limit < len(ids) else None)


@router.post("/documents/remove", dependencies=[WRITES])
async def remove_documents(context: Shared, body: Chosen) -> Removed:
    """Remove documents by their ids, or by a filter; unknown ids are no error."""

    def remove() -> int:
        ids = body.existing(context)
        return len(ids) if body.dry_run else context.store.remove(ids)

    return Removed(removed=await context.in_thread(remove))


@router.post("/documents/purge", dependencies=[WRITES])
async def purge_documents(context: Shared, body: Purge) -> PurgeReport:
    """Remove documents so that no byte of them is left in the file, which is rewritten."""
    for id_ in body.ids:
        context.scope.check_new(id_)
    return await context.in_thread(context.store.purge, body.ids, verify=body.verify)


@router.get("/documents/{document_id:path}", dependencies=[CACHED])
def get_document(context: Shared, document_id: Id) -> WholeDocument:
    """Return a document with its whole text."""
    document = context.scope.document(document_id)
    return WholeDocument(**{name: getattr(document, name) for name in WholeDocument.model_fields})


@router.delete("/documents/{document_id:path}", dependencies=[WRITES])
async def remove_document(context: Shared, document_id: Id) -> Removed:
    """Remove a document. Its bytes stay in free pages of the file until they are overwritten; see purge."""

    def remove() -> int:
        return context.store.remove(str(context.scope.document(document_id).id))

    return Removed(removed=await context.in_thread(remove))
