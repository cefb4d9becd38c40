"""Metadata summary: the fields, types and values in the meta of Documents; and asynchronous variants of methods."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")

_TYPES = {bool: "boolean", int: "int", float: "float"}  # in Haystack's terms; all else is a keyword


def in_thread(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Return a method's asynchronous variant, "…_async", which runs it in a thread."""

    @wraps(method)
    async def variant(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self, *args, **kwargs)

    variant.__name__, variant.__qualname__ = f"{method.__name__}_async", f"{method.__qualname__}_async"
    variant.__doc__ = f"Like `{method.__name__}`, in a thread."
    return variant


class MetaSummary(ABC):
    """The part of a document store that summarises its meta. A field is named with "meta." or without."""

    @abstractmethod
    def metas(self, filters: dict[str, Any] | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield the meta of each Document that passes the filter."""

    def count_unique_metadata_by_filter(self, filters: dict[str, Any], metadata_fields: list[str]) -> dict[str, int]:
        """Return the number of different values of each field."""
        metas = list(self.metas(filters))
        return {_field_name(name): len(_different(_values(metas, name))) for name in metadata_fields}

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """Return each field's type: {"year": {"type": "int"}}; types are int, float, boolean and keyword."""
        return _types(self.metas())

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        """Return a field's least and greatest value, {"min": …, "max": …}; None if they cannot be compared."""
        return _extremes(_values(self.metas(), metadata_field))

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> tuple[list[Any], int]:
        """Return at most `size` of a field's different values, starting at position `from_`, and their total number.

        `search_term` restricts them to those whose text contains it, in upper or lower case.
        """
        term = (search_term or "").casefold()
        values = _different(_values(self.metas(filters), metadata_field))
        values = [value for value in values if term in str(value).casefold()]
        return values[from_ : from_ + size], len(values)

    count_unique_metadata_by_filter_async = in_thread(count_unique_metadata_by_filter)
    get_metadata_fields_info_async = in_thread(get_metadata_fields_info)
    get_metadata_field_min_max_async = in_thread(get_metadata_field_min_max)
    get_metadata_field_unique_values_async = in_thread(get_metadata_field_unique_values)


def _field_name(field: str) -> str:
    return field.removeprefix("meta.")


def _values(metas: Iterable[Mapping[str, Any]], field: str) -> Iterator[Any]:
    """Yield a field's values, except missing ones and None; dots in its name nest."""
    name = _field_name(field)
    for meta in metas:
        value: Any = meta
        for key in [name] if name in meta else name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            yield value


def _different(values: Iterable[Any]) -> list[Any]:
    """Return each value once, in the order of their texts; 1, 1.0, "1" and True are different."""
    by_key = {(type(value).__name__, json.dumps(value, sort_keys=True)): value for value in values}
    return [by_key[key] for key in sorted(by_key, key=lambda key: (str(by_key[key]), key[0]))]


def _types(metas: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return the type of each field: int, float (perhaps with whole numbers), boolean, or keyword for all else."""
    types: dict[str, str] = {}
    for meta in metas:
        for name, value in meta.items():
            if value is None:
                continue
            kind = _TYPES.get(type(value), "keyword")
            known = types.setdefault(name, kind)
            if kind != known:
                types[name] = "float" if {kind, known} == {"int", "float"} else "keyword"
    return {name: {"type": kind} for name, kind in types.items()}


def _extremes(values: Iterable[Any]) -> dict[str, Any]:
    """Return the least and greatest of numbers, or of texts; None for both if there are none, or of both kinds."""
    values = list(values)
    for kinds in ((bool, int, float), (str,)):
        if values and all(isinstance(value, kinds) for value in values):
            return {"min": min(values), "max": max(values)}
    return {"min": None, "max": None}
