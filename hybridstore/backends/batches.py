"""How entries are prepared for being written, whatever the database: batches, offsets in bytes, chunks that stay."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from json.encoder import encode_basestring
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.values import Entry
from hybridstore.records import Chunk

_FLAT = (str, int)


def distinct(entries: Sequence[Entry]) -> Iterator[dict[str, Entry]]:
    """Split entries where an id is repeated, since the later one replaces the earlier."""
    batch: dict[str, Entry] = {}
    for entry in entries:
        if entry.document.id in batch:
            yield batch
            batch = {}
        batch[str(entry.document.id)] = entry
    yield batch


def moves(batch: Mapping[str, Entry]) -> dict[str, str]:
    """Return the ids of documents that become another one, by the id that each has so far."""
    return {str(entry.moved_from): id_ for id_, entry in batch.items() if entry.moved_from not in (None, id_)}


def same_words(stored: Iterable[tuple[int, bytes]], digests: Sequence[bytes], first: int) -> dict[int, int]:
    """Return the stored chunks (id, digest) whose words an entry has too, with the number that each will have.

    `digests` are those of the entry's chunks, which are numbered from `first` on.
    """
    coming = defaultdict[bytes, list[int]](list)
    for number, digest in enumerate(digests, start=first):
        coming[digest].append(number)
    return {number: coming[digest].pop(0) for number, digest in stored if coming.get(digest)}


def byte_offsets(text: str, chunks: Sequence[Chunk]) -> list[tuple[int, int]]:
    """Return where chunks begin and end in the UTF-8 of their document's text."""
    if text.isascii():
        return [(chunk.start, chunk.end) for chunk in chunks]
    marks = sorted({mark for chunk in chunks for mark in (chunk.start, chunk.end)})
    pieces = zip([0, *marks], marks, strict=False)
    at = dict(zip(marks, accumulate(len(text[a:b].encode()) for a, b in pieces), strict=True))
    return [(at[chunk.start], at[chunk.end]) for chunk in chunks]


def in_order(there: NDArray[np.int64], vectors: NDArray[np.float32], chunks: Sequence[int]) -> NDArray[np.float32]:
    """Return the vectors (n, dim) of the chunks that are `there` in the order of `chunks`; zeros for the others."""
    known, none = dict(zip(there.tolist(), vectors, strict=True)), np.zeros(vectors.shape[1], np.float32)
    return np.array([known.get(chunk, none) for chunk in chunks], np.float32).reshape(-1, vectors.shape[1])


def compact_json(metadata: Mapping[str, Any]) -> str:
    """Return metadata as short JSON."""
    short = flat_json(metadata.items(), encode_basestring, ",", ":")
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":")) if short is None else short


def flat_json(items: Iterable[tuple[Any, Any]], text: Callable[[str], str], comma: str, colon: str) -> str | None:
    """Return an object of texts and integers as JSON, as `json.dumps` would in twice the time; None for others.

    `text` writes a text, `comma` and `colon` are what stands between.
    """
    parts = []
    for key, value in items:
        if type(key) is not str or type(value) not in _FLAT:
            return None
        parts.append(f"{text(key)}{colon}{text(value) if type(value) is str else value}")
    return f"{{{comma.join(parts)}}}"


def timestamp() -> str:
    """Return the time, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
