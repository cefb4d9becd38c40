"""A note: a remark or a turn of a conversation, with its times; and the document that keeps it in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hybridstore.errors import InputError
from hybridstore.memory.note_ids import Namespace
from hybridstore.memory.timestamps import moment, seconds_of
from hybridstore.records import Document

OURS = "memory"
"""The field of a document's metadata in which a note's facts stand; the caller's metadata must not have it."""

_TIMES = {
    "at": "occurred_at",
    "since": "valid_from",
    "until": "valid_to",
    "expires": "expires_at",
    "recorded": "recorded_at",
}
_PLAIN = ("session", "turn", "role", "name", "message", "superseded_by")
_LISTS = ("supersedes", "links")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something remembered. Times are in UTC.

    `kind` is "note" or "turn"; a turn has its `session`, its place in it (`turn`, from 1), the `role` of who spoke and
    a `name` if there is one, and `message`, the id its caller gave it. `occurred_at` is when it happened, if that was
    said; it holds from `valid_from` until `valid_to` (None: still), and vanishes at `expires_at`. `recorded_at` is when
    it was written down. `supersedes` are the notes it took the place of, `superseded_by` the one that took its place,
    `links` those it is much like. `format` tells how a long text is cut: "plain", "markdown" or "code".
    """

    id: str
    text: str
    namespace: tuple[str, ...]
    kind: str = "note"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    occurred_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    expires_at: datetime | None = None
    recorded_at: datetime | None = None
    session: str | None = None
    turn: int | None = None
    role: str | None = None
    name: str | None = None
    message: str | None = None
    supersedes: tuple[str, ...] = ()
    superseded_by: str | None = None
    links: tuple[str, ...] = ()
    format: str = "plain"

    @property
    def uri(self) -> str:
        """Where it is found: memory://NAMESPACE/ID."""
        return Namespace(self.namespace).document(self.id)

    @property
    def speaker(self) -> str | None:
        """Who said it: the name, or else the role."""
        return self.name or self.role

    @property
    def time(self) -> datetime | None:
        """When it happened, or else when it was written down."""
        return self.occurred_at or self.recorded_at

    def expired(self, at: datetime) -> bool:
        """Say whether it has vanished by a moment."""
        return self.expires_at is not None and self.expires_at <= at

    def holds(self, at: datetime) -> bool:
        """Say whether it is shown at a moment: neither superseded, nor out of date, nor expired by then."""
        ended = self.expired(at) or (self.valid_to is not None and self.valid_to <= at)
        return not ended and (self.valid_from is None or self.valid_from <= at)

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON can hold it, times in ISO 8601, what is not there left out; see `from_dict`."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        said = {name: value for name, value in facts.items() if value not in (None, (), {}) or name == "text"}
        return {name: _plain(value) for name, value in said.items() if (name, value) != ("format", "plain")}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any], *, namespace: tuple[str, ...] | None = None) -> Note:
        """Make one of what `to_dict` gives, in another `namespace` if asked; raises InputError for anything else."""
        return _note_from(given, namespace)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def document_of(note: Note) -> Document:
    """Give the document that keeps a note: the name of who spoke stands before the text, all else in the metadata.

    Questions name people, and "Gina: I quit" is found by them. A role is the same in every other turn and says nothing.
    """
    facts: dict[str, Any] = {"in": Namespace(note.namespace).text, "kind": note.kind}
    facts |= {short: when.timestamp() for short, name in _TIMES.items() if (when := getattr(note, name)) is not None}
    facts |= {name: value for name in _PLAIN if (value := getattr(note, name)) is not None}
    facts |= {name: list(value) for name in _LISTS if (value := getattr(note, name))}
    if note.format != "plain":
        facts["format"] = note.format
    return Document(
        id=note.uri,
        uri=note.uri,
        text=_said_by(note.name) + note.text,
        metadata={**note.metadata, OURS: facts},
        format=note.format,
    )


def _said_by(name: str | None) -> str:
    return f"{name}: " if name else ""


def note_of(document_id: str, text: str, metadata: Mapping[str, Any]) -> Note:
    """Give the note that a document (or, with its text, a chunk of it) keeps; raises InputError if it keeps none."""
    facts = metadata.get(OURS)
    if not isinstance(facts, Mapping) or not isinstance(facts.get("in"), str):
        raise InputError(f"the document {document_id!r} is no note; it was not remembered, but added")
    namespace = Namespace.named(facts["in"])
    known: dict[str, Any] = {name: moment(facts[short]) for short, name in _TIMES.items() if short in facts}
    known |= {name: facts.get(name) for name in _PLAIN}
    known |= {name: tuple(facts.get(name, ())) for name in _LISTS}
    return Note(
        id=namespace.note(document_id) or document_id,
        text=text.removeprefix(_said_by(facts.get("name"))),
        namespace=namespace.parts,
        kind=facts.get("kind", "note"),
        metadata={key: value for key, value in metadata.items() if key != OURS},
        format=facts.get("format", "plain"),
        **known,
    )


def _note_from(given: Mapping[str, Any], namespace: tuple[str, ...] | None) -> Note:
    if not isinstance(given, Mapping):
        raise InputError(f"a note is a mapping as Note.to_dict gives it, not {given!r}")
    facts: dict[str, Any] = dict(given) | ({} if namespace is None else {"namespace": list(namespace)})
    if unknown := sorted(map(str, facts.keys() - set(Note.__slots__))):
        raise InputError(f"a note has the unknown fields {', '.join(unknown)}; a newer version may know them")
    for name in ("id", "text", *(name for name in (*_PLAIN, "kind", "format") if name in facts)):
        wanted = int if name == "turn" else str
        if not isinstance(facts.get(name), wanted) or isinstance(facts[name], bool):
            kind = "whole number" if wanted is int else "text"
            raise InputError(f"the {name} of a note is a {kind}, not {facts.get(name)!r}")
    for name in ("namespace", *_LISTS):
        value = facts.get(name, ())
        if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
            raise InputError(f"the {name} of a note is a list of texts, not {value!r}")
        facts[name] = tuple(value)
    for name in _TIMES.values():
        if name in facts:
            facts[name] = moment(seconds_of(facts[name], name))
    return Note(**(facts | {"metadata": seen_to(facts.get("metadata"))}))


def seen_to(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give a caller's metadata; raises InputError where it is no mapping or takes our field."""
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise InputError(f"metadata is a mapping, not {metadata!r}")
    if not all(isinstance(key, str) for key in metadata):
        raise InputError(f"the fields of metadata are called by texts, not as in {metadata!r}")
    if OURS in metadata:
        raise InputError(f"metadata has the field {OURS!r}, in which a note's own facts are kept; call yours otherwise")
    return dict(metadata)
