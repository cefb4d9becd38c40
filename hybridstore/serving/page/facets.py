"""Facets: filters that a reader can choose, by the metadata of what a search looked at, with counts of documents.

In a query string `f.lang=en` is a value of a field (several of one field are alternatives), `min.year=2020` and
`max.year=2024` are a range of numbers or dates. Values are JSON where they can be read as that, and else text.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlencode

from hybridstore import filters
from hybridstore.errors import InputError
from hybridstore.filters import And, Filter, Or, field

FOLDER = "folder"
"""The facet of the folders that files are in, by their paths."""

_HIDDEN = ("path", "memory")  # shown as the place of a passage, and a note's own facts
_FACETS, _VALUES = 6, 8  # that are shown
_MANY = 8  # numbers or dates, from which on a range is chosen
_SPREAD = 0.6  # share of different values from which on they are names, not kinds
_FEW = 6  # values that are always kinds
_LONGEST = 60  # characters of a value; longer ones are texts
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?", re.DOTALL)
_ESCAPED = re.compile(r"([.@$\\])")

Chosen = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a facet: as text, as it stands in a query string, how many documents have it, whether it is chosen."""

    text: str
    parameter: str
    count: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """A field to filter by: some `values`, or a range between two numbers or days ("number", "date").

    `low` and `high` are those that there are, `chosen_low` and `chosen_high` those that are chosen, "" for none.
    """

    name: str
    kind: str
    values: tuple[Value, ...] = ()
    low: str = ""
    high: str = ""
    chosen_low: str = ""
    chosen_high: str = ""

    @property
    def active(self) -> bool:
        """Whether something of it is chosen."""
        return bool(self.chosen_low or self.chosen_high) or any(value.chosen for value in self.values)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a reader has chosen: values by field, and the ends of ranges by field."""

    values: Chosen
    low: Mapping[str, str]
    high: Mapping[str, str]

    @classmethod
    def of(cls, parameters: Iterable[tuple[str, str]]) -> Choice:
        """Read a query string's parameters; those that are no choice, and empty ones, are ignored."""
        values: dict[str, list[str]] = defaultdict(list)
        ends: dict[str, dict[str, str]] = {"min": {}, "max": {}}
        for name, text in parameters:
            kind, dot, field_name = name.partition(".")
            if not dot or not field_name or not text:
                continue
            if kind == "f" and text not in values[field_name]:
                values[field_name].append(text)
            elif kind in ends:
                ends[kind][field_name] = text
        return cls({name: tuple(texts) for name, texts in values.items() if texts}, ends["min"], ends["max"])

    @property
    def names(self) -> tuple[str, ...]:
        """The fields of which something is chosen."""
        return tuple(dict.fromkeys([*self.values, *self.low, *self.high]))

    def parameters(self) -> list[tuple[str, str]]:
        """Return the choice as parameters of a query string."""
        pairs = [(f"f.{name}", text) for name, texts in self.values.items() for text in texts]
        pairs += [(f"min.{name}", text) for name, text in self.low.items()]
        return pairs + [(f"max.{name}", text) for name, text in self.high.items()]

    def query(self, q: str, limit: int) -> str:
        """Return the query string of a search with this choice."""
        return urlencode([("q", q), ("limit", str(limit)), *self.parameters()], errors="replace")

    def filter(self, *, without: str | None = None) -> Filter | None:
        """Return the filter for what is chosen, one field left out if it is named; raises InputError."""
        parts: list[Filter] = []
        for name in (name for name in self.names if name != without):
            key = _ESCAPED.sub(r"\\\1", name)
            if texts := self.values.get(name):
                parts.append(Or(tuple(_test(key, name, text) for text in texts)))
            if low := self.low.get(name):
                parts.append(field(key) >= _end(name, low))
            if high := self.high.get(name):
                parts.append(field(key) <= _end(name, high))
        return filters.parse(And(tuple(parts))) if parts else None


def _test(key: str, name: str, text: str) -> Filter:
    return field("path").prefix(text) if name == FOLDER else field(key) == _value(text)


