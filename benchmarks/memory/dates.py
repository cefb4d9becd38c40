"""The formats of times in the data sets."""

from __future__ import annotations

from datetime import datetime

from hybridstore.errors import InputError

FORMATS = (
    "%I:%M %p on %d %B, %Y",  # LoCoMo: 4:04 pm on 20 January, 2023
    "%Y/%m/%d (%a) %H:%M",  # LongMemEval: 2023/05/20 (Sat) 02:21
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
)


def time_of(written: object, where: str) -> datetime | None:
    """Read a time, None where there is none; no data set names a time zone. `where` is for the error's message."""
    if written is None or written == "":
        return None
    if isinstance(written, str):
        for form in FORMATS:
            try:
                return datetime.strptime(written.strip(), form)  # noqa: DTZ007 - people's own clocks
            except ValueError:
                continue
        try:
            return datetime.fromisoformat(written.strip())
        except ValueError:
            pass
    raise InputError(
        f"{where}: {written!r} is not a time; times are written as in '4:04 pm on 20 January, 2023', "
        "'2023/05/20 (Sat) 02:21' or '2023-05-20T02:21'"
    )
