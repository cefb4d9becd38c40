"""One field's values in many documents: a dictionary of the distinct ones in order, and a code for each document.

Codes follow the order of values (missing, null, false, true, objects, numbers, texts, lists), so a comparison is a
binary search for the codes that pass, and one look at every document's code. Distinct values are compared as
`filters.matches` does it: integers and floats exactly, text by code point.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident.text_dictionary import NO_DATE, TextDictionary, pack
from hybridstore.filters import kind_of
from hybridstore.filters.matching import DATED
from hybridstore.filters.text_tests import compared_instant, found, same_ignoring_case
from hybridstore.filters.tree import INT64

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]
Codes = NDArray[np.unsignedinteger[Any]]
Span = tuple[int, int]  # the codes from the first up to, not including, the second

MISSING = object()
# The first codes. All objects have the same one, for no operator distinguishes them.
_CONSTANTS: tuple[Any, ...] = (MISSING, None, False, True, {})
FIRST_NUMBER = len(_CONSTANTS)
_MISSING, _NULL, _FALSE, _OBJECT = 0, 1, 2, 4
_NUMBER, _TEXT, _LIST = 5, 6, 7
_KINDS = {
    object: _MISSING,
    type(None): _NULL,
    bool: _FALSE,
    dict: _OBJECT,
    int: _NUMBER,
    float: _NUMBER,
    str: _TEXT,
    list: _LIST,
}
_ORDERS = {"eq": np.equal, "gt": np.greater, "gte": np.greater_equal, "lt": np.less, "lte": np.less_equal}
_BY_TEXT = ("contains", "ieq", "regex")
_FEW = 4  # spans compared one by one; more are looked up in a table
# A dictionary is cleared of unused values when it is longer than so many times the documents, and some.
_MOST_UNUSED, _SOME = 2, 1024


@dataclass(frozen=True, slots=True)
class ListValues:
    """Distinct lists, inverted: the `codes` of all elements, ascending, the list of each, and their `values`."""

    count: int
    codes: Codes
    owners: Codes
    values: FieldValues

    def containing(self, operator: str, value: Any, *, dates: bool) -> Codes:
        """Return the lists that have an element which passes a comparison; "contains" compares it as "eq" does."""
        passing = self.values.passing("eq" if operator == "contains" else operator, value, dates=dates)
        return self.owners[passing.take(self.codes)]

    def unpacked(self) -> list[list[Any]]:
        """Return the lists, their elements in any order."""
        lists: list[list[Any]] = [[] for _ in range(self.count)]
        distinct = self.values.distinct()
        for owner, code in zip(self.owners.tolist(), self.codes.tolist(), strict=True):
            lists[owner].append(distinct[code])
        return lists


@dataclass(frozen=True, slots=True)
class FieldValues:
    """A field's values in n documents: `codes` (n,), the distinct numbers and texts ascending, and distinct lists."""

    codes: Codes
    numbers: Sequence[float]
    texts: TextDictionary
    lists: ListValues | None = None

    @property
    def nbytes(self) -> int:
        """The memory it takes, nearly."""
        numbers = len(self.numbers) * (8 if isinstance(self.numbers, array) else 40)
        lists = self.lists.codes.nbytes + self.lists.owners.nbytes + self.lists.values.nbytes if self.lists else 0
        return self.codes.nbytes + numbers + self.texts.nbytes + lists

    @property
    def size(self) -> int:
        """The number of codes in use."""
        return FIRST_NUMBER + len(self.numbers) + len(self.texts) + (self.lists.count if self.lists else 0)

    def mask(self, operator: str, value: Any, *, dates: bool = True) -> Mask:
        """Return which documents pass a comparison, (n,): one of filters.OPERATORS with a value that it takes.

        A list passes where one of its elements does. With `dates`, dates and times are compared as instants.
        """
        match operator:
            case "ne" | "nin":
                return ~self.mask("eq" if operator == "ne" else "in", value, dates=dates)
            case "exists":
                return np.equal(self.codes, _MISSING) ^ np.bool_(value)
        members = value if operator == "in" else (value,)
        if self.lists is None and len(members) <= _FEW and not any(_by_text(operator, one, dates) for one in members):
            spans = [self.span("eq" if operator == "in" else operator, member) for member in members]
            return self._within([span for span in spans if span[0] < span[1]])
        table = np.zeros(self.size, np.bool_)
        passing = self.passing(operator, value, dates=dates)
        table[: len(passing)] = passing
        if self.lists:
            table[len(passing) :][self.lists.containing(operator, value, dates=dates)] = True
        return table.take(self.codes)

    def passing(self, operator: str, value: Any, *, dates: bool) -> Mask:
        """Return which of the codes of values that are no lists pass a comparison."""
        first_text = FIRST_NUMBER + len(self.numbers)
        table = np.zeros(first_text + len(self.texts), np.bool_)
        instants: list[int] = []
        for member in value if operator == "in" else (value,):
            at = compared_instant(member) if dates and operator in DATED else None
            if at is not None:
                instants.append(at)
            elif operator in _BY_TEXT:
                table[first_text:] = self._texts_passing(operator, member)
            else:
                start, stop = self.span("eq" if operator == "in" else operator, member)
                table[start:stop] = True
        if instants:
            known = self.texts.instants
            dated = np.isin(known, instants) if operator == "in" else _ORDERS[operator](known, instants[0])
            table[first_text:] |= dated & (known != NO_DATE)
        return table

    def _texts_passing(self, operator: str, value: Any) -> Mask:
        if operator == "contains":
            return self.texts.containing(value) if isinstance(value, str) else np.zeros(len(self.texts), np.bool_)
        test = found if operator == "regex" else same_ignoring_case
        return np.fromiter((test(text, value) for text in self.texts.unpacked()), np.bool_, len(self.texts))

    def span(self, operator: str, value: Any) -> Span:
        """Return the codes that pass eq, gt, gte, lt, lte or prefix with a value."""
        if value is None:  # which has no order
            return _NULL, _NULL + 1
        ordered: Sequence[Any] | TextDictionary
        match kind_of(value):
            case "boolean":
                first, ordered = _FALSE, (False, True)
            case "number":
                first, ordered = FIRST_NUMBER, self.numbers
            case _:
                first, ordered, value = FIRST_NUMBER + len(self.numbers), self.texts, value.encode()
        low = bisect_left(ordered, value)
        if operator == "prefix":
            length = len(value)
            return first + low, first + bisect_right(ordered, value, low, key=lambda text: text[:length])
        high = bisect_right(ordered, value, low)
        spans = {"eq": (low, high), "lt": (0, low), "lte": (0, high), "gte": (low, len(ordered))}
        start, stop = spans.get(operator, (high, len(ordered)))
        return first + start, first + stop

    def distinct(self) -> list[Any]:
        """Return the value of each code."""
        lists = self.lists.unpacked() if self.lists else []
        return [*_CONSTANTS, *self.numbers, *self.texts.unpacked(), *lists]

    def _within(self, spans: Sequence[Span]) -> Mask:
        mask = np.zeros(len(self.codes), np.bool_)
        for start, stop in spans:
            if stop - start == 1:
                mask |= self.codes == start
            else:
                mask |= (self.codes >= start) & (self.codes < stop)
        return mask


