"""Words that no passage has: the word of the store that was probably meant, as a suggestion; no query is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Restriction
from hybridstore.records import KeywordQuery, Term
from hybridstore.text.analysis import Analyser
from hybridstore.text.word_forms import OTHER_SPELLING

_SHORTEST = 4  # letters: of shorter words, too many others are one letter away
_TWO_ERRORS = 7  # letters from which on two errors are allowed
_ENDING = 6  # letters that stemming takes off
_STEM_ERRORS = 2  # of a word that the errors kept from being stemmed
_STEMS = 5  # whose words are looked up
_SHARE = 3  # a third of the words: of a question whose others are known, one matters little
_WORDS = 3  # of a query, which get a suggestion
_ROWS = 5_000  # of the vocabulary for each beginning of a word: 2 ms
_WORD = re.compile(r"[^\W\d_]+")
_ASKED = "; did you mean "
_SUGGESTION = re.compile(rf'No passage contains "(.+?)"{_ASKED}"(.+?)"\?')
_VOWELS = "aeiouy"  # what is mistyped, or left out, most often after the first letter


def as_typed(terms: Sequence[Term], query: str, analyser: Analyser) -> tuple[Term, ...]:
    """Return the terms with the word of the query that each was made of: "valves" for "valv".

    Without those for another spelling that no passage has.
    """
    typed = analyser.typed_words(query)
    shown = []
    for term in terms:
        text, frequency = term.text, term.document_frequency
        if text[-1] != OTHER_SPELLING:
            word = typed.get(text, "")
        elif frequency:
            word = typed.get(text[:-1], "")
        else:
            continue
        shown.append(Term(text, frequency, term.idf, term.count, term.used, word))  # in a fifth of `replace`'s time
    return tuple(shown)


def suggestions(backend: Backend, analyser: Analyser, terms: Sequence[Term], restriction: Restriction) -> Iterator[str]:
    """Yield a sentence for each term in no passage, where a word that is a typing error away occurs in one.

    Only words are suggested that occur in a passage within the restriction.
    """
    unknown = [term for term in terms if not term.document_frequency and _WORD.fullmatch(term.text)]
    if len(unknown) * _SHARE < len(terms):
        return
    for term in [term for term in unknown if len(term.text) >= _SHORTEST][:_WORDS]:
        near, stems = _similar(backend, term.text)
        for token in (*near, *stems):
            word = _word(backend, analyser, token, restriction)
            if word and (token in near or errors(term.text, [word])[0][0] <= _STEM_ERRORS):
                yield f'No passage contains "{term.word or term.text}"{_ASKED}"{word}"?'
                break


def is_suggestion(note: str) -> bool:
    """Return whether a note of a Trace is one of these sentences."""
    return _ASKED in note


def corrected(query: str, notes: Sequence[str]) -> str | None:
    """Return the query with the suggestions among a Trace's notes taken; None where there are none."""
    pairs = [match.groups() for note in notes if (match := _SUGGESTION.fullmatch(note))]
    for unknown, meant in pairs:
        query = re.sub(rf"(?<!\w){re.escape(unknown)}(?!\w)", meant.replace("\\", r"\\"), query)
    return query if pairs else None


def _similar(backend: Backend, token: str) -> tuple[list[str], list[str]]:
    """Return the tokens of the store that are one error away, or two from a longer word; the nearest first.

    Then those that the beginning of the token is as near to, the longest first: an error in its ending has kept the
    token from being stemmed ("confguratoin", "configur").
    """
    most = 1 if len(token) < _TWO_ERRORS else 2
    shortest, longest = min(len(token) - _ENDING, _SHORTEST + 1), len(token) + most
    found = {other: count for other, count in _neighbourhood(backend, token) if shortest <= len(other) <= longest}
    # Each error brings at most one letter that the token has not; of the beginning's others no more are wanted.
    letters = frozenset(token)
    others = [other for other in found if len(letters.union(other)) <= len(letters) + most and _WORD.fullmatch(other)]
    whole, beginning = errors(token, others)
    near: dict[str, tuple[int, int]] = {}
    stems: list[str] = []
    for at in np.flatnonzero((whole <= most) | (beginning <= _STEM_ERRORS)).tolist():
        other = others[at]
        shorter = len(token) - len(other)
        if whole[at] <= most:
            near[other] = (int(whole[at]), -found[other])
        elif most < shorter <= _ENDING and len(other) > _SHORTEST:
            stems.append(other)
    stems.sort(key=len, reverse=True)
    return sorted(near, key=lambda other: near[other])[:_WORDS], stems[:_STEMS]


def _neighbourhood(backend: Backend, token: str) -> list[tuple[str, int]]:
    """Return the words of the store that begin like the token, allowing for an error in its first two letters."""
    first, second, third = token[0], token[1], token[2]
    rows = [(beginning, _ROWS) for beginning in (token[:2], second + first, second + third, first + third)]
    if token.isascii():
        rows += [(first + letter + rest, 1) for letter in _VOWELS for rest in (token[1:], token[2:])]
    return backend.vocabulary(list(dict.fromkeys(rows)))


def errors(word: str, others: Sequence[str]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return how many letters were left out, added, replaced or swapped with the next, (n,), for each of the others.

    This is the optimal string alignment distance. The second array counts the errors up to the length of the other
    only: those of the beginning of the word; for a longer one it is the first.
    """
    if not others:
        return np.zeros(0, np.int16), np.zeros(0, np.int16)
    lengths = np.array([len(other) for other in others])
    codes = np.array(others, dtype=f"<U{max(lengths.max(), 1)}").view(np.uint32).reshape(len(others), -1)
    columns = np.arange(codes.shape[1] + 1, dtype=np.int16)
    above = before = np.broadcast_to(columns, (len(others), len(columns)))
    every = np.arange(len(others))
    beginning = above[every, 0]
    for i, letter in enumerate(map(ord, word), start=1):
        row = np.empty_like(above)
        row[:, 0] = i
        np.minimum(above[:, :-1] + (codes != letter), above[:, 1:] + 1, out=row[:, 1:])
        if i > 1:
            swapped = (codes[:, :-1] == letter) & (codes[:, 1:] == ord(word[i - 2]))
            np.minimum(row[:, 2:], before[:, :-2] + 1, out=row[:, 2:], where=swapped)
        # One letter more: each column may follow from any before it.
        row = np.minimum.accumulate(row - columns, axis=1) + columns
        beginning = np.where(lengths >= i, row[every, np.minimum(lengths, i)], beginning)
        before, above = above, row
    return above[every, lengths], np.where(lengths <= len(word), beginning, above[every, lengths])


def _word(backend: Backend, analyser: Analyser, token: str, restriction: Restriction) -> str | None:
    """Return a word as a passage has it whose token this is; None if there is none within the restriction."""
    ranking, _ = backend.match(KeywordQuery(terms=(token,)), 1, restriction)
    for passage in backend.passages(ranking.chunks.tolist()):
        for text in (passage.text, passage.title, passage.heading):
            if word := analyser.word_of(token, text):
                return word.lower()
    return None
