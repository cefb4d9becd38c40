"""Moments: read from what callers give, kept as seconds since 1970 (so that filters compare numbers), told as ISO 8601.

A time without a zone is taken as UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hybridstore.errors import InputError

Moment = str | datetime
Span = float | timedelta


def seconds_of(given: Moment, what: str) -> float:
    """Give a moment in seconds since 1970; raises InputError for what is no ISO text and no datetime."""
    if isinstance(given, str):
        try:
            given = datetime.fromisoformat(given.strip())
        except ValueError as error:
            raise InputError(
                f"{what} is {given!r}, which is no time in ISO 8601; write 2026-03-01 or 2026-03-01T14:30:00Z"
            ) from error
    if not isinstance(given, datetime):
        raise InputError(f"{what} is a time in ISO 8601 or a datetime, not {given!r}")
    try:
        seconds = (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
        moment(seconds)  # a zone can put it before the year 1, or after 9999
    except (OverflowError, ValueError) as error:
        raise InputError(f"{what} is {given.isoformat()}, which is too far from today to be kept") from error
    return seconds


def moment_of(given: Moment | None, what: str) -> datetime | None:
    """Give a moment as a datetime in UTC, None for none; raises as `seconds_of`."""
    return None if given is None else moment(seconds_of(given, what))


def moment(seconds: float) -> datetime:
    """Give the datetime, in UTC, of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def told(when: datetime) -> str:
    """Write a moment for people and models: to the minute, or the day alone where it is midnight."""
    when = when.astimezone(UTC)
    midnight = (when.hour, when.minute) == (0, 0)
    return when.date().isoformat() if midnight else f"{when.replace(tzinfo=None).isoformat(timespec='minutes')}Z"


def span_of(given: Span, what: str) -> float:
    """Give a length of time in seconds; raises InputError unless it is above 0."""
    length = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(length, bool) or not isinstance(length, int | float) or not 0 < length < float("inf"):
        raise InputError(f"{what} is a number of seconds above 0, or a timedelta, not {given!r}")
    return float(length)