def _by_text(operator: str, value: Any, dates: bool) -> bool:
    """Return whether a comparison looks at every distinct text, and is not a range of their order."""
    return operator in _BY_TEXT or (dates and operator in DATED and compared_instant(value) is not None)


def decoded(texts: Iterable[str]) -> list[Any]:
    """Read JSON texts; an integer beyond int64 becomes a float, as SQLite reads it."""
    values: list[Any] = json.loads(f"[{','.join(texts)}]", parse_int=_integer)
    return values


def _integer(digits: str) -> float:
    number = int(digits) if len(digits) <= 20 else None  # "-9223372036854775808" has 20
    return number if number is not None and number in INT64 else float(digits)


def encoded(values: Sequence[Any], places: NDArray[np.intp]) -> FieldValues:
    """Return the values of documents whose JSON values (or MISSING) are values[places]; equal ones become one."""
    codes = np.fromiter(map(_KINDS.__getitem__, map(type, values)), np.intp, len(values))
    flags, numbers, texts, lists = (codes == kind for kind in (_FALSE, _NUMBER, _TEXT, _LIST))
    codes[flags] += np.array(list(compress(values, flags)), np.intp)
    ordered_numbers, codes[numbers] = ranked(list(compress(values, numbers)), FIRST_NUMBER)
    first_text = FIRST_NUMBER + len(ordered_numbers)
    ordered_texts, codes[texts] = ranked(list(compress(values, texts)), first_text)
    first_list = first_text + len(ordered_texts)
    count = int(np.count_nonzero(lists))
    codes[lists] = np.arange(first_list, first_list + count)
    inverted = _inverted(list(compress(values, lists))) if count else None
    return FieldValues(least(codes, first_list + count)[places], ordered_numbers, pack(ordered_texts), inverted)


