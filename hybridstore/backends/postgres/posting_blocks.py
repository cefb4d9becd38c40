"""The keyword index: for each word, a row for each block of chunk ids, with an entry for each chunk that holds it.

A row for each chunk and word would take six times the space and as many index entries. A block spans few enough chunks
that adding a document rewrites little of a common word: 256 entries of nine bytes at most. Entries ascend, as chunk ids
do, so that adding appends; a removed chunk's entries are cut out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import weigh
from hybridstore.backends.postgres.connection import Connection, many, rows
from hybridstore.backends.postgres.document_rows import ChunkRow

BLOCK = 256  # chunk ids
# A chunk's place in its block, twice the word's weighted frequency in it, which is a multiple of one half, and the
# chunk's length in tokens, so that a score needs nothing else.
ENTRY = np.dtype([("place", "u1"), ("doubled", "<u4"), ("length", "<u4")])
_WRITTEN_AT_ONCE = 20_000  # rows

Words = Mapping[int, tuple[int, Mapping[str, float]]]
"""The length of each chunk, and the weighted frequency of each of its words."""


def frequencies(row: ChunkRow) -> tuple[int, dict[str, float]]:
    """Return the length of a stored chunk and the weighted frequency of each of its words."""
    return weigh([column.split() for column in columns(row[2])])


def columns(tokens: bytes) -> list[str]:
    """Return a chunk's columns from its stored tokens."""
    return tokens.decode().split("\n")


def stored_tokens(texts: Sequence[str]) -> bytes:
    """Return columns of tokens as they are stored: a line for each, with a space before and after each token."""
    return "\n".join(f" {' '.join(column.split())} " for column in texts).encode()


def write(connection: Connection, words: Words) -> None:
    """Add chunks, whose ids are larger than those of all chunks there are."""
    entries = defaultdict[tuple[str, int], list[tuple[int, int, int]]](list)
    for chunk, (length, weighted) in words.items():
        block, place = divmod(chunk, BLOCK)
        for word, frequency in weighted.items():
            entries[word, block].append((place, int(2 * frequency), length))
    ordered = sorted(entries.items())
    statement = """INSERT INTO postings SELECT * FROM unnest(%s::bytea[], %s::bigint[], %s::bytea[])
                   ON CONFLICT (word, block) DO UPDATE SET entries = postings.entries || excluded.entries"""
    for first in range(0, len(ordered), _WRITTEN_AT_ONCE):
        some = ordered[first : first + _WRITTEN_AT_ONCE]
        packed = [np.array(sorted(own), ENTRY).tobytes() for _, own in some]
        connection.execute(statement, ([word.encode() for (word, _), _ in some], [key[1] for key, _ in some], packed))


def remove(connection: Connection, gone: Iterable[ChunkRow]) -> None:
    """Take chunks out of the index."""
    places = defaultdict[tuple[bytes, int], list[int]](list)
    for row in gone:
        block, place = divmod(row[0], BLOCK)
        for word in frequencies(row)[1]:
            places[word.encode(), block].append(place)
    if not places:
        return
    keys = list(places)
    statement = """SELECT word, block, entries FROM postings
                   JOIN unnest(%s::bytea[], %s::bigint[]) AS named (word, block) USING (word, block)"""
    found = rows(connection, statement, [word for word, _ in keys], [block for _, block in keys])
    left: list[tuple[bytes, int, bytes]] = []
    empty: list[tuple[bytes, int]] = []
    for word, block, packed in found:
        entries = np.frombuffer(packed, ENTRY)
        kept = entries[~np.isin(entries["place"], places[word, block])]
        if len(kept):
            left.append((kept.tobytes(), word, block))
        else:
            empty.append((word, block))
    many(connection, "UPDATE postings SET entries = %s WHERE word = %s AND block = %s", left)
    many(connection, "DELETE FROM postings WHERE word = %s AND block = %s", empty)


# reading


class Occurrences:
    """The chunks (n,) that hold something, ascending, its weighted frequency and the length of each, both (n,)."""

    __slots__ = ("chunks", "lengths", "weighted")

    def __init__(self, chunks: NDArray[np.int64], weighted: NDArray[np.float64], lengths: NDArray[np.float64]) -> None:
        self.chunks, self.weighted, self.lengths = chunks, weighted, lengths

    def among(self, mask: NDArray[np.bool_]) -> Occurrences:
        """Return those of a mask (n,)."""
        return Occurrences(self.chunks[mask], self.weighted[mask], self.lengths[mask])


def _unpacked(found: Sequence[tuple[int, bytes]]) -> Occurrences:
    """Return the entries of blocks, of one word or of several, whose frequencies in a chunk are added up."""
    counts = [len(packed) // ENTRY.itemsize for _, packed in found]
    entries = np.frombuffer(b"".join(packed for _, packed in found), ENTRY)
    chunks = np.repeat(np.array([block for block, _ in found], np.int64) * BLOCK, counts) + entries["place"]
    ids, firsts, places = np.unique(chunks, return_index=True, return_inverse=True)
    weighted = np.bincount(places, entries["doubled"], len(ids)) / 2
    return Occurrences(ids, weighted, entries["length"][firsts].astype(np.float64))


def occurrences(
    connection: Connection, words: Collection[str], chunks: Sequence[int] | None = None
) -> dict[str, Occurrences]:
    """Return where words are, of which one that ends in * stands for all that begin so; all chunks or some.

    Those of other chunks in the same blocks may come as well.
    """
    blocks = None if chunks is None else sorted({chunk // BLOCK for chunk in chunks})
    among = "" if blocks is None else "AND block = ANY(%s::bigint[])"
    values: list[object] = [] if blocks is None else [blocks]
    whole = [word.encode() for word in words if not word.endswith("*")]
    found = defaultdict[str, list[tuple[int, bytes]]](list)
    if whole:
        statement = f"SELECT word, block, entries FROM postings WHERE word = ANY(%s::bytea[]) {among} ORDER BY 1, 2"
        for word, block, packed in rows(connection, statement, whole, *values):
            found[word.decode()].append((block, packed))
    for word in words:
        if word.endswith("*"):
            condition, bounds = beginning(word[:-1])
            statement = f"SELECT block, entries FROM postings WHERE {condition} {among}"
            found[word] = rows(connection, statement, *bounds, *values)
    return {word: _unpacked(found[word]) for word in words}


def document_frequencies(connection: Connection, words: Collection[str]) -> dict[str, int]:
    """Return how many chunks hold each of the words, which are whole."""
    statement = f"""SELECT word, sum(octet_length(entries)) / {ENTRY.itemsize} FROM postings
                    WHERE word = ANY(%s::bytea[]) GROUP BY word"""
    found = {word.decode(): int(df) for word, df in rows(connection, statement, [word.encode() for word in words])}
    return {word: found.get(word, 0) for word in words}


def vocabulary(connection: Connection, start: str, limit: int) -> list[tuple[str, int]]:
    """Return at most `limit` words that begin so, with the numbers of chunks that hold them."""
    condition, bounds = beginning(start)
    statement = f"""SELECT word, (sum(octet_length(entries)) / {ENTRY.itemsize})::bigint FROM postings WHERE {condition}
                    GROUP BY word ORDER BY word LIMIT %s"""
    return [(word.decode(), count) for word, count in rows(connection, statement, *bounds, limit)]


def beginning(start: str) -> tuple[str, list[object]]:
    """Return the condition of words that begin so. No byte of UTF-8 is 0xFF."""
    return "word >= %s AND word < %s", [start.encode(), start.encode() + b"\xff"]
