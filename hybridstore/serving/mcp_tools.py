"""The tools as a model sees them: their names, arguments and descriptions, which teach when to use which.

Arguments are texts with "" for what is not given, never `str | None`: the SDK reads JSON out of a text that is meant
for anything but a plain text, and a note that looks like JSON is still a note.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from hybridstore.errors import MissingExtra
from hybridstore.serving.answer_text import Answer
from hybridstore.serving.read_operations import MOST, Reading
from hybridstore.serving.write_operations import Writing

try:
    from mcp.server import MCPServer
    from mcp_types import CallToolResult, TextContent, ToolAnnotations
    from pydantic import Field

    from hybridstore.serving import answer_schemas
except ImportError as error:
    raise MissingExtra("mcp", "serving a store to models", "mcp") from error

Where = Annotated[
    dict[str, Any] | None,
    Field(description='Filter over metadata: {"lang": "en", "year": {"$gte": 2020}}; operators as MongoDB\'s.'),
]
Cursor = Annotated[str, Field(description="From the answer before, for the next page; same other arguments.")]
Most = Annotated[int | None, Field(description="Fewer tokens than the server allows.", ge=256)]
Metadata = Annotated[dict[str, Any] | None, Field(description="Facts to filter by later.")]
Occurred = Annotated[str, Field(description="When it happened, ISO 8601, if not now.")]

Page = Annotated[CallToolResult, answer_schemas.Page]
Kept = Annotated[CallToolResult, answer_schemas.Kept]


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools over what they do."""

    reading: Reading
    writing: Writing

    def search(
        self,
        query: Annotated[str, Field(description='What to find; "quoted words" must occur, -word must not.')],
        kind: Annotated[Literal["all", "notes", "documents"], Field(description="What to search.")] = "all",
        where: Where = None,
        limit: Annotated[int, Field(description="Passages wanted.", ge=1, le=MOST)] = 10,
        cursor: Cursor = "",
    ) -> Page:
        """Find passages in the documents and notes, by words and by meaning.

        For what was written down in files and documents. For what you know about the user or were told, use recall.
        """
        return _result(self.reading.search(query, kind=kind, where=where, limit=limit, cursor=cursor))

    def fetch(
        self,
        id: Annotated[str, Field(description="Id or uri of a note or document, as other tools give it.")],  # noqa: A002
        max_tokens: Most = None,
        cursor: Cursor = "",
    ) -> Page:
        """Read a note or a document whole. Use it when a passage that search or recall gave is not enough."""
        return _result(self.reading.fetch(id, max_tokens=max_tokens, cursor=cursor))

    def recall(
        self,
        query: Annotated[str, Field(description="What you want to know, best as a question.")],
        *,
        session: Annotated[str, Field(description="Only this conversation.")] = "",
        where: Where = None,
        as_of: Annotated[str, Field(description="What held at this time, ISO 8601; superseded notes too.")] = "",
        neighbours: Annotated[int, Field(description="Turns to show to either side of each.", ge=0, le=5)] = 0,
        max_tokens: Most = None,
        cursor: Cursor = "",
    ) -> Page:
        """Recall what you remembered: facts, preferences, decisions, earlier conversations.

        Use it before you answer anything that may depend on the user or on earlier work. Cite items by their ids.
        """
        return _result(
            self.reading.recall(
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
        text: Annotated[str, Field(description="One fact, complete by itself: names, not pronouns.")] = "",
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
            Field(description='About notes much like it: "link" names them, "error" refuses and names them.'),
        ] = "keep",
    ) -> Kept:
        """Keep a fact, or the messages of a conversation, for later.

        The same text again is kept once. When a fact changed, use supersede.
        """
        return _result(
            self.writing.remember(
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
        id: Annotated[str, Field(description="The note that is no longer so.")],  # noqa: A002
        text: Annotated[str, Field(description="What is so now.")],
        metadata: Metadata = None,
        occurred_at: Occurred = "",
    ) -> Kept:
        """Replace a note whose fact changed. The old one becomes history, which recall finds with as_of."""
        return _result(self.writing.supersede(id, text, metadata=metadata, occurred_at=occurred_at))

    def forget(
        self,
        ids: Annotated[list[str] | None, Field(description="Notes to forget.")] = None,
        where: Annotated[
            dict[str, Any] | None, Field(description='Instead of ids: a filter, as {"memory.session": "chat-7"}.')
        ] = None,
        dry_run: Annotated[bool, Field(description="true only tells which would go; false forgets them.")] = True,
        cursor: Cursor = "",
    ) -> Annotated[CallToolResult, answer_schemas.Forgotten]:
        """Forget notes for good, with their older versions. Only when the user wants it.

        First call it as it is, show what would go, and only then call it again with dry_run=false.
        """
        return _result(self.writing.forget(ids or (), where=where, dry_run=dry_run, cursor=cursor))

    def list_(
        self,
        kind: Annotated[Literal["notes", "documents", "all"], Field(description="What to list.")] = "notes",
        where: Where = None,
        session: Annotated[str, Field(description="Only this conversation.")] = "",
        cursor: Cursor = "",
    ) -> Page:
        """List notes or documents, newest first, by how they begin. For an overview; to find something, search."""
        return _result(self.reading.listed(kind=kind, where=where, session=session, cursor=cursor))

    def stats(self) -> Annotated[CallToolResult, answer_schemas.Numbers]:
        """Say how many notes, conversations and documents there are."""
        return _result(self.reading.stats())

    def ingest(
        self, paths: Annotated[list[str], Field(description="Files or folders.")]
    ) -> Annotated[CallToolResult, answer_schemas.Ingested]:
        """Read files or folders into the documents; unchanged files are left alone, so it can be repeated."""
        return _result(self.writing.ingest(paths))

    def offer(self, server: MCPServer[Any], *, read_only: bool) -> None:
        """Add them to a server; with `read_only` those alone that change nothing."""
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
                told = inspect.getdoc(tool) or ""
                if tool == self.ingest:
                    told += f" {self.writing.folders.told()}"
                server.add_tool(tool, name, title, told, hints)


# All are closed worlds, and doing the same twice changes nothing more: a text or a conversation is kept once, a
# superseded note stays superseded. What is superseded is history, not lost; what is forgotten, and the text of a
# document whose file changed, is gone.
_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_OVERWRITES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


def _result(answer: Answer) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=answer.text)], structured_content=answer.data)
