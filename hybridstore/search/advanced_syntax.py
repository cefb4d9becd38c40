"""The advanced query syntax: AND, OR, NOT, parentheses, quotes, fields and prefixes, parsed into an expression.

NOT (or a minus) binds tighter than AND, AND tighter than OR, and adjacent words are joined by AND. A query that cannot
be parsed is an error that shows the place; nothing is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from hybridstore.errors import InputError
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import FIELDS, AllOf, AnyOf, Expression, NotOf, WordSequence, nesting, passes_empty
from hybridstore.text.normalisation import is_emoji

SYNTAXES = ("simple", "advanced", "algebra", "web")

# SQLite's FTS5 parses with a stack of 100, which overflows at 16 levels of the worst kind, and the keyword leg scores
# at most 512 terms; a word may become two.
MAX_LEVELS = 12
MAX_WORDS = 256
MAX_LENGTH = 10_000  # characters of a query: ten times the longest question of the collections we measure with

# Typographic quotes count as quotes and need not match; an apostrophe does not.
OPENING, CLOSING = '"“”„«', '"“”»'
QUOTED = rf"[{OPENING}]([^{OPENING}»]*)[{CLOSING}]"
# Case is ignored, as phones capitalise the first word; spelled out, as re.IGNORECASE matches a Turkish dotless i to i.
FIELD = "(?:(" + "|".join("".join(f"[{letter}{letter.upper()}]" for letter in name) for name in FIELDS) + "):)"

_LEXEME = re.compile(
    rf"""([()])
    | (-)(?=[({OPENING}]|[^\W\d_])  # before a digit it is a number's sign
    | {FIELD}?(?:{QUOTED}|([^\s(){OPENING}»]+))""",
    re.VERBOSE,
)
_OPERATORS = ("AND", "OR", "NOT")
_CONTEXT = 32  # characters of the query shown before and after an error


@dataclass(frozen=True, slots=True)
class _Lexeme:
    """A token; `kind` is a parenthesis, an operator, "-", or "" for words (only these have a field and quotes)."""

    kind: str
    text: str
    start: int
    field: str = ""
    quoted: bool = False


def word_condition(text: str, field: str, analyser: Analyser, *, prefix: bool = False) -> Expression | None:
    """Return the condition that the text occurs in the field ("" for any); None for a text without words.

    With `prefix` the last word is a prefix. The index contains stems, so a word matches if its stem starts with the
    prefix or equals the prefix's stem.
    """
    tokens = analyser.phrase(text)
    if not tokens:
        return None
    if field and (tokens[-1].endswith(("+", "#")) or tokens[0][0] == "." or is_emoji(tokens[0][0])):
        # `C++`, `.env` and emoji are indexed only among the compounds of all fields: the field has their words.
        parts = () if is_emoji(tokens[0][0]) else analyser.phrase(" ".join(tokens).rstrip("+#").lstrip("."))
        whole = WordSequence(tokens, "", text)
        return AllOf((WordSequence(parts, field, text), whole)) if parts else whole
    if not prefix:
        return WordSequence(tokens, field, text)
    # Unstemmed, in the version of the analysis that the store has; a single character is a prefix already.
    stem = type(analyser)("none").phrase(text)[-1].removesuffix("*")
    longer = WordSequence((*tokens[:-1], f"{stem}*"), field, f"{text}*")
    return longer if tokens[-1].startswith(stem) else AnyOf((longer, WordSequence(tokens, field, text)))


def parse_query(query: str, analyser: Analyser) -> Expression:
    """Parse a query in the advanced syntax; chunks without any of its positive words never match it.

    Raises InputError for a query that is malformed or too large, with the place and the remedy.
    """
    if len(query) > MAX_LENGTH:
        raise InputError(f"the query has {len(query):,} characters, over the limit of {MAX_LENGTH:,}; use fewer words")
    return _Parser(query, analyser).parse()


class _Parser:
    """Recursive descent: alternatives of conjunctions of words or parentheses, either of which may be negated."""

    def __init__(self, query: str, analyser: Analyser) -> None:
        self._query, self._analyser = query, analyser
        self._lexemes = list(_lexemes(query))
        self._at = self._word_count = 0
        self._alternatives: list[tuple[int, Expression]] = []  # at the outermost level, with their places

    def parse(self) -> Expression:
        if not self._lexemes:
            raise InputError("the query is empty; write at least one word")
        expression = self._any_of(0)
        if self._next() is not None:
            raise self._error("this parenthesis closes none; remove it", self._lexemes[self._at].start)
        if nesting(expression) > MAX_LEVELS:
            raise self._error(f"this is nested more than {MAX_LEVELS} levels deep; write it flatter", 0)
        if passes_empty(expression):
            start = next(start for start, alternative in self._alternatives if passes_empty(alternative))
            raise self._error(
                "this has no word that must occur, so nearly everything would match; add one with AND", start
            )
        return expression

    def _any_of(self, depth: int) -> Expression:
        members = []
        while True:
            start = self._lexemes[min(self._at, len(self._lexemes) - 1)].start
            members.append(self._all_of(depth))
            if depth == 0:
                self._alternatives.append((start, members[-1]))
            if not self._take("OR"):
                return members[0] if len(members) == 1 else AnyOf(_flat(AnyOf, members))

    def _all_of(self, depth: int) -> Expression:
        members = [self._operand(depth)]
        while self._take("AND") or self._next() not in (None, "OR", ")"):
            members.append(self._operand(depth))
        return members[0] if len(members) == 1 else AllOf(_flat(AllOf, members))

    def _operand(self, depth: int) -> Expression:
        negated = False
        while self._take("NOT") or self._take("-"):
            negated = not negated
        if self._take("("):
            opened = self._lexemes[self._at - 1]
            if depth == MAX_LEVELS:
                raise self._error(f"parentheses are nested more than {MAX_LEVELS} deep; write it flatter", opened.start)
            operand = self._any_of(depth + 1)
            if not self._take(")"):
                raise self._error("this parenthesis is never closed; close it, or put it in quotes", opened.start)
        elif self._take(""):
            operand = self._words(self._lexemes[self._at - 1])
        else:
            raise self._missing()
        if not negated:
            return operand
        return operand.member if isinstance(operand, NotOf) else NotOf(operand)

    def _words(self, lexeme: _Lexeme) -> Expression:
        text = lexeme.text
        prefix = not lexeme.quoted and text.endswith("*")
        if prefix:
            text = text.rstrip("*")
        if not lexeme.quoted and "*" in text:
            raise self._error("a * can only end a word; leave it out, or put the word in quotes", lexeme.start)
        if not lexeme.quoted and not lexeme.field and text[:-1].lower() in FIELDS and text.endswith(":"):
            raise self._error(
                f'put a word or a quoted phrase directly after {text}, or quote it to search for the word: "{text}"',
                lexeme.start,
            )
        condition = word_condition(text, lexeme.field, self._analyser, prefix=prefix)
        if condition is None:
            raise self._error("there is no word in this; remove it, or put a word in its place", lexeme.start)
        self._word_count += len(self._analyser.phrase(text))
        if self._word_count > MAX_WORDS:
            raise self._error(f"from here on there are more than {MAX_WORDS} words; use fewer", lexeme.start)
        return condition

    def _next(self) -> str | None:
        return self._lexemes[self._at].kind if self._at < len(self._lexemes) else None

    def _take(self, kind: str) -> bool:
        taken = self._next() == kind
        self._at += taken
        return taken

    def _missing(self) -> InputError:
        """Return the error for a place where a word, a phrase or a parenthesis should begin."""
        before = self._lexemes[self._at - 1] if self._at else None
        if before is not None and before.kind in _OPERATORS:
            return self._error(_needs_word(before.kind, "after"), before.start)
        if before is not None and self._next() in (None, ")"):  # only an opening parenthesis is left
            why = "is never closed; remove it" if self._next() is None else "is empty; remove it and its partner"
            return self._error(f"this parenthesis {why}, or put it in quotes", before.start)
        here = self._lexemes[self._at]
        if here.kind == ")":
            return self._error("this parenthesis closes none; remove it", here.start)
        return self._error(_needs_word(here.kind, "before"), here.start)

    def _error(self, message: str, at: int) -> InputError:
        return _error(self._query, message, at)


def _needs_word(operator: str, side: str) -> str:
    return f'{operator} needs a word {side} it; to search for the word itself, put it in quotes: "{operator}"'


def _flat(kind: type[AllOf | AnyOf], members: list[Expression]) -> tuple[Expression, ...]:
    flat: dict[Expression, None] = {}
    for member in members:
        flat |= dict.fromkeys(member.members if isinstance(member, kind) else (member,))
    return tuple(flat)


def _lexemes(query: str) -> Iterator[_Lexeme]:
    at = 0
    while at < len(query):
        if query[at].isspace():
            at += 1
            continue
        match = _LEXEME.match(query, at)
        if match is None:
            raise _error(query, "this quotation mark has no partner; close the quote, or remove it", at)
        sign, minus, field, quoted, bare = match.groups()
        if sign or minus or (not field and bare in _OPERATORS):
            yield _Lexeme(match.group(), match.group(), at)
        else:
            yield _Lexeme("", quoted or bare or "", at, (field or "").lower(), quoted is not None)
        at = match.end()


def _error(query: str, message: str, at: int) -> InputError:
    """Return an error that shows the place, counted from 1, with a caret below it."""
    start, end = max(at - _CONTEXT, 0), at + _CONTEXT
    before, after = _printable(query[start:at]), _printable(query[at:end])
    before = "…" * (start > 0) + before
    shown = f"{before}{after}{'…' * (end < len(query))}"
    columns = sum(_width(character) for character in before)
    return InputError(f"the query cannot be read at character {at + 1}: {message}\n  {shown}\n  {' ' * columns}^")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
