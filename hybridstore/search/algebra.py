"""The retrieval algebra: questions with structure, as values joined by `&`, `|` and `~`.

    about("solar power") & about("storage") & ~about("lithium")
    about("phone").more("cheap").less("gaming") & (field("year") >= 2020)
    2 * about("solar power") & (words("zero-day exploit") | about("security hole"))

Each part is true of a passage to a degree from 0 to 1: `about` by the evidence of both legs, `words` and `where`
entirely or not at all. `search.truth` says how degrees are made and joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, NoReturn, Self

from hybridstore import filters
from hybridstore.errors import InputError
from hybridstore.filters.tree import TakesFilters
from hybridstore.text.expressions import FIELDS

MAX_LEVELS, MAX_PARTS = 12, 128
MAX_ABOUT = 32  # each is a search of its own
MAX_DIRECTIONS = 8
MAX_TEXT = 10_000  # characters, as of a query
MOST_WEIGHT = 100.0
DIRECTION = 1.0  # the α of a direction, unless it comes with one: the best of 0.25 to 1.5 (docs/experiments.md)


class StructuredQuery(TakesFilters):
    """A question with structure: About, Words and Where, joined by Conjunction, Disjunction and Negation.

    Immutable, and equal to another of the same parts. `repr` is Python that makes it, `str` the text that
    `query_from` reads, and it reads what `to_dict` makes. `weight` is how much it counts among the parts that it is
    joined with: see `2 * about("…")`. Raises InputError for more than 12 levels, 128 parts, or 32 of `about`.
    """

    __slots__ = ()
    weight: float

    @property
    def members(self) -> tuple[StructuredQuery, ...]:
        """The parts that it joins; () for About, Words and Where."""
        return ()

    def parts(self) -> Iterator[StructuredQuery]:
        """Yield it and all of its parts, each before its own."""
        yield self
        for member in self.members:
            yield from member.parts()

    def __and__(self, other: StructuredQuery | filters.Filter) -> Conjunction:
        return Conjunction((*_flat(Conjunction, self), *_flat(Conjunction, other)))

    def __rand__(self, other: filters.Filter) -> Conjunction:
        return where(other) & self

    def __or__(self, other: StructuredQuery | filters.Filter) -> Disjunction:
        return Disjunction((*_flat(Disjunction, self), *_flat(Disjunction, other)))

    def __ror__(self, other: filters.Filter) -> Disjunction:
        return where(other) | self

    def __invert__(self) -> StructuredQuery:
        """Return the negation, which keeps the weight; that of a negation is what it negates."""
        if isinstance(self, Negation):
            return self.member.with_weight(self.weight)
        return Negation(self.with_weight(1.0), weight=self.weight)

    def __mul__(self, weight: float) -> Self:
        """Return it with its weight multiplied: 2 counts like the same part twice, 0.5 like half of it.

        Among conditions that must all hold, a truth t counts as t to the power of the weight; among alternatives, 1 - t
        does. So weights bend a truth as Zadeh's "very" and "more or less" do ("A Fuzzy-Set-Theoretic Interpretation of
        Linguistic Hedges", 1972), and De Morgan's laws hold with them.
        """
        if not isinstance(weight, int | float) or isinstance(weight, bool):
            raise InputError(f"a weight is a number, not {weight!r}")
        return self.with_weight(self.weight * weight)

    __rmul__ = __mul__

    def with_weight(self, weight: float) -> Self:
        """Return it with another weight."""
        same: Self = replace(self, weight=weight)  # type: ignore[type-var]  # every part is a dataclass
        return same

    def __bool__(self) -> NoReturn:  # `a and b` would silently drop one half
        raise InputError("a query has no truth value by itself; combine queries with & | ~, not with and, or, not")

    def __str__(self) -> str:
        from hybridstore.search.algebra_text import to_text

        return to_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a mapping, ready for JSON; `query_from` reads it."""
        plain: dict[str, Any] = self._plain()
        return plain if self.weight == 1.0 else plain | {"weight": self.weight}

    def _plain(self) -> dict[str, Any]:
        raise NotImplementedError

    def _check(self) -> None:
        weight = self.weight
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0.0 < weight <= MOST_WEIGHT:
            raise InputError(f"a weight is a number above 0 and at most {MOST_WEIGHT:g}, not {weight!r}")
        object.__setattr__(self, "weight", float(weight))


