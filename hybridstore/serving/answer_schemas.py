"""The shapes of structured answers, from which their JSON schemas are made; the answers themselves are plain dicts."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Shape(BaseModel):
    """An answer leaves out fields without a value, and contains no others."""

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
