"""Documents: adding, reading, listing, removing, and erasing them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from hybridstore.errors import InputError
from hybridstore.records import AddReport, Document
from hybridstore.serving.http.context import CACHED, WRITES, Context, Shared
from hybridstore.store.inputs import checked

router = APIRouter(tags=["documents"])

MOST = 1000  # documents of one request

Id = Annotated[str, Path(description="The document's id, percent-encoded.", max_length=4096)]


class NewDocument(BaseModel):
    """A text to be stored and searched. Without an `id`, one is made from the content."""

    model_config = ConfigDict(extra="forbid")

    text: str
    id: str | None = None
    title: str = ""
    uri: str = ""
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


class Removed(BaseModel):
    """How many documents were removed."""

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
