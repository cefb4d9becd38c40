"""The way of documents into the store: checked, compared with what is there, cut, embedded, and put in batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.base import Backend, Embedding, Entry
from hybridstore.chunking import chunk as cut
from hybridstore.embedders.base import Embedder
from hybridstore.errors import InputError
from hybridstore.records import AddReport, Chunk, Document, Source
from hybridstore.store.embedding import StoreEmbedder, embedded_text, identify

# A commit's worth of text. With a model: about three seconds of embedding on two cores, so that progress is seen
# and little is lost by Ctrl-C. Without one: enough that a commit's fixed cost disappears.
_EMBEDDED_CHARACTERS = 120_000
_PLAIN_CHARACTERS = 4_000_000
_MOST_DOCUMENTS = 2_000
_EMBEDDED_AT_ONCE = 128  # chunks between two signs of progress
_PLAIN_WINDOW = 256  # tokens of a chunk in a store without an embedder
_FORMATS = ("plain", "markdown", "code")
_FIELDS = tuple(field.name for field in fields(Document))

Progress = Callable[[AddReport], None]


class Writer:
    """Takes documents one by one and commits them in batches; use it as a context manager.

    Leaving normally commits the rest; leaving by an exception drops what was not yet committed. `report` tells
    what has been committed so far, and `progress` is called with it now and then.
    """

    def __init__(
        self, backend: Backend, embedder: StoreEmbedder, *, chunk: bool = True, progress: Progress | None = None
    ) -> None:
        self._backend, self._embedders, self._chunk, self._progress = backend, embedder, chunk, progress
        self._waiting: dict[str, tuple[Document, bytes, str | None, NDArray[np.float32] | None]] = {}
        self._characters = 0
        self._met: dict[str, set[str]] = {}
        self._finished: dict[Source, frozenset[str]] = {}
        self.report = AddReport()

    def add(
        self, document: Document, *, source: str | None = None, vector: NDArray[np.float32] | None = None
    ) -> None:
        """Add a document; `vector` (dim,) makes it one chunk with this vector. Raises InputError if it cannot be stored.

        Documents of a `source` (a `Source.key`) belong together: see `finish`.
        """
        document = checked(document)
        identifier = str(document.id)
        if identifier in self._waiting:
            self.flush()
        self._waiting[identifier] = (document, self._digest(document, vector), source, vector)
        if source is not None:
            self._met.setdefault(source, set()).add(identifier)
        self._characters += len(document.text) + len(document.title)
        if self._characters >= self._budget(vector) or len(self._waiting) >= _MOST_DOCUMENTS:
            self.flush()

    def finish(self, source: Source) -> None:
        """Say that all documents of a source were added: its vanished ones go with the next commit."""
        self._finished[source] = frozenset(self._met.pop(source.key, set()))

    def flush(self) -> None:
        """Commit what is waiting."""
        if not self._waiting and not self._finished:
            return
        waiting, self._waiting, self._characters = self._waiting, {}, 0
        known = self._backend.digests(list(waiting))
        fresh = {id_ for id_, (_, digest, _, _) in waiting.items() if known.get(id_) != digest}
        embedder = self._embedders.for_writing() if any(waiting[id_][3] is None for id_ in fresh) else None
        entries: list[Entry] = []
        for id_, (document, digest, source, vector) in waiting.items():
            if id_ not in fresh:
                entries.append(Entry(document, digest, (), (), None, source))
                continue
            chunks = self._cut(document, embedder, whole=vector is not None)
            digests = [_hash(_embedded(document, chunk)) for chunk in chunks]
            vectors = None if vector is None else vector[None, :]
            entries.append(Entry(document, digest, chunks, digests, vectors, source))
        embedded, identity = self._embed(entries, fresh & known.keys(), embedder)
        given = next((entry.vectors for entry in entries if entry.vectors is not None), None)
        if identity is None and given is not None:
            identity = self._embedders.identity(given.shape[1])
        report = self._backend.put(embedded, embedding=identity, finished=self._finished)
        self._finished = {}
        self.report += report
        if self._progress:
            self._progress(self.report)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.flush()

    def _budget(self, vector: NDArray[np.float32] | None) -> int:
        return _EMBEDDED_CHARACTERS if vector is None and not self._embedders.without else _PLAIN_CHARACTERS

    def _cut(self, document: Document, embedder: Embedder | None, *, whole: bool) -> Sequence[Chunk]:
        if whole or not self._chunk:
            return (Chunk(0, len(document.text)),)
        if embedder is None:
            return cut(document.text, format=document.format, max_tokens=_PLAIN_WINDOW)
        # The title is embedded with every chunk, so it takes its share of the window; a heading path may take
        # another eighth of it; what is longer is cut by the embedder, at the chunk's end.
        window = embedder.max_tokens - 2
        title = min(len(embedder.token_starts(document.title)), window // 4)
        heading = window // 8 if document.format != "plain" else 0
        return cut(
            document.text,
            format=document.format,
            max_tokens=window - title - heading,
            token_starts=embedder.token_starts,
        )

    def _embed(
        self, entries: list[Entry], replaced: set[str], embedder: Embedder | None
    ) -> tuple[list[Entry], Embedding | None]:
        """Fill in the vectors that are missing, in batches across documents, using again what did not change."""
        if embedder is None:
            return entries, None
        known: dict[bytes, NDArray[np.float32]] = {}
        for id_ in replaced:
            known.update(self._backend.vectors_of(id_))
        wanted = {
            digest: _embedded(entry.document, chunk)
            for entry in entries
            if entry.vectors is None
            for chunk, digest in zip(entry.chunks, entry.chunk_digests, strict=True)
            if digest not in known
        }
        digests = list(wanted)
        for first in range(0, len(digests), _EMBEDDED_AT_ONCE):
            some = digests[first : first + _EMBEDDED_AT_ONCE]
            vectors = embedder.embed_documents([wanted[digest] for digest in some])
            known.update(zip(some, vectors, strict=True))
            self.report += AddReport(embedded=len(some))
            if self._progress:
                self._progress(self.report)
        filled = [
            replace(entry, vectors=np.stack([known[digest] for digest in entry.chunk_digests]))
            if entry.vectors is None and entry.chunks
            else entry
            for entry in entries
        ]
        return filled, identify(embedder)

    def _digest(self, document: Document, vector: NDArray[np.float32] | None) -> bytes:
        metadata = json.dumps(document.metadata, sort_keys=True)
        how = "whole" if vector is not None or not self._chunk else "chunks"
        parts = (document.title, document.uri, document.format, metadata, how, document.text)
        digest = hashlib.blake2b(digest_size=16)
        for part in parts:
            data = part.encode()
            digest.update(len(data).to_bytes(8, "little") + data)
        digest.update(b"" if vector is None else vector.tobytes())
        return digest.digest()


def document_from(given: object) -> Document:
    """Make a Document of a text, a mapping with its fields, or a Document; raises InputError for anything else."""
    if isinstance(given, Document):
        return given
    if isinstance(given, str):
        if not given.strip():
            raise InputError("an empty text cannot be found again; give it a title, or leave it out")
        return Document(text=given)
    if isinstance(given, Mapping):
        unknown = [str(key) for key in given if key not in _FIELDS]
        if unknown or "text" not in given:
            wrong = f"has the unknown fields {', '.join(unknown)}" if unknown else "has no text"
            raise InputError(f"a document {wrong}; its fields are {', '.join(_FIELDS)} (put others into metadata)")
        return Document(**given)
    raise InputError(f"a document is a text, a Document or a mapping, not {type(given).__name__}")


def checked(document: Document) -> Document:
    """See that a document can be stored, and give it an id made from its content if it has none."""
    name = f"document {document.id!r}" if document.id is not None else "a document without id"
    for field in ("text", "title", "uri", "format"):
        _check_text(getattr(document, field), f"{field} of {name}")
    if document.format not in _FORMATS:
        raise InputError(f"format of {name} is {document.format!r}; it must be one of {', '.join(_FORMATS)}")
    if not isinstance(document.metadata, Mapping):
        raise InputError(f"metadata of {name} must be a mapping, not {type(document.metadata).__name__}")
    metadata = _as_json(document.metadata, name)
    if document.id is None:
        content = "\x00".join((document.title, document.uri, document.text))
        return replace(document, id=_hash(content).hex(), metadata=metadata)
    if not document.id:
        raise InputError("an id must not be empty; leave it out to have one made from the content")
    _check_text(document.id, f"id {document.id!r}")
    return replace(document, metadata=metadata)


def _check_text(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise InputError(f"{what} must be a string, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{what} holds half of a character at position {error.start} (a lone surrogate), which cannot be stored; "
            "read the file with errors='replace'"
        ) from error


def _as_json(metadata: Mapping[str, Any], name: str) -> dict[str, Any]:
    try:
        text = json.dumps(dict(metadata), allow_nan=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"metadata of {name} must be JSON (text, numbers, true/false, null, lists, objects): {error}") from error
    copy: dict[str, Any] = json.loads(text)
    return copy


def _embedded(document: Document, chunk: Chunk) -> str:
    return embedded_text(document.title, chunk.heading, document.text[chunk.start : chunk.end])


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
