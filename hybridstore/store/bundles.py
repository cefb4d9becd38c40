"""Bundles: changes written down, to be read by other stores, each a parts file of an index and the documents.

The index, part 1, is JSON: what the vectors are of, the versions of the documents, removals, and what the store was
told. Part 2 + n is document n: the length of its compressed JSON, that JSON, and its float32 vectors if it has them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hybridstore.backends.learning import Expectation, Feedback, LoggedQuestion
from hybridstore.backends.sqlite.parts_file import PartsFile
from hybridstore.backends.values import Calibration, Embedding, StoredDocument
from hybridstore.backends.versions import Removal, Version
from hybridstore.errors import FileRefused, InputError, NotFound
from hybridstore.store.document_records import calibration_of, document_of, record_of, unit_vectors
from hybridstore.store.merged_learning import Learned

VERSION = 1

_MOST = 2**31  # whatever is counted
_LARGEST = 2**30  # bytes of one document unpacked: SQLite holds no more
_FULL = 16 * 2**20  # bytes of documents in one bundle
_LENGTH = 4  # bytes before a document's JSON that say how long it is


@dataclass(frozen=True, slots=True)
class Index:
    """What a bundle holds: documents as id -> (digest, version, whether their vectors are there), and the rest."""

    language: str
    embedding: Embedding | None = None
    calibration: Calibration | None = None
    documents: Mapping[str, tuple[bytes, str, bool]] = field(default_factory=dict)
    removals: Mapping[bytes, Removal] = field(default_factory=dict)
    learned: Learned = field(default_factory=Learned)

    def fingerprint(self, document_id: str) -> str:
        """Return what made the vectors of a document that are in the bundle, "" where there are none."""
        return self.embedding.fingerprint if self.embedding and self.documents[document_id][2] else ""


class Bundle:
    """A bundle open for reading, as changes that a store can merge; a context manager.

    `wanted` are the documents that are of interest, `removals` stand for those of all bundles that are read together.
    """

    def __init__(
        self, parts: PartsFile, index: Index, wanted: Iterable[str], removals: Mapping[bytes, Removal]
    ) -> None:
        self._parts, self._index, self._removals = parts, index, removals
        self._wanted = set(wanted)
        self._places = {id_: 2 + n for n, id_ in enumerate(index.documents)}
        self.language, self.embedding, self.calibration = index.language, index.embedding, index.calibration

    def versions(self) -> dict[str, tuple[bytes, str]]:
        """Return the versions of the documents that are wanted."""
        return {id_: found[:2] for id_, found in self._index.documents.items() if id_ in self._wanted}

    def removals(self) -> dict[bytes, Removal]:
        """Return what is left of removed documents and forgotten queries, by key."""
        return dict(self._removals)

    def get(self, document_id: str, *, vectors: bool = False) -> StoredDocument:
        """Return a whole document; raises NotFound, and FileRefused for one that cannot be read."""
        if document_id not in self._places:
            raise NotFound(document_id)
        try:
            return self._read(document_id, vectors=vectors)
        except (ValueError, TypeError, LookupError, ArithmeticError, zlib.error, RecursionError) as error:
            raise FileRefused(self._parts.path, f"holds a document that cannot be read ({error})") from error

    def _read(self, document_id: str, *, vectors: bool) -> StoredDocument:
        part = self._parts.part(self._places[document_id])
        end = _LENGTH + int.from_bytes(part[:_LENGTH], "little")
        record = json.loads(unpacked(part[_LENGTH:end]))
        document, chunks, source = document_of(record | {"id": document_id})
        _, version, vectored = self._index.documents[document_id]
        found = None
        if vectors and vectored and self.embedding is not None:
            found = unit_vectors(part[end:], len(chunks), self.embedding.dim)
        return StoredDocument(document, chunks, source, version[:20], vectors=found)

    def learned(self) -> Learned:
        """Return nothing: what stores were told is merged at the end, of all bundles together."""
        return Learned()


def read_index(parts: PartsFile) -> Index:
    """Return a bundle's index; raises FileRefused for one that is none, or was written by a later version."""
    parts.check()
    try:
        fields = json.loads(unpacked(parts.part(1)))
        if fields["hybridstore"] > VERSION:
            raise FileRefused(
                parts.path, "was written by a newer hybridstore; run `pip install --upgrade hybridstore` here"
            )
        return _index(fields)
    except (ValueError, TypeError, LookupError, ArithmeticError, zlib.error, RecursionError) as error:
        raise FileRefused(parts.path, f"is not a bundle of changes ({error})") from error


