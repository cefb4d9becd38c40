"""Note ids: within a namespace, and as document ids in a store that many namespaces share.

A note's document id is `memory://NAMESPACE/ID`, both parts percent-encoded, so that ids of different namespaces never
clash. A turn of a conversation has the id SESSION/000012, by its number; an older version of a note that was
remembered again under its own id has the id ID~1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, unquote

from hybridstore.errors import InputError
from hybridstore.search.neighbours import REACH

SCHEME = "memory://"
_TURN = re.compile(r"([^/]+)/(\d{6,})")
# A session's own slashes are quoted twice, so the only one that is quoted once stands before the turn's number.
_TURN_DOCUMENT = re.compile(r"(memory://[^/]+/(?:[^/%]|%(?!2F))+%2F)(\d{6,})")
_VERSION = re.compile(r"(.+)~(\d+)", re.DOTALL)
_DIGITS = 6
_TURN_NUMBER = re.compile(r"[0-9]{6,}")


@dataclass(frozen=True, slots=True)
class Namespace:
    """The owner of notes: one or more non-empty texts, such as ("user", "42"). Raises InputError for anything else."""

    parts: tuple[str, ...]
    text: str = field(init=False)
    prefix: str = field(init=False, repr=False)
    """What the ids of its documents begin with."""

    def __post_init__(self) -> None:
        """Check and encode the parts."""
        if not self.parts or not all(isinstance(part, str) and part.strip() for part in self.parts):
            raise InputError(
                f'a namespace must be one or more non-empty texts, as "user/42" or ("user", "42"), not {self.parts!r}'
            )
        object.__setattr__(self, "text", "/".join(_quoted(part) for part in self.parts))
        object.__setattr__(self, "prefix", f"{SCHEME}{_quoted(self.text)}/")

    @classmethod
    def of(cls, parts: str | Sequence[str]) -> Namespace:
        """Return the namespace of several texts, or of one in which slashes divide them: see `named`."""
        if not isinstance(parts, Iterable):
            raise InputError(f'a namespace must be one or more non-empty texts, as ("user", "42"), not {parts!r}')
        return cls.named(parts) if isinstance(parts, str) else cls(tuple(parts))

    @classmethod
    @lru_cache(maxsize=256)
    def named(cls, text: str) -> Namespace:
        """Return the namespace with this `text`: "user/42" is ("user", "42"), and %2F a slash within a part."""
        return cls(tuple(unquote(part) for part in text.split("/")))

    def document(self, note: str) -> str:
        """Return the document id for a note id."""
        return f"{self.prefix}{_quoted(note)}"

    def note(self, document: str) -> str | None:
        """Return the note id for a document id; None for documents outside this namespace."""
        return unquote(document[len(self.prefix) :]) if document.startswith(self.prefix) else None


def _quoted(text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise InputError(f"{text!r} contains a lone surrogate, which cannot be stored") from error


def turn_id(session: str, number: int) -> str:
    """Return the id of a session's turn, counting from 1; ids sort in the order of the turns."""
    return f"{_quoted(session)}/{number:0{_DIGITS}}"


def session_prefix(namespace: Namespace, session: str) -> str:
    """Return what the document ids of a session's turns begin with."""
    return namespace.document(f"{_quoted(session)}/")


def is_turn_number(text: str) -> bool:
    """Return whether this is the number of a turn, as ids have it."""
    return _TURN_NUMBER.fullmatch(text) is not None


def version_id(note: str, number: int) -> str:
    """Return the id of an older version of a note."""
    return f"{note}~{number}"


def base_id(note: str) -> str:
    """Return the id a note was remembered under, for the note itself or an older version of it."""
    match = _VERSION.fullmatch(note)
    return match[1] if match else note


def version_number(note: str, version: str) -> int | None:
    """Return the number of an older version of a note by its id; None if it is not one."""
    match = _VERSION.fullmatch(version)
    return int(match[2]) if match and match[1] == note else None


def neighbours(document: str, reach: int = REACH) -> Sequence[str]:
    """Return the document ids of a turn and of `reach` turns to either side; () for what is not a turn."""
    match = _TURN_DOCUMENT.fullmatch(document)
    if match is None:
        return ()
    prefix, number = match[1], int(match[2])
    return [f"{prefix}{n:0{_DIGITS}}" for n in range(max(number - reach, 1), number + reach + 1)]


def check_session(session: str) -> str:
    """Return the name of a session; raises InputError if it cannot be one."""
    if not isinstance(session, str) or not session.strip():
        raise InputError(f"the name of a session must be a non-empty text, not {session!r}")
    return session


def check_note_id(note: str) -> str:
    """Return the id a caller chose for a note; raises InputError if it cannot be one."""
    if not isinstance(note, str) or not note.strip():
        raise InputError(f"a note's id must be a non-empty text, not {note!r}; leave it out to have one made")
    if _TURN.fullmatch(note) or _VERSION.fullmatch(note):
        raise InputError(
            f"{note!r} has the form of a turn's id (session/000012) or an older version's (note~1); choose another id"
        )
    return note
