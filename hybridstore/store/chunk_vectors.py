"""Chunks and their vectors: documents divided to fit an embedder's window, and embedded in batches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Embedding, Entry, Passage, Restriction
from hybridstore.embedders.protocol import Embedder
from hybridstore.records import Chunk, Document, Hit
from hybridstore.store.embedder_choice import embedded_text, identify

_EMBEDDED_AT_ONCE = 128  # chunks between two reports of progress
_FIRST_PART, _PART_SECONDS = 8, 0.3  # texts, and the time of a part: less than a person waits for a program to end
_PORTION = 150_000  # characters between two commits of vectors: as many chunks of a window
_WINDOWS_TOLD = 64  # of long texts embedded to explain a search: about two seconds
_PLAIN_WINDOW = 256  # tokens of a chunk in a store without an embedder


def cut(document: Document, embedder: Embedder | None) -> Sequence[Chunk]:
    """Divide a document into chunks that fit the embedder's window."""
    from hybridstore.text.chunking import chunk as cut_text  # a search never needs it

    if embedder is None:
        return cut_text(document.text, format=document.format, max_tokens=_PLAIN_WINDOW)
    # The title is embedded with every chunk, so it takes its share of the window; a heading path may take another
    # eighth of it; the embedder truncates what is longer, at the chunk's end.
    window = embedder.max_tokens - 2
    title = (
        min(len(embedder.token_starts(document.title)) + 1, window // 4) if document.title else 0
    )  # and its full stop
    heading = window // 8 if document.format != "plain" else 0
    return cut_text(
        document.text,
        format=document.format,
        max_tokens=window - title - heading,
        token_starts=embedder.token_starts,
    )


def vectors_of(embedder: Embedder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Embed passages, (n, dim) of unit norm; of one longer than the window, the mean of its windows by their length.

    So a text that is a little longer has nearly the vector of its beginning, which says best what it is about: halves
    that count the same cost Cranfield .02 nDCG@10 of the vector leg (docs/experiments.md).
    """
    windows = [_windows(text, embedder) for text in texts]
    flat = [window for own in windows for window in own]
    vectors = embedder.embed_documents(flat)
    if len(flat) == len(texts):
        return vectors
    weighted = vectors * np.array([len(window) for window in flat], np.float32)[:, None]
    sums = np.add.reduceat(weighted, np.cumsum([0, *map(len, windows[:-1])]), axis=0)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.where(norms == 0.0, 1.0, norms), np.float32)


def _windows(text: str, embedder: Embedder) -> Sequence[str]:
    """Divide what is embedded into parts that fit the embedder's window, all but the last one full, between words."""
    size = max(embedder.max_tokens - 2, 1)
    starts = () if len(text) <= size else embedder.token_starts(text)
    if len(starts) <= size:
        return (text,)
    windows, first, begin = list[str](), 0, 0
    while len(starts) - first > size:
        end = starts[first + size]
        space = text.rfind(" ", starts[first + size // 2], end) + 1
        end = space or end
        windows.append(text[begin:end])
        first, begin = bisect_left(starts, end, first + 1), end
    return [*windows, text[begin:]]


def nearest_windows(embedder: Embedder, query: NDArray[np.float32], hits: Iterable[Hit]) -> dict[int, str]:
    """Say of hits whose texts are longer than the window which part is nearest to the query's vector, by chunk.

    The parts are embedded for it, at most 64 in all: hits whose parts are more than are left are passed over.
    """
    left, found = _WINDOWS_TOLD, dict[int, str]()
    for hit in hits:
        before = embedded_text(hit.title, hit.heading, "")
        parts = _windows(embedded_text(hit.title, hit.heading, hit.text), embedder)
        if 1 < len(parts) <= left:
            left -= len(parts)
            cosines = embedder.embed_documents(parts) @ query
            best = int(cosines.argmax())
            start = max(sum(map(len, parts[:best])) - len(before), 0)
            end = min(max(sum(map(len, parts[: best + 1])) - len(before), 0), len(hit.text))
            found[hit.chunk_id] = (
                f"nearest at [{hit.start + start}:{hit.start + end}], part {best + 1} of {len(parts)} "
                f"(cosine {cosines[best]:.3f})"
            )
    return found


def portions(passages: Sequence[Passage]) -> Iterator[Sequence[Passage]]:
    """Divide passages so that no portion takes much longer to embed than so many chunks of a window."""
    first, characters = 0, 0
    for n, passage in enumerate(passages):
        if first < n and characters + len(passage.text) > _PORTION:
            yield passages[first:n]
            first, characters = n, 0
        characters += len(passage.text)
    if passages:
        yield passages[first:]


def embedded(document: Document, chunk: Chunk) -> str:
    """Return the text that is embedded for a chunk."""
    return embedded_text(document.title, chunk.heading, document.text[chunk.start : chunk.end])


def known_vectors(backend: Backend, ids: Iterable[str], leg: str | None = None) -> dict[bytes, NDArray[np.float32]]:
    """Return the stored vectors of documents, by the digests of what was embedded; of an added leg, if it is named."""
    known: dict[bytes, NDArray[np.float32]] = {}
    for id_ in ids:
        known.update(backend.chunk_vectors(id_, leg))
    return known


def embed(
    backend: Backend,
    entries: list[Entry],
    replaced: set[str],
    embedder: Embedder | None,
    made: Callable[[int, float], None],
) -> tuple[list[Entry], Embedding | None]:
    """Fill in the missing vectors, in batches across documents, and reuse those of chunks that did not change.

    `replaced` are the ids of stored documents whose vectors may be reused. `made` is called with the number of chunks
    that were embedded, and which part of all that are missing they are.
    """
    if embedder is None:
        return entries, None
    return with_vectors(entries, known_vectors(backend, replaced), embedder, made), identify(embedder)


def with_vectors(
    entries: list[Entry],
    known: dict[bytes, NDArray[np.float32]],
    embedder: Embedder,
    made: Callable[[int, float], None],
) -> list[Entry]:
    """Return entries with the vectors that they lack: the `known` ones, and others in batches; see `embed`."""
    missing = {
        digest: embedded(entry.document, chunk)
        for entry in entries
        if entry.vectors is None
        for chunk, digest in zip(entry.chunks, entry.chunk_digests, strict=True)
        if digest not in known
    }
    digests = list(missing)
    for first in range(0, len(digests), _EMBEDDED_AT_ONCE):
        batch = digests[first : first + _EMBEDDED_AT_ONCE]
        vectors = vectors_of(embedder, [missing[digest] for digest in batch])
        known.update(zip(batch, vectors, strict=True))
        made(len(batch), len(batch) / len(digests))
    return [
        replace(entry, vectors=np.stack([known[digest] for digest in entry.chunk_digests]))
        if entry.vectors is None and entry.chunks
        else entry
        for entry in entries
    ]


def fill_known(
    backend: Backend, entry: Entry, known: Mapping[bytes, NDArray[np.float32]], identity: Embedding
) -> dict[int, Chunk]:
    """Store the `known` vectors of a document that is stored without; return its other chunks by their ids.

    None, where another process has replaced it meanwhile.
    """
    id_ = str(entry.document.id)
    with backend.snapshot():
        same = backend.digests([id_]).get(id_) == entry.digest
        ids = backend.chunks_of([id_], Restriction()).get(id_, []) if same else []
    chunks = list(zip(ids, entry.chunk_digests, entry.chunks, strict=bool(ids)))
    own = {id_: known[digest] for id_, digest, _ in chunks if digest in known}
    if own:
        backend.fill(identity, list(own), np.stack(list(own.values())))
    return {id_: chunk for id_, _, chunk in chunks if id_ not in own}


def fill(
    backend: Backend, entry: Entry, known: Mapping[bytes, NDArray[np.float32]], embedder: Embedder
) -> Iterator[tuple[int, float]]:
    """Store the vectors of a document that is stored without: the `known` ones, and others in batches.

    After each batch it yields how many were made, and which part of all that were to be made they are.
    """
    missing = fill_known(backend, entry, known, identify(embedder))
    ids = list(missing)
    for first in range(0, len(ids), _EMBEDDED_AT_ONCE):
        batch = ids[first : first + _EMBEDDED_AT_ONCE]
        texts = [embedded(entry.document, missing[chunk]) for chunk in batch]
        backend.fill(identify(embedder), batch, vectors_of(embedder, texts))
        yield len(batch), len(batch) / len(ids)


def embedded_until(
    stopped: Callable[[], bool] | None, embedder: Embedder, texts: Sequence[str]
) -> tuple[list[int], NDArray[np.float32]]:
    """Embed texts until `stopped`, all without it; return the indices of those embedded, and their vectors (n, dim).

    With `stopped` they are embedded in parts of similar length, so that it ends soon also where a whole block takes
    20 seconds, as on a busy machine; and the vectors that were made are not lost.
    """
    if stopped is None:
        return list(range(len(texts))), vectors_of(embedder, texts)
    order, at, size = sorted(range(len(texts)), key=lambda n: len(texts[n])), 0, _FIRST_PART
    vectors = [np.empty((0, embedder.dim), np.float32)]
    while at < len(order) and not stopped():
        started = perf_counter()
        vectors.append(vectors_of(embedder, [texts[n] for n in order[at : at + size]]))
        at += size
        size = max(1, min(2 * size, int(size * _PART_SECONDS / max(perf_counter() - started, 1e-6))))
    return order[:at], np.concatenate(vectors)
