"""What notes are called: by their owner inside a namespace, and in the store, where many namespaces share one file.

A note's document has the id `memory://NAMESPACE/ID`, both parts percent-encoded, so that no id of one namespace can be
an id of another. A conversation's turns are called SESSION/000012, by their place; an older version of a note that was
remembered again under its own id is called ID~1.
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
# A session's own slashes are quoted twice, so the only one that is quoted once stands before the place.
_TURNS_DOCUMENT = re.compile(r"(memory://[^/]+/(?:[^/%]|%(?!2F))+%2F)(\d{6,})")
_VERSION = re.compile(r"(.+)~(\d+)", re.DOTALL)
_DIGITS = 6
_PLACE = re.compile(r"[0-9]{6,}")


@dataclass(frozen=True, slots=True)
class Namespace:
    """Whose notes: one or more texts, such as ("user", "42"). Raises InputError for none, or an empty one."""

    parts: tuple[str, ...]
    text: str = field(init=False)
    before: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """See that there is something to tell owners apart by."""
        if not self.parts or not all(isinstance(part, str) and part.strip() for part in self.parts):
            raise InputError(
                f'a namespace is one or more texts that are not empty, as ("user", "42"), not {self.parts!r}'
            )
        object.__setattr__(self, "text", "/".join(_quoted(part) for part in self.parts))
        object.__setattr__(self, "before", f"{SCHEME}{_quoted(self.text)}/")  # what its documents' ids begin with

    @classmethod
    def of(cls, given: str | Sequence[str]) -> Namespace:
        """Make one of a text, or of several."""
        if not isinstance(given, Iterable):
            raise InputError(f'a namespace is a text or several, as ("user", "42"), not {given!r}')
        return cls((given,) if isinstance(given, str) else tuple(given))

    @classmethod
    @lru_cache(maxsize=256)
    def named(cls, text: str) -> Namespace:
        """Give the one whose `text` this is."""
        return cls(tuple(unquote(part) for part in text.split("/")))

    def document(self, note: str) -> str:
        """Give the document id of a note's id."""
        return f"{self.before}{_quoted(note)}"

    def note(self, document: str) -> str | None:
        """Give the note's id of a document's; None for documents that are not of this namespace."""
        return unquote(document[len(self.before) :]) if document.startswith(self.before) else None


def _quoted(text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise InputError(f"{text!r} holds half of a character (a lone surrogate), which cannot be stored") from error


def turn(session: str, place: int) -> str:
    """Give the id of a session's turn, places counting from 1; ids sort as turns follow each other."""
    return f"{_quoted(session)}/{place:0{_DIGITS}}"


def session_prefix(namespace: Namespace, session: str) -> str:
    """Give how the document ids of a session's turns begin."""
    return namespace.document(f"{_quoted(session)}/")


def is_place(text: str) -> bool:
    """Say whether this is how a place is written."""
    return _PLACE.fullmatch(text) is not None


def version(note: str, number: int) -> str:
    """Give the id under which an older version of a note is kept."""
    return f"{note}~{number}"


def lineage(note: str) -> str:
    """Give the id that a note or an older version of it is remembered under."""
    found = _VERSION.fullmatch(note)
    return found[1] if found else note


def version_of(note: str, other: str) -> int | None:
    """Give the number of an older version of a note by its id; None where it is none."""
    found = _VERSION.fullmatch(other)
    return int(found[2]) if found and found[1] == note else None


def around(document: str, reach: int = REACH) -> Sequence[str]:
    """Give the documents that a turn stands among, `reach` to either side and itself; () for what is no turn."""
    found = _TURNS_DOCUMENT.fullmatch(document)
    if found is None:
        return ()
    before, place = found[1], int(found[2])
    return [f"{before}{n:0{_DIGITS}}" for n in range(max(place - reach, 1), place + reach + 1)]


def checked_session(session: str) -> str:
    """See that a session may be called so; raises InputError."""
    if not isinstance(session, str) or not session.strip():
        raise InputError(f"a session is called by a text that is not empty, not {session!r}")
    return session


def checked(note: str) -> str:
    """See that a caller may name a note so; raises InputError."""
    if not isinstance(note, str) or not note.strip():
        raise InputError(f"a note's id is a text that is not empty, not {note!r}; leave it out to have one made")
    if _TURN.fullmatch(note) or _VERSION.fullmatch(note):
        raise InputError(
            f"{note!r} is how turns (session/000012) or older versions (note~1) are called; choose another id"
        )
    return note
