"""The advanced syntax: AND, OR, NOT, parentheses, quotes, fields and prefixes, read into an expression.

NOT (or a minus) binds tighter than AND, AND tighter than OR, and what merely stands side by side is joined by AND.
What cannot be read is an error that shows the place; nothing is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from hybridstore.errors import InputError
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import FIELDS, AllOf, AnyOf, Expression, NotOf, WordSequence, nesting, passes_empty

SYNTAXES = ("simple", "advanced")

# SQLite's FTS5 parses with a stack of 100 that levels of the worst kind overflow at 16, and the keyword leg scores at
# most 512 terms, of which a word may make two.
MAX_LEVELS = 12
MAX_WORDS = 256

# Typographic quotes count as quotes, and need not match each other; an apostrophe is none.
OPENING, CLOSING = '"“”„«', '"“”»'
QUOTED = rf"[{OPENING}]([^{OPENING}»]*)[{CLOSING}]"
# A telephone begins a line with a capital. Spelled out, for re.IGNORECASE takes a Turkish dotless i for an i.
FIELD = "(?:(" + "|".join("".join(f"[{each}{each.upper()}]" for each in name) for name in FIELDS) + "):)"

_LEXEME = re.compile(
    rf"""([()])
    | (-)(?=[({OPENING}]|[^\W\d_])  # before a digit it is a number's sign
    | {FIELD}?(?:{QUOTED}|([^\s(){OPENING}»]+))""",
    re.VERBOSE,
)
_OPERATORS = ("AND", "OR", "NOT")
_SHOWN = 32  # characters of the query before and after the place of a mistake

_UNSTEMMED = Analyser("none")


@dataclass(frozen=True, slots=True)
class _Lexeme:
    """`kind` is a parenthesis, an operator, "-", or "" for words, which alone have a field and may be quoted."""

    kind: str
    text: str
    start: int
    field: str = ""
    quoted: bool = False


def words(text: str, field: str, analyser: Analyser, *, prefix: bool = False) -> Expression | None:
    """Give what a chunk must hold for the text to occur in the field ("" for any); None for a text without words.

    With `prefix` the last word may go on. The index holds stems, so a word passes whose stem goes on from what was
    written, or that has the same stem as it.
    """
    tokens = analyser.phrase(text)
    if not tokens:
        return None
    if field and tokens[-1].endswith(("+", "#")):
        # `C++` stands whole in no field but among the compounds of all of them: the field must hold its words.
        parts = analyser.phrase(" ".join(tokens).rstrip("+#"))
        whole = WordSequence(tokens, "", text)
        return AllOf((WordSequence(parts, field, text), whole)) if parts else whole
    if not prefix:
        return WordSequence(tokens, field, text)
    begun = _UNSTEMMED.phrase(text)[-1].removesuffix("*")
    longer = WordSequence((*tokens[:-1], f"{begun}*"), field, f"{text}*")
    return longer if tokens[-1].startswith(begun) else AnyOf((longer, WordSequence(tokens, field, text)))


def read(query: str, analyser: Analyser) -> Expression:
    """Read a query in the advanced syntax; chunks without any of its positive words never pass it.

    Raises InputError for what cannot be read or is too large, with the place and the remedy.
    """
    return _SyntaxReader(query, analyser).read()


class _SyntaxReader:
    """Recursive descent over the lexemes: alternatives of conjunctions of perhaps negated words or parentheses."""

    def __init__(self, query: str, analyser: Analyser) -> None:
        self._query, self._analyser = query, analyser
        self._lexemes = list(_lexemes(query))
        self._at = self._words = 0
        self._alternatives: list[tuple[int, Expression]] = []  # the outermost, each with its place

    def read(self) -> Expression:
        if not self._lexemes:
            raise InputError("the query is empty; write at least one word")
        found = self._any_of(0)
        if self._next() is not None:
            raise self._mistake("this parenthesis closes none; remove it", self._lexemes[self._at].start)
        if nesting(found) > MAX_LEVELS:
            raise self._mistake(f"this is nested more than {MAX_LEVELS} levels deep; write it flatter", 0)
        if passes_empty(found):
            start = next(start for start, each in self._alternatives if passes_empty(each))
            raise self._mistake(
                "this asks for no word that must occur, so nearly everything would pass; add one with AND", start
            )
        return found

    def _any_of(self, depth: int) -> Expression:
        found = []
        while True:
            start = self._lexemes[min(self._at, len(self._lexemes) - 1)].start
            found.append(self._all_of(depth))
            if depth == 0:
                self._alternatives.append((start, found[-1]))
            if not self._take("OR"):
                return found[0] if len(found) == 1 else AnyOf(_flat(AnyOf, found))

    def _all_of(self, depth: int) -> Expression:
        found = [self._one(depth)]
        while self._take("AND") or self._next() not in (None, "OR", ")"):
            found.append(self._one(depth))
        return found[0] if len(found) == 1 else AllOf(_flat(AllOf, found))

    def _one(self, depth: int) -> Expression:
        negated = False
        while self._take("NOT") or self._take("-"):
            negated = not negated
        if self._take("("):
            opened = self._lexemes[self._at - 1]
            if depth == MAX_LEVELS:
                raise self._mistake(
                    f"parentheses are nested more than {MAX_LEVELS} deep; write it flatter", opened.start
                )
            found = self._any_of(depth + 1)
            if not self._take(")"):
                raise self._mistake("this parenthesis is never closed; close it, or put it in quotes", opened.start)
        elif self._take(""):
            found = self._sought(self._lexemes[self._at - 1])
        else:
            raise self._missing()
        if not negated:
            return found
        return found.member if isinstance(found, NotOf) else NotOf(found)

    def _sought(self, lexeme: _Lexeme) -> Expression:
        text = lexeme.text
        prefix = not lexeme.quoted and text.endswith("*")
        if prefix:
            text = text.rstrip("*")
        if not lexeme.quoted and "*" in text:
            raise self._mistake("a * can only end a word; leave it out, or put the word in quotes", lexeme.start)
        if not lexeme.quoted and not lexeme.field and text[:-1].lower() in FIELDS and text.endswith(":"):
            raise self._mistake(
                f'put a word or a quoted phrase directly behind {text}, or quote it to search for the word: "{text}"',
                lexeme.start,
            )
        found = words(text, lexeme.field, self._analyser, prefix=prefix)
        if found is None:
            raise self._mistake("there is no word in this; remove it, or put a word in its place", lexeme.start)
        self._words += len(self._analyser.phrase(text))
        if self._words > MAX_WORDS:
            raise self._mistake(f"from here on there are more than {MAX_WORDS} words; use fewer", lexeme.start)
        return found

    def _next(self) -> str | None:
        return self._lexemes[self._at].kind if self._at < len(self._lexemes) else None

    def _take(self, kind: str) -> bool:
        taken = self._next() == kind
        self._at += taken
        return taken

    def _missing(self) -> InputError:
        """Say what is missing where a word, a phrase or a parenthesis should begin."""
        before = self._lexemes[self._at - 1] if self._at else None
        if before is not None and before.kind in _OPERATORS:
            return self._mistake(_operand(before.kind, "behind"), before.start)
        if before is not None and self._next() in (None, ")"):  # only an opening parenthesis is left
            why = "is never closed; remove it" if self._next() is None else "holds nothing; remove it with its partner"
            return self._mistake(f"this parenthesis {why}, or put it in quotes", before.start)
        here = self._lexemes[self._at]
        if here.kind == ")":
            return self._mistake("this parenthesis closes none; remove it", here.start)
        return self._mistake(_operand(here.kind, "before"), here.start)

    def _mistake(self, what: str, at: int) -> InputError:
        return _mistake(self._query, what, at)


def _operand(operator: str, side: str) -> str:
    return f'{operator} needs a word {side} it; to search for the word itself, put it in quotes: "{operator}"'


def _flat(kind: type[AllOf | AnyOf], members: list[Expression]) -> tuple[Expression, ...]:
    flat = (each for member in members for each in (member.members if isinstance(member, kind) else (member,)))
    return tuple(dict.fromkeys(flat))


def _lexemes(query: str) -> Iterator[_Lexeme]:
    at = 0
    while at < len(query):
        if query[at].isspace():
            at += 1
            continue
        match = _LEXEME.match(query, at)
        if match is None:
            raise _mistake(query, "this quotation mark has no partner; close the quote, or remove it", at)
        sign, minus, field, quoted, bare = match.groups()
        if sign or minus or (not field and bare in _OPERATORS):
            yield _Lexeme(match.group(), match.group(), at)
        else:
            yield _Lexeme("", quoted or bare or "", at, (field or "").lower(), quoted is not None)
        at = match.end()


def _mistake(query: str, what: str, at: int) -> InputError:
    """Give an error that shows the place, counted from 1, with a caret below it."""
    start, end = max(at - _SHOWN, 0), at + _SHOWN
    before, after = _plain(query[start:at]), _plain(query[at:end])
    before = "…" * (start > 0) + before
    shown = f"{before}{after}{'…' * (end < len(query))}"
    columns = sum(_columns(character) for character in before)
    return InputError(f"the query cannot be read at character {at + 1}: {what}\n  {shown}\n  {' ' * columns}^")


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
