r"""Structured queries as text, for command lines, URLs and models, and as JSON.

    solar power & storage & ~lithium          solar power AND storage -lithium
    "zero-day exploit" | title:"security hole" & [year>=2020]
    2 * (solar power) & phone {+cheap} {-0.3 gaming}

Words are what a passage is about, up to the next sign; `"quoted words"` must occur, in the title with `title:`, and
what stands in square brackets is a filter. `&`, AND or nothing joins conditions, `|` or OR alternatives; `~`, NOT or a
minus negates what follows, a minus a single word. A number and `*` are a weight, braces a direction with its α.
`about:"…"` is for a text with such signs; in quotes, `\"` and `\\` stand for these characters. A text that begins with
`{"` is read as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from hybridstore import filters
from hybridstore.errors import EmptyQuery, InputError
from hybridstore.search.algebra import (
    DIRECTION,
    MAX_LEVELS,
    MAX_PARTS,
    MAX_TEXT,
    About,
    Conjunction,
    Disjunction,
    Negation,
    StructuredQuery,
    Where,
    Words,
    where,
)

_NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_LEXEME = re.compile(
    rf"""(?P<weight>{_NUMBER})\s*\*(?=[\s("~\[-])
    | (?:(?P<field>about|title|heading):)?"(?P<quoted>(?:[^"\\]|\\.)*)"
    | \{{\s*(?P<sign>[+-])\s*(?:(?P<alpha>{_NUMBER})\s+)?(?P<direction>[^{{}}]+)\}}
    | (?P<operator>[()~] | [&|](?=[\s("~\[]|$) | (?:AND|OR|NOT)(?=[\s("~\[]|$) | -(?=[("\[]|[^\W\d_]))
    | (?P<word>[^\s()"\[\]{{}}]+)""",
    re.VERBOSE | re.DOTALL,
)
_CALLS = {"about", "words", "where", "field"}  # of the package, which make queries in Python
_SIGNS = {"AND": "&", "OR": "|", "NOT": "~"}
# Words that are read back as they are: no sign, and nothing that begins like a weight, a minus or a field.
_PLAIN = re.compile(
    r"(?!(?:AND|OR|NOT)\b)[^\W\d_][^\s()\"\[\]{}*~&|]*(?: (?!(?:AND|OR|NOT)\b)[^\W_][^\s()\"\[\]{}*~&|]*)*"
)
_CONTEXT = 40  # characters shown before and after an error


_KEYS = {  # each kind, and what it has beside its weight
    "about": {"directions"},
    "words": {"field"},
    "where": set[str](),
    "all": set[str](),
    "any": set[str](),
    "not": set[str](),
}


def query_from(value: str | Mapping[str, Any]) -> StructuredQuery:
    """Return the query that a text is, or a mapping that `to_dict` made.

    Raises InputError for what cannot be read, with its place in a text.
    """
    return parse(value) if isinstance(value, str) else _from_mapping(value, 1)


def logged(query: StructuredQuery) -> str:
    """Return a query as the query log has it: JSON, which no question looks like."""
    return json.dumps(query.to_dict(), ensure_ascii=False)


def replayed(text: str) -> str | StructuredQuery:
    """Return what a text of the query log was searched for: a structured query, or the text itself."""
    if text.startswith('{"'):
        with suppress(InputError):
            return parse(text)
    return text


def structure_of(query: object, syntax: str) -> StructuredQuery | None:
    """Return the structured query that a search is for; None where it is for a text."""
    if isinstance(query, StructuredQuery):
        return query
    return parse(query) if syntax == "algebra" and isinstance(query, str) else None


def _from_mapping(value: object, level: int) -> StructuredQuery:
    if level > MAX_LEVELS:
        raise InputError(f"the query is more than {MAX_LEVELS} levels deep; write it flatter")
    kinds = [key for key in _KEYS if key in value] if isinstance(value, Mapping) else []
    if not isinstance(value, Mapping) or len(kinds) != 1:
        raise InputError(f"a query is a text, or a mapping with one of {', '.join(_KEYS)}, not {value!r:.100}")
    kind = kinds[0]
    if unknown := [str(key) for key in value if key not in {kind, "weight", *_KEYS[kind]}]:
        raise InputError(f"a query with {kind!r} has no {', '.join(unknown)}")
    query = _joined(kind, value[kind], level) if kind in {"all", "any"} else _single(kind, value, level)
    return query.with_weight(value.get("weight", 1.0))


def _single(kind: str, value: Mapping[str, Any], level: int) -> StructuredQuery:
    content = value[kind]
    if kind == "not":
        return ~_from_mapping(content, level + 1)
    if kind == "words":
        return Words(content, value.get("field", ""))
    if kind == "where":
        if not isinstance(content, Mapping):
            raise InputError(f"where takes a mapping, not {content!r:.100}")
        return where(content)
    directions = value.get("directions", ())
    if not isinstance(directions, list | tuple) or not all(
        isinstance(each, list | tuple) and len(each) == 2 for each in directions
    ):
        raise InputError(f"directions are pairs of a text and α, not {directions!r:.100}")
    return About(content, tuple((text, alpha) for text, alpha in directions))


def _joined(kind: str, content: object, level: int) -> StructuredQuery:
    if not isinstance(content, list | tuple) or len(content) > MAX_PARTS:
        raise InputError(f"{kind!r} takes a list of at most {MAX_PARTS} queries, not {content!r:.100}")
    members = tuple(_from_mapping(member, level + 1) for member in content)
    return Conjunction(members) if kind == "all" else Disjunction(members)


@dataclass(frozen=True, slots=True)
class _Lexeme:
    """A sign (one of `& | ~ - ( )`), a "word", a finished "part", a "weight", or a "direction" with its α."""

    kind: str
    at: int
    text: str = ""
    number: float = 0.0
    part: StructuredQuery | None = None


def parse(text: str) -> StructuredQuery:
    """Return the query that a text is; raises InputError, with the place, for one that cannot be read."""
    if text.lstrip().startswith('{"'):
        try:
            return _from_mapping(json.loads(text), 1)
        except (ValueError, RecursionError) as error:
            raise InputError(f"the query is not valid JSON: {error}") from error
    if len(text) > MAX_TEXT:
        raise InputError(f"the query has {len(text):,} characters, over the limit of {MAX_TEXT:,}")
    return _Parser(text).parse()


class _Parser:
    """Recursive descent: alternatives of conjunctions of parts, each negated or weighted."""

    def __init__(self, text: str) -> None:
        self._text, self._lexemes, self._at = text, list(_lexemes(text)), 0

    def parse(self) -> StructuredQuery:
        if not self._lexemes:
            raise EmptyQuery(self._text)
        query = self._alternatives(1)
        if self._next() is not None:
            raise self._error("this parenthesis closes none; remove it")
        return query

    def _alternatives(self, level: int) -> StructuredQuery:
        members = [self._conditions(level)]
        while self._take("|"):
            members.append(self._conditions(level))
        return members[0] if len(members) == 1 else Disjunction(tuple(members))

    def _conditions(self, level: int) -> StructuredQuery:
        members = [self._part(level)]
        while self._take("&") or self._next() not in (None, "|", ")"):
            members.append(self._part(level))
        return members[0] if len(members) == 1 else Conjunction(tuple(members))

    def _part(self, level: int) -> StructuredQuery:
        if level > MAX_LEVELS:
            raise self._error(f"from here on it is more than {MAX_LEVELS} levels deep; write it flatter")
        if weight := self._take("weight"):
            return self._part(level + 1) * weight.number
        if self._take("~"):
            return ~self._part(level + 1)
        if self._take("-"):
            return ~(About(word.text) if (word := self._take("word")) else self._part(level + 1))
        if opened := self._take("("):
            inside = self._alternatives(level + 1)
            if not self._take(")"):
                raise self._error("this parenthesis is never closed; close it", opened)
            return inside
        return self._leaf()

    def _leaf(self) -> StructuredQuery:
        if (finished := self._take("part")) and finished.part is not None:
            leaf = finished.part
        else:
            written = []
            while word := self._take("word"):
                written.append(word.text)
            if not written:
                raise self._error("a word, a quoted phrase, a [filter] or a parenthesis is missing here")
            leaf = About(" ".join(written))
        while direction := self._take("direction"):
            if not isinstance(leaf, About):
                raise self._error("a direction moves words, not what must occur; write it after them", direction)
            leaf = replace(leaf, directions=(*leaf.directions, (direction.text, direction.number)))
        return leaf

    def _next(self) -> str | None:
        return self._lexemes[self._at].kind if self._at < len(self._lexemes) else None

    def _take(self, kind: str) -> _Lexeme | None:
        if self._next() != kind:
            return None
        self._at += 1
        return self._lexemes[self._at - 1]

    def _error(self, message: str, lexeme: _Lexeme | None = None) -> InputError:
        if lexeme is None and self._at < len(self._lexemes):
            lexeme = self._lexemes[self._at]
        return _error(self._text, message, len(self._text) if lexeme is None else lexeme.at)


def _lexemes(text: str) -> Iterator[_Lexeme]:
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if text[at] == "[":
            end = _closing(text, at)
            yield _Lexeme("part", at, part=where(filters.from_text(text[at + 1 : end])))
            at = end + 1
            continue
        match = _LEXEME.match(text, at)
        if match is None:
            raise _error(text, "this sign has no partner, or no meaning here; put the text in quotes", at)
        yield _lexeme(match)
        at = match.end()


def _lexeme(match: re.Match[str]) -> _Lexeme:
    at, found = match.start(), match.groupdict()
    if (quoted := found["quoted"]) is not None:
        quoted, field = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL), found["field"] or ""
        return _Lexeme("part", at, part=About(quoted) if field == "about" else Words(quoted, field))
    if found["direction"] is not None:
        alpha = float(found["alpha"] or DIRECTION)
        return _Lexeme("direction", at, found["direction"].strip(), -alpha if found["sign"] == "-" else alpha)
    if found["weight"] is not None:
        return _Lexeme("weight", at, number=float(found["weight"]))
    if (operator := found["operator"]) is not None:
        return _Lexeme(_SIGNS.get(operator, operator), at)
    if found["word"] in _CALLS and match.string.startswith("(", match.end()):
        raise _error(
            match.string, 'about(…) is Python; in a text, words stand as they are, "in quotes" if they must occur', at
        )
    return _Lexeme("word", at, found["word"])


def _closing(text: str, at: int) -> int:
    """Return the place of the bracket that closes the one at `at`; brackets in quotes do not count."""
    depth = 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]]', text[at:]):
        depth += {"[": 1, "]": -1}.get(match.group(), 0)
        if not depth:
            return at + match.start()
    raise _error(text, "this bracket is never closed; close it", at)


def _error(text: str, message: str, at: int) -> InputError:
    start = max(at - _CONTEXT, 0)
    shown = "".join(sign if sign.isprintable() else " " for sign in text[start : at + _CONTEXT])
    return InputError(f"the query cannot be read at character {at + 1}: {message}\n  {shown}\n  {' ' * (at - start)}^")


def to_text(query: StructuredQuery) -> str:
    """Return a query as text that `parse` reads."""
    written, alone = _written(query)
    return written if query.weight == 1.0 else f"{_number(query.weight)} * {written if alone else f'({written})'}"


def _written(query: StructuredQuery) -> tuple[str, bool]:
    """Return a query without its weight, and whether it can stand beside others without parentheses."""
    match query:
        case About(text, directions):
            plain = text if _PLAIN.fullmatch(text) else f"about:{_quoted(text)}"
            moved = (f" {{{'-' if by < 0 else '+'}{_number(abs(by))} {toward}}}" for toward, by in directions)
            return plain + "".join(moved), True
        case Words(text, field):
            return f"{field}{':' if field else ''}{_quoted(text)}", True
        case Where(condition):
            return f"[{json.dumps(filters.to_dict(condition), ensure_ascii=False)}]", True
        case Negation(member):
            return f"~{_in_place(member)}", True
    sign = " & " if isinstance(query, Conjunction) else " | "
    return sign.join(map(_in_place, query.members)), False


def _in_place(query: StructuredQuery) -> str:
    written, alone = _written(query)
    if query.weight != 1.0:
        return f"{_number(query.weight)} * {written if alone else f'({written})'}"
    return written if alone else f"({written})"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _number(number: float) -> str:
    return repr(number).removesuffix(".0")