def _end(name: str, text: str) -> float | str:
    value = _value(text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not _DAY.fullmatch(text):
        raise InputError(f"{name}: {text!r} is not a number or a day; write 12, 0.5 or 2026-03-01")
    return text


def _value(text: str) -> str | float | bool | None:
    try:
        value = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
    return value if value is None or isinstance(value, str | int | float) else text


@lru_cache(4096, typed=True)  # the same few values, over and over; True is not 1
def _parameter(value: object) -> str:
    """Return a value as it stands in a query string, so that `_value` reads it again."""
    return value if isinstance(value, str) and _value(value) == value else json.dumps(value, ensure_ascii=False)


def facets(documents: Mapping[str, Mapping[str, Any]], choice: Choice) -> list[Facet]:
    """Return the facets of documents (metadata by id), those of the most documents first, and what is chosen."""
    found: dict[str, Counter[Any]] = defaultdict(Counter)
    holders: Counter[str] = Counter()
    for metadata in documents.values():
        for name, value in metadata.items():
            values = [each for each in (value if isinstance(value, list | tuple) else [value]) if _is_plain(each)]
            if name in _HIDDEN or not values:
                continue
            holders[name] += 1
            found[name].update(set(map(_parameter, values)))
    made = [_facet(name, found[name], holders[name], choice) for name, _ in holders.most_common()]
    present = [each for each in (_folders(documents, choice), *made) if each is not None]
    active = [each for each in present if each.active]
    return (active + [each for each in present if not each.active])[: max(_FACETS, len(active))]


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and 0 < len(value) <= _LONGEST)


def _facet(name: str, counts: Counter[str], holders: int, choice: Choice) -> Facet | None:
    values = [_value(text) for text in counts]
    low, high = choice.low.get(name, ""), choice.high.get(name, "")
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    days = [value[:10] for value in values if isinstance(value, str) and _DAY.fullmatch(value)]
    if len(numbers) == len(values) and (len(numbers) > _MANY or low or high):
        return Facet(name, "number", (), str(min(numbers)), str(max(numbers)), low, high)
    if len(days) == len(values) and (len(days) > 1 or low or high):
        return Facet(name, "date", (), min(days), max(days), low, high)
    chosen = choice.values.get(name, ())
    if len(counts) > max(_FEW, _SPREAD * holders) and not chosen:
        return None
    if len(counts) < 2 and not chosen:  # it tells nothing apart
        return None
    shown = dict(counts.most_common(_VALUES)) | {text: counts[text] for text in chosen}
    listed = (Value(_shown(text), text, count, text in chosen) for text, count in shown.items())
    return Facet(name, "values", tuple(listed))


def _shown(text: str) -> str:
    value = _value(text)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else text


def _folders(documents: Mapping[str, Mapping[str, Any]], choice: Choice) -> Facet | None:
    """Return the facet of the folders below the one that all files are in."""
    paths = [PurePosixPath(path) for each in documents.values() if isinstance(path := each.get("path"), str)]
    chosen = choice.values.get(FOLDER, ())
    if not paths:
        return None
    top = _common([path.parent.parts for path in paths])
    counts = Counter(path.parts[len(top)] for path in paths if len(path.parts) > len(top) + 1)
    if (len(counts) + (sum(counts.values()) < len(paths)) < 2) and not chosen:
        return None
    prefix = PurePosixPath(*top).as_posix().rstrip("/") + "/" if top else ""
    listed = {f"{prefix}{name}/": count for name, count in counts.most_common(_VALUES)}
    listed |= {path: listed.get(path, sum(str(each).startswith(path) for each in paths)) for path in chosen}
    values = (Value(PurePosixPath(path).name, path, count, path in chosen) for path, count in listed.items())
    return Facet(FOLDER, "values", tuple(values))


def _common(parts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    first, last = min(parts), max(parts)
    same = next((n for n, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first[: min(len(first), len(last)) if same is None else same]
