"""The shapes of structured answers, from which their JSON schemas are made; the answers themselves are plain dicts."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Shape(BaseModel):
    """Fields that are not there are left out of an answer, and no others may be in it."""

    model_config = ConfigDict(extra="forbid")


class Item(_Shape):
    """A note ("note"), a turn of a conversation ("turn") or a document; or a passage, or a part, of one.

    `span` are the characters of a passage within its document, `part` those that this page shows of the text.
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
    """Some of `total` items; `cursor` leads to those that follow. `tokens` is the length of the answer's text."""

    items: list[Item]
    total: int
    cursor: str = ""
    remarks: str = ""
    tokens: int


class Forgotten(Page):
    """The notes that went, or with `dry_run` would go."""

    dry_run: bool


class Similar(_Shape):
    """A note much like another."""

    id: str
    similarity: float


class Kept(_Shape):
    """What became of what was to be remembered: "added", "unchanged", "updated" or "superseded" (older notes)."""

    id: str
    status: str
    added: int
    supersedes: list[str] = []
    similar: list[Similar] = []
    tokens: int


class Ingested(_Shape):
    """What reading files came to: files first, then documents and chunks."""

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
    """How much there is."""

    namespace: str
    notes: int
    turns: int
    sessions: int
    history: int
    documents: int
    embedder: str
    tokens: int
