"""A note: a remark or a turn of a conversation, with its times, and the document that holds it in the store.

Times are parsed from what callers pass, in UTC unless they have a zone, stored as seconds since 1970, so that filters
can compare them, and shown as ISO 8601.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hybridstore.errors import InputError
from hybridstore.memory.note_ids import Namespace
from hybridstore.records import Document
from hybridstore.tables.plain_values import plain_object

Moment = str | datetime
Span = float | timedelta

OURS = "memory"
"""The metadata field of a document that holds a note's own facts; callers cannot use it."""

_TIMES = {
    "at": "occurred_at",
    "since": "valid_from",
    "until": "valid_to",
    "expires": "expires_at",
    "recorded": "recorded_at",
}
_PLAIN = ("session", "turn", "role", "name", "message", "superseded_by", "copy_of")
_LISTS = ("supersedes", "links")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something remembered. Times are in UTC.

    `kind` is "note" or "turn". A turn has its `session`, its number there (`turn`, from 1), the `role` and perhaps
    `name` of the speaker, and `message`, the caller's id for it. It happened at `occurred_at`, is valid from
    `valid_from` until `valid_to` (None: still), is invisible after `expires_at`, and was written at `recorded_at`.
    `supersedes` are the notes it replaced, `superseded_by` the one that replaced it, `links` the similar ones.
    `copy_of` is the note of which this is another version, kept by a merge of two stores.
    `format` says how a long text is split: "plain", "markdown" or "code".
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
    copy_of: str | None = None
    links: tuple[str, ...] = ()
    format: str = "plain"

    @property
    def uri(self) -> str:
        """The id of its document: memory://NAMESPACE/ID."""
        return Namespace(self.namespace).document(self.id)

    @property
    def speaker(self) -> str | None:
        """Who said it: the name, or else the role."""
        return self.name or self.role

    @property
    def time(self) -> datetime | None:
        """When it happened, or else when it was recorded."""
        return self.occurred_at or self.recorded_at

    def expired(self, at: datetime) -> bool:
        """Return whether it has expired by a moment."""
        return self.expires_at is not None and self.expires_at <= at

    def holds(self, at: datetime) -> bool:
        """Return whether it is valid at a moment: neither superseded, outdated nor expired by then."""
        ended = self.expired(at) or (self.valid_to is not None and self.valid_to <= at)
        return not ended and (self.valid_from is None or self.valid_from <= at)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON, with times in ISO 8601 and without empty fields; see `from_dict`."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        present = {name: value for name, value in facts.items() if value not in (None, (), {}) or name == "text"}
        return {name: _json(value) for name, value in present.items() if (name, value) != ("format", "plain")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, namespace: tuple[str, ...] | None = None) -> Note:
        """Return the note of a `to_dict`, moved to `namespace` if there is one; raises InputError for anything else."""
        return _note_from(values, namespace)


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def document_of(note: Note) -> Document:
    """Return the document that holds a note: the speaker's name before the text, all else in the metadata.

    The name is searched because queries name people ("Gina: I quit"); the role, the same in every other turn, is not.
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
        text=_name_prefix(note.name) + note.text,
        metadata={**note.metadata, OURS: facts},
        format=note.format,
    )


def _name_prefix(name: str | None) -> str:
    return f"{name}: " if name else ""


def note_of(document_id: str, text: str, metadata: Mapping[str, Any]) -> Note:
    """Return the note in a document (or, with its text, in one of its chunks); raises InputError if it holds none."""
    facts = metadata.get(OURS)
    if not isinstance(facts, Mapping) or not isinstance(facts.get("in"), str):
        raise InputError(f"the document {document_id!r} is not a note; it was added, not remembered")
    namespace = Namespace.named(facts["in"])
    values: dict[str, Any] = {name: moment(facts[short]) for short, name in _TIMES.items() if short in facts}
    values |= {name: facts.get(name) for name in _PLAIN}
    values |= {name: tuple(facts.get(name, ())) for name in _LISTS}
    return Note(
        id=namespace.note(document_id) or document_id,
        text=text.removeprefix(_name_prefix(facts.get("name"))),
        namespace=namespace.parts,
        kind=facts.get("kind", "note"),
        metadata={key: value for key, value in metadata.items() if key != OURS},
        format=facts.get("format", "plain"),
        **values,
    )


def _note_from(values: Mapping[str, Any], namespace: tuple[str, ...] | None) -> Note:
    if not isinstance(values, Mapping):
        raise InputError(f"a note must be a mapping as returned by Note.to_dict, not {values!r}")
    facts: dict[str, Any] = dict(values) | ({} if namespace is None else {"namespace": list(namespace)})
    if unknown := sorted(map(str, facts.keys() - set(Note.__slots__))):
        raise InputError(f"a note has the unknown fields {', '.join(unknown)}; a newer version may know them")
    for name in ("id", "text", *(name for name in (*_PLAIN, "kind", "format") if name in facts)):
        expected = int if name == "turn" else str
        if not isinstance(facts.get(name), expected) or isinstance(facts[name], bool):
            kind = "whole number" if expected is int else "text"
            raise InputError(f"the {name} of a note must be a {kind}, not {facts.get(name)!r}")
    for name in ("namespace", *_LISTS):
        value = facts.get(name, ())
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise InputError(f"the {name} of a note must be a list of texts, not {value!r}")
        facts[name] = tuple(value)
    for name in _TIMES.values():
        if name in facts:
            facts[name] = moment(seconds_of(facts[name], name))
    return Note(**(facts | {"metadata": check_metadata(facts.get("metadata"))}))


def check_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of a caller's metadata; raises InputError unless it is a mapping without our field."""
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise InputError(f"metadata must be a mapping, not {metadata!r}")
    if OURS in metadata:
        raise InputError(f"metadata has the field {OURS!r}, which is reserved for a note's own facts; rename yours")
    return plain_object(metadata, "metadata")


def seconds_of(value: Moment, name: str) -> float:
    """Return a moment in seconds since 1970; raises InputError for anything but ISO 8601 text or a datetime."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise InputError(
                f"{name} is {value!r}, which is not a time in ISO 8601; write 2026-03-01 or 2026-03-01T14:30:00Z"
            ) from error
    if not isinstance(value, datetime):
        raise InputError(f"{name} must be a time in ISO 8601 or a datetime, not {value!r}")
    try:
        seconds = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        moment(seconds)  # a zone can put it before the year 1, or after 9999
    except (OverflowError, ValueError) as error:
        raise InputError(f"{name} is {value.isoformat()}, which is out of range") from error
    return seconds


def moment_of(value: Moment | None, name: str) -> datetime | None:
    """Return a moment as a datetime in UTC, or None for None; raises like `seconds_of`."""
    return None if value is None else moment(seconds_of(value, name))


def moment(seconds: float) -> datetime:
    """Return the datetime, in UTC, of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def short_iso(when: datetime) -> str:
    """Return a moment in ISO 8601 for people and models: to the minute, or only the day at midnight."""
    when = when.astimezone(UTC)
    midnight = (when.hour, when.minute) == (0, 0)
    return when.date().isoformat() if midnight else f"{when.replace(tzinfo=None).isoformat(timespec='minutes')}Z"


def span_of(value: Span, name: str) -> float:
    """Return a length of time in seconds; raises InputError unless it is above 0."""
    length = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(length, bool) or not isinstance(length, int | float) or not 0 < length < float("inf"):
        raise InputError(f"{name} must be a number of seconds above 0, or a timedelta, not {value!r}")
    return float(length)
