"""Tests of texts that are more than a comparison by code point: dates, regular expressions, upper and lower case.

Every way of filtering uses these functions, SQL included, so that all keep the same documents.
"""

from __future__ import annotations

import re
import time
import warnings
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from hybridstore.errors import InputError

LONGEST_PATTERN = 1_000  # characters
# Seconds of the processor that a pattern may have in reserve, and earns with each text and each character: matching is
# linear in the length of the texts whatever the pattern. One that does not backtrack needs 1 to 6 microseconds a text.
# RE2 (google-re2 1.1) would be linear by itself and takes as long, but its \w, \d and \b know only ASCII, and it has
# neither look-around nor back-references.
_RESERVE, _EARNED, _EARNED_EACH = 0.02, 2e-4, 1e-6
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


class BoundedPattern:
    """A regular expression whose matching ends in time linear in the length of the texts, if need be by TimeoutError.

    A text may take what the pattern has in reserve, so many texts that each take a little too long are noticed, too.
    """

    def __init__(self, pattern: Any) -> None:
        self._pattern, self._reserve = pattern, _RESERVE

    def found(self, text: str) -> bool:
        """Return whether a text contains a match."""
        left = self._reserve + _EARNED + _EARNED_EACH * len(text)
        self._reserve = _RESERVE  # if this text takes too long, the next query begins anew
        begun = time.thread_time()
        found: bool = self._pattern.search(text, timeout=left) is not None
        self._reserve = min(left - (time.thread_time() - begun), _RESERVE)
        if self._reserve <= 0:
            self._reserve = _RESERVE
            raise TimeoutError
        return found


@lru_cache(maxsize=256)
def compiled(pattern: str) -> BoundedPattern:
    """Return a compiled regular expression, in the syntax of the package `regex`; raises InputError."""
    import regex  # takes 30 ms

    if len(pattern) > LONGEST_PATTERN:
        raise InputError(f"a regular expression has at most {LONGEST_PATTERN:,} characters, not {len(pattern):,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about future meanings
            return BoundedPattern(regex.compile(pattern))
    except (regex.error, KeyError, OverflowError, RecursionError) as error:
        place = getattr(error, "pos", None)
        caret = "" if place is None else f"\n  {pattern}\n  {' ' * place}^"
        raise InputError(f"{pattern!r} is not a regular expression: {error}{caret}") from error


def found(text: str, pattern: str) -> bool:
    """Return whether a text contains a match of a regular expression; raises InputError where that takes too long."""
    try:
        return compiled(pattern).found(text)
    except TimeoutError as error:
        raise InputError(
            f"the regular expression {pattern!r} takes too long on a text of {len(text):,} characters; "
            "write it without repetitions inside of repetitions"
        ) from error


def same_ignoring_case(one: str, other: str) -> bool:
    """Return whether two texts differ in case at most, as Unicode folds it."""
    return one.casefold() == other.casefold()
