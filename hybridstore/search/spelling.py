"""Words that no passage has: the word of the store that was probably meant, as a suggestion; no query is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Restriction
from hybridstore.records import KeywordQuery, Term
from hybridstore.text.analysis import Analyser

_SHORTEST = 4  # letters: of shorter words, too many others are one letter away
_TWO_ERRORS = 7  # letters from which on two errors are allowed
_ENDING = 6  # letters that stemming takes off
_STEMS = 5  # whose words are looked up
_SHARE = 3  # a third of the words: of a question whose others are known, one matters little
_WORDS = 3  # of a query, which get a suggestion
_ROWS = 5_000  # of the vocabulary for each beginning of a word: 2 ms
_WORD = re.compile(r"[^\W\d_]+")
_PART = re.compile(r"\w+")
_ASKED = "; did you mean "
_VOWELS = "aeiouy"  # what is mistyped, or left out, most often after the first letter
_EDGES = "\"'“”„«»‘’.,;:!?()[]{}<>-"


def as_typed(terms: Sequence[Term], query: str, analyser: Analyser) -> tuple[Term, ...]:
    """Return the terms with the word of the query that each was made of: "valves" for "valv"."""
    written: dict[str, str] = {}
    for word in dict.fromkeys(query.split()):
        for part in dict.fromkeys((word.strip(_EDGES), *_PART.findall(word))):  # of "decoder.py" also its words
            tokens = analyser.terms(part)
            if len(tokens) == 1:
                written.setdefault(tokens[0], part)
    return tuple(replace(term, word=written.get(term.text, "")) for term in terms)


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
            if word and (token in near or distance(term.text, word, 2) <= 2):
                yield f'No passage contains "{term.word or term.text}"{_ASKED}"{word}"?'
                break


def is_suggestion(note: str) -> bool:
    """Return whether a note of a Trace is one of these sentences."""
    return _ASKED in note


def _similar(backend: Backend, token: str) -> tuple[list[str], list[str]]:
    """Return the tokens of the store that are one error away, or two from a longer word; the nearest first.

    Then those that the beginning of the token is as near to, the longest first: an error in its ending has kept the
    token from being stemmed ("confguratoin", "configur").
    """
    most = 1 if len(token) < _TWO_ERRORS else 2
    letters = set(token)
    near: dict[str, tuple[int, int]] = {}
    stems: list[str] = []
    for other, frequency in _neighbourhood(backend, token):
        shorter = len(token) - len(other)
        # An error changes two letters at most; this is ten times as fast as counting the errors.
        if -most <= shorter <= most and len(letters.symmetric_difference(other)) <= 2 * most:
            if (errors := distance(token, other, most)) <= most:
                near[other] = (errors, -frequency)
        elif (
            most < shorter <= _ENDING
            and len(other) > _SHORTEST
            and len(set(other) - letters) <= most
            and distance(token[: len(other)], other, 2) <= 2
        ):
            stems.append(other)
    stems.sort(key=len, reverse=True)
    return sorted(near, key=lambda other: near[other])[:_WORDS], stems[:_STEMS]


def _neighbourhood(backend: Backend, token: str) -> Iterator[tuple[str, int]]:
    """Yield the words of the store that begin like the token, allowing for an error in its first two letters."""
    first, second, third = token[0], token[1], token[2]
    rows = [(beginning, _ROWS) for beginning in (token[:2], second + first, second + third, first + third)]
    if token.isascii():
        rows += [(first + letter + rest, 1) for letter in _VOWELS for rest in (token[1:], token[2:])]
    for beginning, most in dict.fromkeys(rows):
        yield from (row for row in backend.vocabulary(beginning, most) if _WORD.fullmatch(row[0]))


def distance(a: str, b: str, most: int) -> int:
    """Return how many letters were left out, added, replaced or swapped with the next; more than `most` is not counted.

    This is the optimal string alignment distance.
    """
    # What both begin with changes nothing, nor do prefixes whose lengths differ by more than `most`.
    same = next((n for n, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))
    a, b = a[same:], b[same:]
    before, above = [0] * (len(b) + 1), list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        row = [i] + [most + 1] * len(b)
        for j in range(max(1, i - most), min(len(b), i + most) + 1):
            other = b[j - 1]
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row[j] = cost
        if min(row) > most:
            return most + 1
        before, above = above, row
    return above[-1]


def _word(backend: Backend, analyser: Analyser, token: str, restriction: Restriction) -> str | None:
    """Return a word as a passage has it whose token this is; None if there is none within the restriction."""
    ranking, _ = backend.match(KeywordQuery(terms=(token,)), 1, restriction)
    for passage in backend.passages(ranking.chunks.tolist()):
        for text in (passage.text, passage.title, passage.heading):
            for start, end in analyser.spans(text, {token}):
                return text[start:end].lower()
    return None