def _index(fields: Mapping[str, Any]) -> Index:
    embedding = Embedding(*_typed(fields["embedding"], str, str, int)) if fields["embedding"] else None
    calibration = calibration_of(fields["calibration"]) if fields["calibration"] else None
    documents = {
        id_: (_digest(digest), _version(version), bool(vectored))
        for id_, digest, version, vectored in (_typed(row, str, str, str, int) for row in fields["documents"])
    }
    removals = {
        _digest(key): Removal(_version(version) if version else "", purges)
        for key, version, purges in (_typed(row, str, str, int) for row in fields["removals"])
    }
    queries = [LoggedQuestion(*_typed(row, str, int, str)) for row in fields["queries"]]
    feedback = [
        (Feedback(query, 0, document_id, bool(used), when), _digest(words))
        for query, document_id, words, used, when in (
            _typed(row, str, str, str, int, str) for row in fields["feedback"]
        )
    ]
    expectations = [Expectation(*_typed(row, str, str, int, str)) for row in fields["expectations"]]
    return Index(
        str(fields["language"]), embedding, calibration, documents, removals, Learned(queries, feedback, expectations)
    )


def _typed(row: Sequence[Any], *types: type) -> Sequence[Any]:
    """Return a row whose values are of these types; raises ValueError. A whole number counts something."""
    wrong = any(isinstance(value, int) and not 0 <= value < _MOST for value in row)
    if wrong or [type(value) for value in row] != list(types):
        raise InputError(f"the row {str(row)[:80]} is not one of a bundle")
    for value in row:
        if isinstance(value, str):
            value.encode()  # raises for half of a surrogate pair, which no store can hold
    return row


def _digest(text: str) -> bytes:
    if len(digest := bytes.fromhex(text)) != 16:
        raise InputError(f"{text[:80]} is not a digest")
    return digest


def _version(text: str) -> str:
    if Version.of(text) == Version():
        raise InputError(f"{text[:80]} is not a version")
    return text


def unpacked(data: bytes) -> bytes:
    """Return what was compressed; raises InputError where it is not whole or larger than any document."""
    unpacking = zlib.decompressobj()
    found = unpacking.decompress(data, _LARGEST)
    if not unpacking.eof:
        raise InputError("it is not whole, or far too large")
    return found


def _packed(value: object) -> bytes:
    return zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), 6)


def packed(index: Index, documents: Iterable[tuple[bytes, str, StoredDocument]]) -> Iterator[list[bytes]]:
    """Yield the parts of bundles of some 16 MiB: the index's removals and the rest are in the first one.

    Each document comes with its digest and its version. There is always a first bundle.
    """
    rows, bodies, size, first = list[list[Any]](), list[bytes](), 0, True
    for digest, version, stored in documents:
        vectors = b"" if stored.vectors is None else stored.vectors.astype("<f4").tobytes()
        text = _packed(record_of(stored))
        rows.append([stored.document.id, digest.hex(), version, int(stored.vectors is not None)])
        bodies.append(len(text).to_bytes(_LENGTH, "little") + text + vectors)
        size += len(bodies[-1])
        if size >= _FULL:
            yield [_index_part(index, rows, rest=first), *bodies]
            rows, bodies, size, first = [], [], 0, False
    if rows or first:
        yield [_index_part(index, rows, rest=first), *bodies]


def _index_part(index: Index, rows: list[list[Any]], *, rest: bool) -> bytes:
    learned = index.learned if rest else Learned()
    return _packed(
        {
            "hybridstore": VERSION,
            "language": index.language,
            "embedding": index.embedding
            and [index.embedding.fingerprint, index.embedding.reference, index.embedding.dim],
            "calibration": index.calibration and asdict(index.calibration),
            "documents": rows,
            "removals": [[key.hex(), *_row(each)] for key, each in index.removals.items()] if rest else [],
            "queries": [[each.query, each.times, each.last] for each in learned.queries],
            "feedback": [
                [each.query, each.document_id, words.hex(), int(each.used), each.when]
                for each, words in learned.feedback
            ],
            "expectations": [[each.query, each.document_id, each.within, each.made] for each in learned.expectations],
        }
    )


def _row(removal: Removal) -> tuple[str, int]:
    return removal.version, removal.purges
