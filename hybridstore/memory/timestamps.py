"""Moments and spans of time: parsed from what callers pass, stored as seconds since 1970, shown as ISO 8601.

A time without a zone is taken as UTC. Stored as numbers, moments can be compared by filters.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hybridstore.errors import InputError

Moment = str | datetime
Span = float | timedelta


def seconds_of(value: Moment, name: str) -> float:
    """Return a moment in seconds since 1970; raises InputError for anything but ISO 8601 text or a datetime."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise InputError(
                f"{name} is {value!r}, which is not a time in ISO 8601; write 2026-03-01 or 2026-03-01T14:30:00Z"
            ) from error
    if not isinstance(value, datetime):
        raise InputError(f"{name} must be a time in ISO 8601 or a datetime, not {value!r}")
    try:
        seconds = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        moment(seconds)  # a zone can put it before the year 1, or after 9999
    except (OverflowError, ValueError) as error:
        raise InputError(f"{name} is {value.isoformat()}, which is out of range") from error
    return seconds


def moment_of(value: Moment | None, name: str) -> datetime | None:
    """Return a moment as a datetime in UTC, or None for None; raises like `seconds_of`."""
    return None if value is None else moment(seconds_of(value, name))


def moment(seconds: float) -> datetime:
    """Return the datetime, in UTC, of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def short_iso(when: datetime) -> str:
    """Return a moment in ISO 8601 for people and models: to the minute, or only the day at midnight."""
    when = when.astimezone(UTC)
    midnight = (when.hour, when.minute) == (0, 0)
    return when.date().isoformat() if midnight else f"{when.replace(tzinfo=None).isoformat(timespec='minutes')}Z"


def span_of(value: Span, name: str) -> float:
    """Return a length of time in seconds; raises InputError unless it is above 0."""
    length = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(length, bool) or not isinstance(length, int | float) or not 0 < length < float("inf"):
        raise InputError(f"{name} must be a number of seconds above 0, or a timedelta, not {value!r}")
    return float(length)
