"""The tools as a model sees them: names, arguments, the shapes of answers, and descriptions that say when to use which.

Missing text arguments are "", never `str | None`: the SDK parses JSON in texts of any type but plain `str`, and a note
that looks like JSON is still a note.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from hybridstore.errors import MissingExtra
from hybridstore.serving.answers import Answer
from hybridstore.serving.operations import MOST, Operations

try:
    from mcp.server import MCPServer
    from mcp_types import CallToolResult, TextContent, ToolAnnotations
    from pydantic import BaseModel, ConfigDict, Field
except ImportError as error:
    raise MissingExtra("mcp", "serving a store to models", "mcp") from error

Where = Annotated[
    dict[str, Any] | None,
    Field(description='Filter over metadata: {"lang": "en", "year": {"$gte": 2020}}; operators as in MongoDB.'),
]
Cursor = Annotated[str, Field(description="From the previous answer, for the next page; keep the other arguments.")]
Most = Annotated[int | None, Field(description="Fewer tokens than the server allows.", ge=256)]
Metadata = Annotated[dict[str, Any] | None, Field(description="Facts to filter by later.")]
Occurred = Annotated[str, Field(description="When it happened, ISO 8601, if not now.")]


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


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of a server, for the operations behind them."""

    operations: Operations

    def search(
        self,
        query: Annotated[str, Field(description='What to find; "quoted words" must occur, -word must not.')],
        kind: Annotated[Literal["all", "notes", "documents"], Field(description="What to search.")] = "all",
        where: Where = None,
        limit: Annotated[int, Field(description="Number of passages.", ge=1, le=MOST)] = 10,
        cursor: Cursor = "",
    ) -> Annotated[CallToolResult, Page]:
        """Find passages in the documents and notes, by words and by meaning.

        For what is written in files and documents. For what you remember about the user or earlier work, use recall.
        """
        return _result(self.operations.search(query, kind=kind, where=where, limit=limit, cursor=cursor))

    def fetch(
        self,
        id: Annotated[str, Field(description="Id or uri of a note or document, from another tool.")],  # noqa: A002
        max_tokens: Most = None,
        cursor: Cursor = "",
    ) -> Annotated[CallToolResult, Page]:
        """Read a whole note or document. Use it when a passage from search or recall is not enough."""
        return _result(self.operations.fetch(id, max_tokens=max_tokens, cursor=cursor))

    def recall(
        self,
        query: Annotated[str, Field(description="What you want to know, best as a question.")],
        *,
        session: Annotated[str, Field(description="Only this conversation.")] = "",
        where: Where = None,
        as_of: Annotated[str, Field(description="What held at this time, ISO 8601; includes superseded notes.")] = "",
        neighbours: Annotated[int, Field(description="Turns to show before and after each.", ge=0, le=5)] = 0,
        max_tokens: Most = None,
        cursor: Cursor = "",
    ) -> Annotated[CallToolResult, Page]:
        """Recall what you remembered: facts, preferences, decisions, earlier conversations.

        Use it before you answer anything that may depend on the user or on earlier work. Cite items by their ids.
        """
        return _result(
            self.operations.recall(
                query,
                session=session,
                where=where,
                as_of=as_of,
                neighbours=neighbours,
                max_tokens=max_tokens,
                cursor=cursor,
            )
        )

    def remember(
        self,
        text: Annotated[str, Field(description="One fact, understandable on its own: names, not pronouns.")] = "",
        *,
        messages: Annotated[
            list[dict[str, Any]] | None,
            Field(description='Instead of text: a conversation, [{"role": "user", "content": "…"}]; name, time too.'),
        ] = None,
        session: Annotated[str, Field(description="The conversation's name; messages are appended to it.")] = "",
        metadata: Metadata = None,
        occurred_at: Occurred = "",
        on_similar: Annotated[
            Literal["keep", "link", "supersede", "error"],
            Field(description='If similar notes exist: "link" names them, "error" rejects the text and names them.'),
        ] = "keep",
    ) -> Annotated[CallToolResult, Kept]:
        """Keep a fact, or the messages of a conversation, for later.

        The same text is kept only once. When a fact has changed, use supersede.
        """
        return _result(
            self.operations.remember(
                text,
                messages=messages,
                session=session,
                metadata=metadata,
                occurred_at=occurred_at,
                on_similar=on_similar,
            )
        )

    def supersede(
        self,
        id: Annotated[str, Field(description="The note that no longer holds.")],  # noqa: A002
        text: Annotated[str, Field(description="What holds now.")],
        metadata: Metadata = None,
        occurred_at: Occurred = "",
    ) -> Annotated[CallToolResult, Kept]:
        """Replace a note whose fact has changed. The old one becomes history, which recall finds with as_of."""
        return _result(self.operations.supersede(id, text, metadata=metadata, occurred_at=occurred_at))

    def forget(
        self,
        ids: Annotated[list[str] | None, Field(description="Notes to forget.")] = None,
        where: Annotated[
            dict[str, Any] | None, Field(description='Instead of ids: a filter, such as {"memory.session": "chat-7"}.')
        ] = None,
        dry_run: Annotated[
            bool, Field(description="true only shows which notes would be forgotten; false forgets them.")
        ] = True,
        cursor: Cursor = "",
    ) -> Annotated[CallToolResult, Forgotten]:
        """Forget notes for good, with their older versions. Only when the user wants it.

        Call it first with dry_run, show what would be forgotten, and only then call it again with dry_run=false.
        """
        return _result(self.operations.forget(ids or (), where=where, dry_run=dry_run, cursor=cursor))

    def list_(
        self,
        kind: Annotated[Literal["notes", "documents", "all"], Field(description="What to list.")] = "notes",
        where: Where = None,
        session: Annotated[str, Field(description="Only this conversation.")] = "",
        cursor: Cursor = "",
    ) -> Annotated[CallToolResult, Page]:
        """List the beginnings of notes or documents, newest first. For an overview; to find something, search."""
        return _result(self.operations.list_(kind=kind, where=where, session=session, cursor=cursor))

    def stats(self) -> Annotated[CallToolResult, Numbers]:
        """Count the notes, conversations and documents."""
        return _result(self.operations.stats())

    def ingest(
        self, paths: Annotated[list[str], Field(description="Files or folders.")]
    ) -> Annotated[CallToolResult, Ingested]:
        """Read files or folders into the documents; unchanged files are skipped, so it can be repeated."""
        return _result(self.operations.ingest(paths))

    def offer(self, server: MCPServer[Any], *, read_only: bool) -> None:
        """Add the tools to a server; with `read_only`, only those that change nothing."""
        for title, tool, hints in (
            ("Search passages", self.search, _READS),
            ("Read a note or document", self.fetch, _READS),
            ("Recall", self.recall, _READS),
            ("Remember", self.remember, _ADDS),
            ("Supersede a note", self.supersede, _ADDS),
            ("Forget notes", self.forget, _OVERWRITES),
            ("List", self.list_, _READS),
            ("Count", self.stats, _READS),
            ("Read files in", self.ingest, _OVERWRITES),
        ):
            if hints is _READS or not read_only:
                name = tool.__name__.rstrip("_")
                description = inspect.getdoc(tool) or ""
                if tool == self.ingest:
                    description += f" {self.operations.folders.describe()}"
                server.add_tool(tool, name, title, description, hints)


# All tools are closed worlds and idempotent: a text or a conversation is kept once, a superseded note stays superseded.
# A superseded note is history, not lost; a forgotten one, and the old text of a changed file, is gone.
_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_OVERWRITES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


def _result(answer: Answer) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=answer.text)], structured_content=answer.data)