def _inverted(lists: Sequence[Sequence[Any]]) -> ListValues:
    # A list in a list equals nothing, as an object does.
    elements = [{} if isinstance(value, list) else value for value in chain.from_iterable(lists)]
    values = encoded(elements, np.arange(len(elements)))
    order = np.argsort(values.codes, kind="stable")
    owners = np.repeat(np.arange(len(lists)), [len(value) for value in lists])
    dictionary = FieldValues(values.codes[:0], values.numbers, values.texts)
    return ListValues(len(lists), values.codes[order], least(owners, len(lists))[order], dictionary)


def least(codes: NDArray[np.intp], end: int) -> Codes:
    """Return codes below `end` in as few bytes as they need."""
    smaller: Codes = codes.astype(np.min_scalar_type(end))
    return smaller


def ranked(values: list[Any], first: int) -> tuple[Sequence[Any], NDArray[np.intp]]:
    """Return the distinct values in order, and the code of each value."""
    packed = _packed(values)
    if packed is not None:
        distinct, codes = np.unique(np.frombuffer(packed, packed.typecode), return_inverse=True)
        return array(packed.typecode, distinct.tobytes()), codes + first
    # Not a set: values that are nearly in order already are sorted in no time.
    ordered = sorted(dict.fromkeys(values))
    code = dict(zip(ordered, range(first, first + len(ordered)), strict=True))
    return ordered, np.fromiter(map(code.__getitem__, values), np.intp, len(values))


def _packed(values: list[Any]) -> array[Any] | None:
    """Return numbers in 8 bytes each where that is exact for all of them, else None."""
    for typecode in "qd":
        try:
            packed = array(typecode, values)
        except (TypeError, OverflowError):
            continue
        if packed.tolist() == values:
            return packed
    return None


# Documents added and removed


def extended(old: FieldValues, kept: Mask, more: Sequence[Any]) -> FieldValues:
    """Return the values of the kept documents and, after them, of others with these JSON values (or MISSING)."""
    fresh = encoded(more, np.arange(len(more)))
    codes = old.codes[kept]
    if old.size + fresh.size > _MOST_UNUSED * (len(codes) + len(more)) + _SOME:
        return _cleared(old, codes, more)
    numbers, texts, places, fresh_places = _joined(old, fresh)
    first_list = FIRST_NUMBER + len(numbers) + len(texts)
    count, fresh_count = (values.lists.count if values.lists else 0 for values in (old, fresh))
    places = np.concatenate([places, first_list + np.arange(count)])
    fresh_places = np.concatenate([fresh_places, first_list + count + np.arange(fresh_count)])
    joined = np.concatenate([places[codes], fresh_places[fresh.codes]])
    lists = _joined_lists(old.lists, fresh.lists)
    return FieldValues(least(joined, first_list + count + fresh_count), numbers, texts, lists)


def _cleared(old: FieldValues, codes: NDArray[Any], more: Sequence[Any]) -> FieldValues:
    """Return the values of documents with these old codes, and others, with a dictionary of just what they have."""
    known = old.distinct()
    raw = np.concatenate([codes.astype(np.intp), np.arange(len(more), dtype=np.intp) + len(known)])
    used = np.zeros(len(known) + len(more), np.bool_)
    used[raw] = True
    return encoded(list(compress([*known, *more], used.tolist())), (np.cumsum(used) - 1)[raw])


def _joined(old: FieldValues, fresh: FieldValues) -> tuple[Sequence[float], TextDictionary, Places, Places]:
    """Join dictionaries without their lists; also return the codes in the joined one of each one's codes."""
    numbers, of_numbers = ranked([*old.numbers, *fresh.numbers], FIRST_NUMBER)
    texts, of_texts, of_fresh_texts = old.texts.joined(fresh.texts)
    constants, first_text = np.arange(FIRST_NUMBER), FIRST_NUMBER + len(numbers)
    places = np.concatenate([constants, of_numbers[: len(old.numbers)], first_text + of_texts])
    fresh_places = np.concatenate([constants, of_numbers[len(old.numbers) :], first_text + of_fresh_texts])
    return numbers, texts, places, fresh_places


def _joined_lists(old: ListValues | None, fresh: ListValues | None) -> ListValues | None:
    if old is None or fresh is None:
        return old or fresh
    numbers, texts, places, fresh_places = _joined(old.values, fresh.values)
    codes, fresh_codes = places[old.codes], fresh_places[fresh.codes]  # both still ascending
    at = np.searchsorted(codes, fresh_codes)
    owners = np.insert(old.owners.astype(np.intp), at, fresh.owners.astype(np.intp) + old.count)
    codes, count = np.insert(codes, at, fresh_codes), old.count + fresh.count
    values = FieldValues(old.values.codes, numbers, texts)
    return ListValues(count, least(codes, FIRST_NUMBER + len(numbers) + len(texts)), least(owners, count), values)
