"""The operations of a server as tools of the SDK: their titles, hints, and the shapes of their answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, get_args

from hybridstore.errors import MissingExtra
from hybridstore.serving.answers import Answer
from hybridstore.serving.operations import Operations

try:
    from mcp.server import MCPServer
    from mcp_types import CallToolResult, TextContent, ToolAnnotations
    from pydantic import BaseModel, ConfigDict, Field
except ImportError as error:
    raise MissingExtra("mcp", "serving a store to models", "mcp") from error

# All tools are closed worlds and idempotent: a text or a conversation is kept once, a superseded note stays superseded.
# A superseded note is history, not lost; a forgotten one, and the old text of a changed file, is gone.
_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_OVERWRITES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


def offer(operations: Operations, server: MCPServer[Any], *, read_only: bool) -> None:
    """Add the operations to a server as tools; with `read_only`, only those that change nothing."""
    for title, operation, shape, hints in (
        ("Search passages", operations.search, Page, _READS),
        ("Read a note or document", operations.fetch, Page, _READS),
        ("Recall", operations.recall, Page, _READS),
        ("Remember", operations.remember, Kept, _ADDS),
        ("Supersede a note", operations.supersede, Kept, _ADDS),
        ("Forget notes", operations.forget, Forgotten, _OVERWRITES),
        ("List", operations.list_, Page, _READS),
        ("Count", operations.stats, Numbers, _READS),
        ("Read files in", operations.ingest, Ingested, _OVERWRITES),
    ):
        if hints is _READS or not read_only:
            description = inspect.getdoc(operation) or ""
            if operation == operations.ingest:
                description += f" {operations.folders.describe()}"
            server.add_tool(_tool(operation, shape), operation.__name__.rstrip("_"), title, description, hints)


def _tool(operation: Callable[..., Answer], shape: type[_Shape]) -> Callable[..., CallToolResult]:
    """Return an operation as the SDK takes it: its arguments with pydantic's fields, its answer with a shape."""

    @wraps(operation)
    def tool(**values: Any) -> CallToolResult:
        answer = operation(**values)
        return CallToolResult(content=[TextContent(type="text", text=answer.text)], structured_content=answer.data)

    signature = inspect.signature(operation, eval_str=True)
    parameters = [
        parameter.replace(annotation=_described(parameter.annotation)) for parameter in signature.parameters.values()
    ]
    described = signature.replace(parameters=parameters, return_annotation=Annotated[CallToolResult, shape])
    vars(tool)["__signature__"] = described
    return tool


def _described(annotation: Any) -> Any:
    kind, argument = get_args(annotation)
    return Annotated[kind, Field(description=argument.description, ge=argument.least, le=argument.greatest)]


class _Shape(BaseModel):
    """The shape of a structured answer, which leaves out fields without a value and contains no others."""

    model_config = ConfigDict(extra="forbid")


class Item(_Shape):
    """A note ("note"), a turn of a conversation ("turn") or a document; or a passage, or a part, of one.

    `span` is the range of a passage's characters in its document, `part` the range that this page shows of the text.
    """

    id: str
    kind: str = ""
    text: str
    title: str = ""
    heading: str = ""
    uri: str = ""
    by: str = ""
    time: str = ""
    until: str = ""
    session: str = ""
    span: str = ""
    part: str = ""
    characters: int = 0
    relevance: float | None = None
    beside: str = ""
    superseded_by: str = ""
    supersedes: list[str] = []
    links: list[str] = []
    metadata: dict[str, Any] = {}


class Page(_Shape):
    """Some of `total` items; `cursor` leads to the next ones. `tokens` is the length of the answer's text."""

    items: list[Item]
    total: int
    cursor: str = ""
    remarks: str = ""
    tokens: int


class Forgotten(Page):
    """The notes that were forgotten, or with `dry_run` would be."""

    dry_run: bool


class Similar(_Shape):
    """A similar note."""

    id: str
    similarity: float


class Kept(_Shape):
    """The result of remembering: "added", "unchanged", "updated" or "superseded" (older notes)."""

    id: str
    status: str
    added: int
    supersedes: list[str] = []
    similar: list[Similar] = []
    tokens: int


class Ingested(_Shape):
    """The result of reading files: numbers of files, then of documents and chunks."""

    read: int
    unchanged: int
    failed: int
    skipped: int
    added: int
    replaced: int
    removed: int
    chunks: int
    embedded: int
    failures: list[str]
    reasons: dict[str, int]
    tokens: int


class Numbers(_Shape):
    """How much the store contains."""

    namespace: str
    notes: int
    turns: int
    sessions: int
    history: int
    documents: int
    embedder: str
    tokens: int
