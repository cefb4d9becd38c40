"""What stands in the meta of many documents: its fields, their types, the values there are."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hybridstore.integrations.haystack.async_methods import in_thread

_TYPES = {bool: "boolean", int: "int", float: "float"}  # in Haystack's words; all else is a keyword


class MetaFacts(ABC):
    """What a document store can be asked about its meta. A field is named with "meta." or without."""

    @abstractmethod
    def metas(self, filters: dict[str, Any] | None = None) -> Iterator[Mapping[str, Any]]:
        """Give the meta of each Document that passes the filter."""

    def count_unique_metadata_by_filter(self, filters: dict[str, Any], metadata_fields: list[str]) -> dict[str, int]:
        """Count the different values of each field."""
        metas = list(self.metas(filters))
        return {_plain(name): len(_different(_values(metas, name))) for name in metadata_fields}

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """Give each field's type: {"year": {"type": "int"}}; types are int, float, boolean and keyword."""
        return _types(self.metas())

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        """Give a field's least and greatest value, {"min": …, "max": …}; None where they cannot be compared."""
        return _extremes(_values(self.metas(), metadata_field))

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> tuple[list[Any], int]:
        """Give a field's different values, from place `from_` on and at most `size`; and how many there are.

        With `search_term` only those whose text holds it, in upper or lower case.
        """
        term = (search_term or "").casefold()
        found = _different(_values(self.metas(filters), metadata_field))
        found = [value for value in found if term in str(value).casefold()]
        return found[from_ : from_ + size], len(found)

    count_unique_metadata_by_filter_async = in_thread(count_unique_metadata_by_filter)
    get_metadata_fields_info_async = in_thread(get_metadata_fields_info)
    get_metadata_field_min_max_async = in_thread(get_metadata_field_min_max)
    get_metadata_field_unique_values_async = in_thread(get_metadata_field_unique_values)


def _plain(field: str) -> str:
    """Give a field's name in meta, from "name" or "meta.name"."""
    return field.removeprefix("meta.")


def _values(metas: Iterable[Mapping[str, Any]], field: str) -> Iterator[Any]:
    """Give a field's values, but for those that are missing or None; dots in its name nest."""
    name = _plain(field)
    for meta in metas:
        value: Any = meta
        for key in [name] if name in meta else name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            yield value


def _different(values: Iterable[Any]) -> list[Any]:
    """Give each value once, in the order of their texts; 1, 1.0, "1" and True are four."""
    met = {(type(value).__name__, json.dumps(value, sort_keys=True)): value for value in values}
    return [met[key] for key in sorted(met, key=lambda key: (str(met[key]), key[0]))]


def _types(metas: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Give the type of each field: int, float (whole numbers among them), boolean, or keyword for all else."""
    found: dict[str, str] = {}
    for meta in metas:
        for name, value in meta.items():
            if value is None:
                continue
            here = _TYPES.get(type(value), "keyword")
            known = found.setdefault(name, here)
            if here != known:
                found[name] = "float" if {here, known} == {"int", "float"} else "keyword"
    return {name: {"type": kind} for name, kind in found.items()}


def _extremes(values: Iterable[Any]) -> dict[str, Any]:
    """Give the least and the greatest of numbers, or of texts; None for both where there are none, or of both kinds."""
    all_values = list(values)
    for kinds in ((bool, int, float), (str,)):
        some = [value for value in all_values if isinstance(value, kinds)]
        if some and len(some) == len(all_values):
            return {"min": min(some), "max": max(some)}
    return {"min": None, "max": None}
