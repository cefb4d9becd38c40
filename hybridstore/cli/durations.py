"""Lengths of time as people write them: 90s, 12h, 30d, 1d12h."""

from __future__ import annotations

import math
import re

import click

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])")
_WHOLE = re.compile(rf"(?:{_PART.pattern}\s*)+")


def seconds(text: str) -> float:
    """Give a length of time in seconds, above 0; raises ValueError for what is none.

    Numbers with their units, added up: s, m (minutes), h, d and w. A number alone could be anything, and is refused.
    """
    whole = text.strip().lower()
    if not _WHOLE.fullmatch(whole):
        raise ValueError(text)
    length = math.fsum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(whole))
    if not 0 < length < math.inf:
        raise ValueError(text)
    return length


class Duration(click.ParamType[float]):
    """An option's length of time; the command gets its seconds."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Give the seconds; anything else is wrong usage."""
        if isinstance(value, int | float):  # converted before, or a default
            return float(value)
        try:
            return seconds(value)
        except ValueError:
            self.fail(f"{value!r} is no length of time; write 90s, 15m, 12h, 30d, 2w, or 1d12h", param, ctx)


DURATION = Duration()
