"""A field's values when documents came and went: the few new ones are worked into the dictionary of the many."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident.field_values import FIRST_NUMBER, Lists, Mask, Values, encoded, least, ranked
from hybridstore.backends.resident.text_dictionary import Texts

# A dictionary is cleared of what no document has when it is longer than so many times the documents, and some.
_MOST_UNUSED, _SOME = 2, 1024

Places = NDArray[np.intp]


def extended(old: Values, kept: Mask, more: Sequence[Any]) -> Values:
    """Give the values of the kept documents and, after them, of others, whose JSON values (or MISSING) are told."""
    fresh = encoded(more, np.arange(len(more)))
    codes = old.codes[kept]
    if old.size + fresh.size > _MOST_UNUSED * (len(codes) + len(more)) + _SOME:
        return _cleared(old, codes, more)
    numbers, texts, places, fresh_places = _joined(old, fresh)
    first_list = FIRST_NUMBER + len(numbers) + len(texts)
    count, fresh_count = (one.lists.count if one.lists else 0 for one in (old, fresh))
    places = np.concatenate([places, first_list + np.arange(count)])
    fresh_places = np.concatenate([fresh_places, first_list + count + np.arange(fresh_count)])
    joined = np.concatenate([places[codes], fresh_places[fresh.codes]])
    lists = _joined_lists(old.lists, fresh.lists)
    return Values(least(joined, first_list + count + fresh_count), numbers, texts, lists)


def _cleared(old: Values, codes: NDArray[Any], more: Sequence[Any]) -> Values:
    known = old.distinct()
    raw = np.concatenate([codes.astype(np.intp), np.arange(len(more), dtype=np.intp) + len(known)])
    used = np.zeros(len(known) + len(more), np.bool_)
    used[raw] = True
    return encoded(list(compress([*known, *more], used.tolist())), (np.cumsum(used) - 1)[raw])


def _joined(old: Values, fresh: Values) -> tuple[Sequence[float], Texts, Places, Places]:
    """Join dictionaries but for their lists; give the codes in the joined one of what each code stood for."""
    numbers, of_numbers = ranked([*old.numbers, *fresh.numbers], FIRST_NUMBER)
    texts, of_texts, of_fresh_texts = old.texts.joined(fresh.texts)
    constants, first_text = np.arange(FIRST_NUMBER), FIRST_NUMBER + len(numbers)
    places = np.concatenate([constants, of_numbers[: len(old.numbers)], first_text + of_texts])
    fresh_places = np.concatenate([constants, of_numbers[len(old.numbers) :], first_text + of_fresh_texts])
    return numbers, texts, places, fresh_places


def _joined_lists(old: Lists | None, fresh: Lists | None) -> Lists | None:
    if old is None or fresh is None:
        return old or fresh
    numbers, texts, places, fresh_places = _joined(old.values, fresh.values)
    codes, fresh_codes = places[old.codes], fresh_places[fresh.codes]  # each still ascending
    at = np.searchsorted(codes, fresh_codes)
    owners = np.insert(old.owners.astype(np.intp), at, fresh.owners.astype(np.intp) + old.count)
    codes, count = np.insert(codes, at, fresh_codes), old.count + fresh.count
    values = Values(old.values.codes, numbers, texts)
    return Lists(count, least(codes, FIRST_NUMBER + len(numbers) + len(texts)), least(owners, count), values)
