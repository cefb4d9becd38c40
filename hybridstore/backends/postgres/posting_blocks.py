"""The keyword index: for each word, a row for each block of chunk ids, with an entry for each chunk that holds it.

A row for each chunk and word would take six times the space and as many index entries. A block spans few enough chunks
that adding a document rewrites little of a common word: 256 entries of nine bytes at most. Entries ascend, as chunk ids
do, so that adding appends; a removed chunk's entries are cut out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import weigh
from hybridstore.backends.postgres.connection import Connection, many, rows
from hybridstore.backends.postgres.document_rows import ChunkRow
from hybridstore.backends.postgres.packed import NO_IDS

BLOCK = 256  # chunk ids
# A chunk's place in its block, twice the word's weighted frequency in it, which is a multiple of one half, and the
# chunk's length in tokens, so that a score needs nothing else.
ENTRY = np.dtype([("place", "u1"), ("doubled", "<u4"), ("length", "<u4")])
_WRITTEN_AT_ONCE = 20_000  # rows
_KEY = "occurrences"  # of words, among what a transaction remembers

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

    @classmethod
    def none(cls) -> Self:
        """Return those of what is nowhere."""
        return cls(NO_IDS, np.empty(0), np.empty(0))

    def among(self, mask: NDArray[np.bool_]) -> Occurrences:
        """Return those of a mask (n,)."""
        return Occurrences(self.chunks[mask], self.weighted[mask], self.lengths[mask])


_PACKED = """string_agg(int8send(block), ''::bytea ORDER BY block),
             string_agg(int4send(octet_length(entries)), ''::bytea ORDER BY block),
             string_agg(entries, ''::bytea ORDER BY block)"""


def _unpacked(blocks: bytes | None, sizes: bytes | None, packed: bytes | None, *, several: bool = False) -> Occurrences:
    """Return the entries of blocks, of one word or of `several`, whose frequencies in a chunk are added up."""
    entries = np.frombuffer(packed or b"", ENTRY)
    counts = np.frombuffer(sizes or b"", ">u4") // ENTRY.itemsize
    chunks = np.repeat(np.frombuffer(blocks or b"", ">i8").astype(np.int64) * BLOCK, counts) + entries["place"]
    doubled, lengths = entries["doubled"], entries["length"].astype(np.float64)
    if several:
        chunks, firsts, places = np.unique(chunks, return_index=True, return_inverse=True)
        doubled, lengths = np.bincount(places, doubled, len(chunks)), lengths[firsts]
    return Occurrences(chunks, doubled / 2, lengths)


def occurrences(
    connection: Connection, words: Collection[str], chunks: Sequence[int] | None = None
) -> dict[str, Occurrences]:
    """Return where words are, of which one that ends in * stands for all that begin so; all chunks or some.

    Those of other chunks may come as well. What was read in a transaction that only reads is not read again.
    """
    memo = {} if connection.memo is None else connection.memo
    found = {word: memo[_KEY, word] for word in words if (_KEY, word) in memo}
    left = [word for word in words if word not in found]
    among, values = "", list[object]()
    if chunks is not None:
        among, values = "AND block = ANY(%s::bigint[])", [sorted({chunk // BLOCK for chunk in chunks})]
    read = {word: Occurrences.none() for word in left}
    if whole := [word.encode() for word in left if not word.endswith("*")]:
        statement = f"SELECT word, {_PACKED} FROM postings WHERE word = ANY(%s::bytea[]) {among} GROUP BY word"
        for word, *packed in rows(connection, statement, whole, *values):
            read[word.decode()] = _unpacked(*packed)
    for word in left:
        if word.endswith("*"):
            condition, bounds = beginning(word[:-1])
            statement = f"SELECT {_PACKED} FROM postings WHERE {condition} {among}"
            (joined,) = rows(connection, statement, *bounds, *values)
            read[word] = _unpacked(*joined, several=True)
    if chunks is None:
        memo.update({(_KEY, word): each for word, each in read.items()})
    return found | read


def document_frequencies(connection: Connection, words: Collection[str], rare: int = 0) -> dict[str, int]:
    """Return how many chunks hold each of the words, which are whole.

    Words in at most so many chunks as are `rare` are read whole, as the next question will be where they are.
    """
    statement = f"""SELECT counted.word, df, whole.* FROM (
                        SELECT word, sum(octet_length(entries)) / {ENTRY.itemsize} AS df FROM postings
                        WHERE word = ANY(%s::bytea[]) GROUP BY word) AS counted
                    CROSS JOIN LATERAL (SELECT {_PACKED} FROM postings
                                        WHERE postings.word = counted.word AND df <= %s) AS whole"""
    found = dict.fromkeys(words, 0)
    read = {word: Occurrences.none() for word in words}
    for encoded, df, *packed in rows(connection, statement, [word.encode() for word in words], rare) if words else []:
        word = encoded.decode()
        found[word] = int(df)
        if df <= rare:
            read[word] = _unpacked(*packed)
        else:
            del read[word]
    if connection.memo is not None:
        connection.memo.update({(_KEY, word): each for word, each in read.items()})
    return found


def vocabulary(connection: Connection, beginnings: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the words that begin so, at most as many as stand with each, with the numbers of chunks that hold them."""
    bounds = [beginning(start)[1] for start, _ in beginnings]
    statement = f"""SELECT word, df FROM unnest(%s::bytea[], %s::bytea[], %s::bigint[])
                        WITH ORDINALITY AS asked (low, high, most, number)
                    CROSS JOIN LATERAL (
                        SELECT word, (sum(octet_length(entries)) / {ENTRY.itemsize})::bigint AS df FROM postings
                        WHERE word >= low AND word < high GROUP BY word ORDER BY word LIMIT most) AS found
                    ORDER BY number, word"""
    lows, highs = [low for low, _ in bounds], [high for _, high in bounds]
    found = rows(connection, statement, lows, highs, [most for _, most in beginnings]) if beginnings else []
    return [(word.decode(), count) for word, count in found]


def beginning(start: str) -> tuple[str, list[object]]:
    """Return the condition of words that begin so. No byte of UTF-8 is 0xFF."""
    return "word >= %s AND word < %s", [start.encode(), start.encode() + b"\xff"]