def _weighted(written: str, weight: float) -> str:
    return written if weight == 1.0 else f"{weight!r} * {written}"


@dataclass(frozen=True, slots=True, repr=False)
class About(StructuredQuery):
    """What a passage is about, in plain words: true by the evidence of words and meaning.

    `directions` move the meaning: pairs of a text and α, above 0 for `more`, below for `less`.
    """

    text: str
    directions: tuple[tuple[str, float], ...] = ()
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Raise InputError for a text without words, or a direction without words or α."""
        _check_text("about", self.text)
        if len(self.directions) > MAX_DIRECTIONS:
            raise InputError(f"at most {MAX_DIRECTIONS} directions, not {len(self.directions)}")
        for text, alpha in self.directions:
            _check_text("a direction", text)
            if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not isfinite(alpha) or not alpha:
                raise InputError(f"α of the direction {text!r} is a number other than 0, not {alpha!r}")
        object.__setattr__(self, "directions", tuple((text, float(alpha)) for text, alpha in self.directions))
        self._check()

    def more(self, text: str, alpha: float = DIRECTION) -> About:
        """Return it moved towards a text: unit(query + α · (this - that)), of all `more` (this) and `less` (that).

        The vectors are of unit norm, and so is the result. Words are searched for as before. After "PDV: Prompt
        Directional Vectors for Zero-shot Composed Image Retrieval".
        """
        return replace(self, directions=(*self.directions, (text, _positive(alpha))))

    def less(self, text: str, alpha: float = DIRECTION) -> About:
        """Return it moved away from a text; see `more`."""
        return replace(self, directions=(*self.directions, (text, -_positive(alpha))))

    def __repr__(self) -> str:
        moved = "".join(f".{'more' if by > 0 else 'less'}({text!r}, {abs(by)!r})" for text, by in self.directions)
        return _weighted(f"about({self.text!r}){moved}", self.weight)

    def _plain(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"about": self.text}
        return plain | ({"directions": [list(each) for each in self.directions]} if self.directions else {})


@dataclass(frozen=True, slots=True, repr=False)
class Words(StructuredQuery):
    """Words that occur one after the other, in `field` ("title" or "heading"), or anywhere if it is ""."""

    text: str
    field: str = ""
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Raise InputError for a text without words, or another field."""
        _check_text("words", self.text)
        if self.field not in ("", *FIELDS):
            raise InputError(f'words can be in {", ".join(FIELDS)} or anywhere (""), not in {self.field!r}')
        self._check()

    def __repr__(self) -> str:
        return _weighted(f"words({self.text!r}{f', {self.field!r}' if self.field else ''})", self.weight)

    def _plain(self) -> dict[str, Any]:
        return {"words": self.text} | ({"field": self.field} if self.field else {})


@dataclass(frozen=True, slots=True, repr=False)
class Where(StructuredQuery):
    """A filter over documents."""

    filter: filters.Filter
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Raise InputError for a weight that is none."""
        self._check()

    def __repr__(self) -> str:
        return _weighted(f"where({filters.to_dict(self.filter)!r})", self.weight)

    def _plain(self) -> dict[str, Any]:
        return {"where": filters.to_dict(self.filter)}


@dataclass(frozen=True, slots=True, repr=False)
class _Joined(StructuredQuery):
    """Two or more parts."""

    joined: tuple[StructuredQuery, ...]
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Raise InputError for less than two parts, and a query that is too deep or too large."""
        if len(self.joined) < 2:
            raise InputError("two parts or more can be joined, not less")
        self._check()
        _check_size(self)

    @property
    def members(self) -> tuple[StructuredQuery, ...]:
        """The parts."""
        return self.joined

    def _written(self, sign: str) -> str:
        parts = (
            f"({part!r})" if isinstance(part, _Joined) and part.weight == 1.0 else repr(part) for part in self.joined
        )
        whole = f" {sign} ".join(parts)
        return whole if self.weight == 1.0 else _weighted(f"({whole})", self.weight)


