"""The terms that FTS5's pages contain, whether or not any row has them: what a purge looks for.

No query returns the terms of deleted rows, so they are read from FTS5's own table (SQLite's fts5_index.c and
fts5_varint.c, version 4 of the format): a page is a header of four bytes (offset of its first rowid, offset of its
footer), terms with their doclists, and a footer of varints: how far it is from each term to the next. A term is written
as the number of bytes it shares with the term before it, and the rest.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from hybridstore.backends.sqlite.stored_values import varints

_SEGMENT = 37  # bits by which a segment's number is shifted in the ids of its pages
_TOMBSTONES = 1 << 16  # added to a segment's number in the ids of its tombstone pages
_MAIN = b"0"  # begins each term of the main index


def terms(connection: apsw.Connection) -> Iterator[bytes]:
    """Yield every term on any page, those of deleted rows too, in no order."""
    # The pages of tombstones have larger ids, those of indexes of doclists the bit below the segment's number set.
    sql = f"SELECT id, block FROM keywords_data WHERE id BETWEEN {1 << _SEGMENT} AND {(_TOMBSTONES << _SEGMENT) - 1}"
    for id_, page in connection.execute(sql):
        if id_ >> (_SEGMENT - 1) & 1:
            continue
        offset, term = 0, b""
        for step in varints(page[int.from_bytes(page[2:4]) :]):
            shared, at = (0, step) if offset == 0 else _varint(page, offset + step)
            length, at = _varint(page, at)
            term = term[:shared] + page[at : at + length]
            offset += step
            yield term.removeprefix(_MAIN)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at a place, and the place after it."""
    number = data[at] & 0x7F
    while data[at] >= 0x80:
        at += 1
        number = number << 7 | data[at] & 0x7F
    return number, at + 1
