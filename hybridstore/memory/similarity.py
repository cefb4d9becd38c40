"""Similarity of notes: which are close to a text, and whether two texts say the same.

Neither the cosine nor a count of words can tell a fact from its correction: "not", another number or another name
leaves a long text nearly what it was, and "Anna owes Ben" has the words of "Ben owes Anna". So a text is hidden as a
repetition only if it differs in case, white space, punctuation and a few empty words, and in nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from hybridstore.errors import InputError
from hybridstore.memory.note_space import NoteSpace, fact
from hybridstore.search.selection import bag, dice, normalised, same_words

SIMILAR = 0.8
"""The cosine from which on notes count as similar. With the default model the same thing said in other words, or with
another value ("Anna lives in Paris", "Anna lives in Rome": 0.81), lies above it, another thing ("likes hiking", "likes
swimming": 0.52) below."""

_LIMIT = 5
_TOKEN = re.compile(  # a number with its sign, a word, one character of scripts without spaces, or a meaningful sign
    r"(?:(?<!\w)[-+])?\d+(?:[.,:/–-]\d+)*"
    "|[^\\W\\d\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+(?:'[^\\W\\d]+)*"
    "|\\w"
    r"|(?<!\w)-|-(?!\w)"  # between letters a hyphen is often left out
    r"|[^\s\w.,;:!…\"'`´“”„‚‘«»()\[\]{}–—-]"
)
# Words that may be missing: none of them denies, counts, compares, points, or says when or who.
_EMPTY_WORDS = frozenset(("the", "an", "also", "actually", "indeed", "please"))


@dataclass(frozen=True, slots=True)
class SimilarNote:
    """A note similar to a text: its id, and the cosine (without vectors, the share of words)."""

    id: str
    cosine: float


def check_similarity(similarity: object) -> None:
    """Raise InputError unless this is a cosine that notes can be compared by."""
    if isinstance(similarity, bool) or not isinstance(similarity, int | float) or not 0.0 < similarity <= 1.0:
        raise InputError(f"similarity must be a cosine above 0 and at most 1, not {similarity!r}")


def find_similar(space: NoteSpace, text: str, threshold: float) -> list[SimilarNote]:
    """Return at most five valid notes (never turns) whose similarity to a text is at least `threshold`, best first."""
    where = space.visible(where=fact("kind") == "note")
    embedder = space.store.embedder()
    scores: dict[str, float] = {}
    with space.store.unlogged():
        if embedder is None:
            words = bag(text)
            for hit in space.store.search(text, where=where, mode="keyword", limit=_LIMIT):
                scores.setdefault(hit.document_id, dice(words, bag(hit.text)))
        else:
            vector = embedder.embed_documents([text])[0]
            for hit in space.store.search(text, where=where, mode="vector", vector=vector, limit=_LIMIT):
                scores.setdefault(hit.document_id, hit.vector_score or 0.0)
    ids = {space.namespace.note(document): score for document, score in scores.items()}
    return [SimilarNote(id_, score) for id_, score in ids.items() if id_ is not None and score >= threshold]


def significant_tokens(text: str) -> tuple[str, ...]:
    """Return the words, numbers and signs that must be equal, in order, in texts that say the same.

    A text without any is returned as it is. Forms of characters count: 10² is not 102.
    """
    tokens = _TOKEN.findall(unicodedata.normalize("NFC", text).casefold().replace("’", "'"))
    return tuple(token for token in tokens if token not in _EMPTY_WORDS) or tuple(tokens) or (text,)


def says_the_same(text: str, other: str, *, exactly: bool = False) -> bool:
    """Return whether texts with the same significant tokens also have nearly the same words and the same numbers.

    With `exactly` they may differ in case and white space only.
    """
    return normalised(text) == normalised(other) or (not exactly and same_words(bag(text), bag(other)))