class Conjunction(_Joined):
    """All of `joined` hold; written with `&`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return self._written("&")

    def _plain(self) -> dict[str, Any]:
        return {"all": [member.to_dict() for member in self.joined]}


class Disjunction(_Joined):
    """At least one of `joined` holds; written with `|`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return self._written("|")

    def _plain(self) -> dict[str, Any]:
        return {"any": [member.to_dict() for member in self.joined]}


@dataclass(frozen=True, slots=True, repr=False)
class Negation(StructuredQuery):
    """`member` does not hold; written with `~`, which makes no negation of a negation."""

    member: StructuredQuery
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Raise InputError for a query that is too deep."""
        self._check()
        _check_size(self)

    @property
    def members(self) -> tuple[StructuredQuery, ...]:
        """What it negates."""
        return (self.member,)

    def __repr__(self) -> str:
        inner = repr(self.member)
        return _weighted(f"~({inner})" if isinstance(self.member, _Joined) else f"~{inner}", self.weight)

    def _plain(self) -> dict[str, Any]:
        return {"not": self.member.to_dict()}


def about(text: str, *, weight: float = 1.0) -> About:
    """Return the condition that a passage is about this, by its words and its meaning; see StructuredQuery.

    Quotation marks, minus signs and fields have no meaning in it: use `words` and `~`.
    """
    return About(text, weight=weight)


def words(text: str, field: str = "") -> Words:
    """Return the condition that these words occur, one after the other: in the "title", the "heading", or anywhere."""
    return Words(text, field)


def where(condition: Mapping[str, Any] | filters.Filter) -> Where:
    """Return a filter as part of a query; filters that are joined with one by `&` or `|` become that by themselves."""
    tree = filters.parse(condition)
    if tree is None:
        raise InputError("the filter is empty: name what a document must have")
    return Where(tree)


def _flat(kind: type[_Joined], part: object) -> tuple[StructuredQuery, ...]:
    if isinstance(part, filters.Filter):
        part = where(part)
    if not isinstance(part, StructuredQuery):
        raise InputError(
            f"queries combine with queries and filters only, not with {part!r:.100}; write about({part!r:.40})"
        )
    return part.members if isinstance(part, kind) and part.weight == 1.0 else (part,)


def _check_text(what: str, text: object) -> None:
    from hybridstore.search.query_plan import has_words

    if not isinstance(text, str):
        raise InputError(f"{what} takes a text, not {text!r:.100}")
    if not has_words(text):
        raise InputError(f"{what} takes a text with a word, not {text!r:.100}")
    if len(text) > MAX_TEXT:
        raise InputError(f"{what} takes a text of at most {MAX_TEXT:,} characters, not {len(text):,}")


def _positive(alpha: float) -> float:
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0.0 < alpha < float("inf"):
        raise InputError(f"α of a direction is a number above 0, not {alpha!r}")
    return alpha


def _check_size(query: StructuredQuery) -> None:
    level, count, searched, parts = 0, 0, 0, [query]
    while parts:
        level, count = level + 1, count + len(parts)
        searched += sum(isinstance(part, About) for part in parts)
        if level > MAX_LEVELS or count > MAX_PARTS or searched > MAX_ABOUT:
            raise InputError(
                f"the query is more than {MAX_LEVELS} levels deep, or has more than {MAX_PARTS} parts or {MAX_ABOUT} "
                "of about; write it flatter, or ask for less at once"
            )
        if not all(isinstance(part, StructuredQuery) for part in parts):
            raise InputError("a query is made of queries; write about(…), words(…) or where(…)")
        parts = [member for part in parts for member in part.members]
