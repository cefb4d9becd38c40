"""Completion: the words of the store that a query's last word may be the beginning of, while it is being typed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Restriction
from hybridstore.records import KeywordQuery
from hybridstore.text.analysis import Analyser

_SHORTEST = 2  # letters: what begins with one tells nothing
_LONGEST = 60
_ENDING = 6  # letters that stemming takes off
_ROWS = 5_000  # of the vocabulary that begin so: 2 ms
_LOOKED_UP = 3  # passages in which the word of a token is read


def completions(backend: Backend, analyser: Analyser, query: str, limit: int, restriction: Restriction) -> list[str]:
    """Return at most `limit` words of the store that begin as the query's last word does, the most frequent first.

    They are written as passages have them, in lower case. The index holds stems, so a word that goes on behind its stem
    is found by that; a word of the query that is complete is not repeated.
    """
    beginning = typed(query)
    if beginning is None or limit < 1:
        return []
    with backend.snapshot(stale=True):
        found: dict[str, None] = {}
        for token in _tokens(backend, analyser, beginning):
            for word in _words(backend, analyser, token, beginning, restriction):
                found.setdefault(word)
            if len(found) >= limit:
                break
    return list(found)[:limit]


def typed(query: str) -> str | None:
    """Return the word at the end of a query that may still be typed, in lower case; None where there is none."""
    if not query or query[-1].isspace():
        return None
    last = query.rsplit(maxsplit=1)[-1].lstrip("\"'“”„«»‘’([{-+").rpartition(":")[2].casefold()
    return last if _SHORTEST <= len(last) <= _LONGEST and last.isalpha() else None


def completed(query: str, word: str) -> str:
    """Return the query with its last word completed to this one."""
    last = typed(query)
    return query if last is None or not query.casefold().endswith(last) else query[: len(query) - len(last)] + word


def _tokens(backend: Backend, analyser: Analyser, beginning: str) -> Iterator[str]:
    """Yield tokens of the store whose words may begin so: those that do, the most frequent first, then stems of it."""
    plain = type(analyser)("none").phrase(beginning)  # folded as the index has it, but not stemmed
    if len(plain) != 1 or plain[0].endswith("*"):
        return
    begins = backend.vocabulary([(plain[0], _ROWS)])
    yield from (token for token, _ in sorted(begins, key=lambda each: -each[1]) if token.isalpha())
    stems = [plain[0][:length] for length in range(len(plain[0]) - 1, max(len(plain[0]) - _ENDING, 3) - 1, -1)]
    known = dict(backend.vocabulary([(stem, 1) for stem in stems]))
    yield from (stem for stem in stems if stem in known)


def _words(backend: Backend, analyser: Analyser, token: str, beginning: str, restriction: Restriction) -> Iterator[str]:
    """Yield the words of some passages that have the token and begin so, the most frequent first."""
    ranking, _ = backend.match(KeywordQuery(terms=(token,)), _LOOKED_UP, restriction)
    words: Counter[str] = Counter()
    for passage in backend.passages(ranking.chunks.tolist()):
        for text in (passage.text, passage.title, passage.heading):
            words.update(text[start:end].casefold() for start, end in analyser.spans(text, {token}))
    yield from (word for word, _ in words.most_common(2) if word.startswith(beginning) and word != beginning)
