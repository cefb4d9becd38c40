"""Tests of texts that are more than a comparison by code point: dates, regular expressions, upper and lower case.

Every way of filtering uses these functions, SQL included, so that all keep the same documents.
"""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from hybridstore.errors import InputError

LONGEST_PATTERN = 1_000  # characters
# Seconds for one text, and more for each of its characters: with this limit, matching is linear in the length of the
# texts whatever the pattern. Patterns that do not backtrack exponentially need some microseconds.
_SECONDS, _SECONDS_EACH = 0.02, 1e-6
_ISO_8601 = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d:?\d\d(?::?\d\d(?:[.,]\d{1,9})?)?) ?(Z|[+-]\d\d(?::?\d\d)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def instant(text: str) -> int | None:
    """Return the microseconds from 1970 to a date or time in ISO 8601; None for any other text.

    A month or a day begins at midnight, and without an offset the time is UTC: "2024-05", "2024-05-01" and
    "2024-05-01T02:00+02:00" are one instant.
    """
    match = _ISO_8601.fullmatch(text) if len(text) < 40 else None
    if match is None:
        return None
    year, month, day, time, offset = match.groups()
    written = f"{year}-{month}-{day or '01'}T{(time or '00:00').replace(',', '.')}{(offset or 'Z').upper()}"
    try:
        return (datetime.fromisoformat(written) - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):  # there is no 30 February
        return None


def compared_instant(value: object) -> int | None:
    """Return the instant by which a filter compares with this value: that of a text with at least a day, else None."""
    return instant(value) if isinstance(value, str) and len(value) >= len("2024-05-01") else None


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """Return a compiled regular expression, in the syntax of the package `regex`; raises InputError."""
    import regex  # takes 30 ms

    if len(pattern) > LONGEST_PATTERN:
        raise InputError(f"a regular expression has at most {LONGEST_PATTERN:,} characters, not {len(pattern):,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about future meanings
            return regex.compile(pattern)
    except (regex.error, KeyError, OverflowError, RecursionError) as error:
        place = getattr(error, "pos", None)
        caret = "" if place is None else f"\n  {pattern}\n  {' ' * place}^"
        raise InputError(f"{pattern!r} is not a regular expression: {error}{caret}") from error


def found(text: str, pattern: str) -> bool:
    """Return whether a text contains a match of a regular expression; raises InputError where that takes too long."""
    try:
        return compiled(pattern).search(text, timeout=_SECONDS + _SECONDS_EACH * len(text)) is not None
    except TimeoutError as error:
        raise InputError(
            f"the regular expression {pattern!r} takes too long on a text of {len(text):,} characters; "
            "write it without repetitions inside of repetitions"
        ) from error


def same_ignoring_case(one: str, other: str) -> bool:
    """Return whether two texts differ in case at most, as Unicode folds it."""
    return one.casefold() == other.casefold()
