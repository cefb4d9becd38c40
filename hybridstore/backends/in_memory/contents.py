"""What a store in memory holds: one value that readers share and that a writer replaces by a changed copy."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.batches import same_words, timestamp
from hybridstore.backends.keyword_scoring import index_columns, weigh
from hybridstore.backends.learning import Expectation, Feedback, LoggedQuestion, ModelVersion, Triple
from hybridstore.backends.values import (
    Calibration,
    Conflict,
    Embedding,
    Embeddings,
    Entry,
    Outdated,
    Passage,
    VectorLeg,
    check_new_leg,
    check_replaces,
)
from hybridstore.backends.versions import NOTHING, Removal, Version, removal_key, removal_of, told_after
from hybridstore.errors import EmbedderMismatch, InputError, NotFound
from hybridstore.filters import Filter, parse, predicate
from hybridstore.records import AddReport, Chunk, Document, Folder, Source
from hybridstore.text.analysis import Analyser

_ADDED = "added "  # begins the key of an added leg's generation


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document as it is stored; `metadata` is its JSON, from which callers get a copy of their own."""

    document: Document
    metadata: str
    digest: bytes
    source: str | None
    version: str
    chunks: tuple[int, ...]

    @property
    def changed(self) -> str:
        """When it was written."""
        return self.version[:20]

    def copy(self) -> Document:
        """Return the document, with metadata that the caller may change."""
        return replace(self.document, metadata=json.loads(self.metadata))


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """A chunk: its place, the digest of what was embedded, its tokens in title, heading, body and compounds."""

    document_id: str
    span: Chunk
    digest: bytes
    columns: tuple[tuple[str, ...], ...]
    length: int


@dataclass(frozen=True, eq=False)
class Generation:
    """An embedder's vectors, by chunk."""

    embedding: Embedding
    vectors: dict[int, NDArray[np.float32]]

    @cached_property
    def matrix(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """All chunks (n,) ascending, and their vectors (n, dim)."""
        chunks = np.array(sorted(self.vectors), np.int64)
        return chunks, self.rows(chunks.tolist())

    def rows(self, chunks: Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors of chunks (n, dim), in this order; zeros where there is none."""
        found = np.zeros((len(chunks), self.embedding.dim), np.float32)
        for row, chunk in zip(found, chunks, strict=True):
            row[:] = self.vectors.get(chunk, 0)
        return found


@dataclass(eq=False)
class Contents:
    """Everything in the store. Nothing in it is changed once readers may see it: a writer changes a `draft`.

    `documents` are in the order in which they were first added. `postings` give for a token the chunks that hold it,
    with its frequency weighted by column; `tokens` counts all of them. `generations` have the states "active",
    "building" and "kept" as keys, those of added legs `leg_state` of their fingerprints, as have `calibrations`;
    models, triples and feedback have numbers, which are never used twice. `expectations` are by query and document.
    """

    documents: dict[str, DocumentRecord] = field(default_factory=dict)
    chunks: dict[int, ChunkRecord] = field(default_factory=dict)
    postings: dict[str, dict[int, float]] = field(default_factory=dict)
    generations: dict[str, Generation] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    models: dict[int, ModelVersion] = field(default_factory=dict)
    triples: dict[int, Triple] = field(default_factory=dict)
    query_log: dict[str, LoggedQuestion] = field(default_factory=dict)
    feedback: dict[int, Feedback] = field(default_factory=dict)
    expectations: dict[tuple[str, str], Expectation] = field(default_factory=dict)
    removals: dict[bytes, Removal] = field(default_factory=dict)
    calibration: Calibration | None = None
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    last_chunk: int = 0
    last_model: int = 0
    last_triple: int = 0
    last_feedback: int = 0
    tokens: int = 0
    revision: int = 0
    changed: bool = False
    owned: set[str] = field(default_factory=set)

    def draft(self) -> Contents:
        """Return a copy to be changed: dicts of its own, whose values are replaced and not changed."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        own = {name: value.copy() for name, value in values.items() if isinstance(value, dict)}
        return Contents(**values | own | {"changed": False, "owned": set()})

    def posting(self, token: str) -> dict[int, float]:
        """Return a token's postings to be changed, copied when a draft first asks for them."""
        if token not in self.owned:
            self.owned.add(token)
            self.postings[token] = self.postings.get(token, {}).copy()
        return self.postings[token]

    def writable(self, state: str) -> dict[int, NDArray[np.float32]]:
        """Return a generation's vectors to be changed, copied when a draft first asks for them."""
        if (name := f"vectors {state}") not in self.owned:  # no token holds a space
            self.owned.add(name)
            generation = self.generations[state]
            self.generations[state] = replace(generation, vectors=generation.vectors.copy())
        return self.generations[state].vectors

    # reading

    @property
    def active(self) -> Generation | None:
        """The vectors that searches use."""
        return self.generations.get("active")

    def of_leg(self, leg: str | None) -> Generation | None:
        """Return the vectors of an added leg by its fingerprint; None is the store's own."""
        return self.generations.get("active" if leg is None else leg_state(leg))

    def legs(self) -> tuple[VectorLeg, ...]:
        """Return the added legs."""
        return tuple(
            VectorLeg(
                embedding=generation.embedding,
                calibration=self.calibrations.get(state),
                vectors=len(generation.vectors),
            )
            for state, generation in self.generations.items()
            if state.startswith(_ADDED)
        )

    @cached_property
    def vocabulary(self) -> list[str]:
        """All tokens, in the order of their UTF-8, which is that of their code points; never asked of a draft."""
        return sorted(self.postings)

    def measured(self) -> Calibration | None:
        """Return the calibration, unless it was measured with other vectors than those that searches use."""
        measured, active = self.calibration, self.active
        return measured if active and measured and active.embedding.fingerprint == measured.fingerprint else None

    def passing(self, where: Filter | None) -> Iterator[tuple[str, DocumentRecord]]:
        """Return the documents that pass a filter."""
        passes = predicate(None if where is None else parse(where))  # parsed for its bounds
        for id_, record in self.documents.items():
            document = record.document
            if passes(document.metadata, {"id": id_, "title": document.title, "uri": document.uri}):
                yield id_, record

    def digest(self, id_: str) -> bytes | None:
        """Return a document's content digest; None where it is not stored."""
        return self.documents[id_].digest if id_ in self.documents else None

    def passages(self, chunks: Iterable[int]) -> list[Passage]:
        """Return chunks as they are shown, in this order, without those that are gone."""
        return [self._passage(chunk) for chunk in chunks if chunk in self.chunks]

    def _passage(self, number: int) -> Passage:
        chunk = self.chunks[number]
        record, (start, end) = self.documents[chunk.document_id], (chunk.span.start, chunk.span.end)
        document = record.document
        text, facts = document.text[start:end], json.loads(record.metadata)
        heading = chunk.span.heading
        return Passage(number, chunk.document_id, text, document.title, document.uri, heading, start, end, facts)

    def of_source(self, key: str) -> set[str]:
        """Return the documents that were read from a source."""
        return {id_ for id_, record in self.documents.items() if record.source == key}

    # writing

    def put(self, entry: Entry, analyser: Analyser, *, embedded: bool) -> AddReport:
        """Write an entry; its vectors go to the active generation if it is `embedded`."""
        id_ = str(entry.document.id)
        if entry.moved_from is not None and entry.moved_from != id_:
            self._move(entry.moved_from, id_, entry.source)
        stored = self.documents.get(id_)
        check_replaces(id_, entry.replaces, self.digest(id_))
        if stored and stored.digest == entry.digest:
            later = max(stored.version, entry.version, key=lambda text: Version.of(text).order)
            self.documents[id_] = replace(stored, source=entry.source or stored.source, version=later)
            return AddReport(unchanged=1)
        if not entry.chunks:
            raise Outdated(id_)
        version = self._version(id_, entry)
        source = stored.source if entry.version and stored and entry.source is None else entry.source
        numbers = range(self.last_chunk + 1, self.last_chunk + 1 + len(entry.chunks))
        if stored:
            self.rename(
                same_words([(n, self.chunks[n].digest) for n in stored.chunks], entry.chunk_digests, numbers.start)
            )
            self.remove_chunks(stored.chunks)
        metadata = json.dumps(dict(entry.document.metadata), ensure_ascii=False)
        document = replace(entry.document, id=id_, metadata=json.loads(metadata))
        self.documents[id_] = DocumentRecord(document, metadata, entry.digest, source, version, tuple(numbers))
        for number, chunk, digest in zip(numbers, entry.chunks, entry.chunk_digests, strict=True):
            text = document.text[chunk.start : chunk.end]
            words = index_columns(analyser, document.title, chunk.heading, text, document.uri)
            columns = tuple(tuple(column.split()) for column in words)
            length, frequencies = weigh(columns)
            self.chunks[number] = ChunkRecord(id_, chunk, digest, columns, length)
            self.tokens += length
            for token, frequency in frequencies.items():
                self.posting(token)[number] = frequency
        if embedded and entry.vectors is not None:
            rows = np.array(entry.vectors, np.float32)
            self.writable("active").update(zip(numbers, rows, strict=True))
        self.last_chunk, self.changed = numbers[-1], True
        return AddReport(added=int(not stored), replaced=int(bool(stored)), chunks=len(numbers))

    def _version(self, id_: str, entry: Entry) -> str:
        """Return the version of an entry that is written, which is no longer removed."""
        removal, stored = removal_of(id_, self.removals), self.documents.get(id_)
        if entry.version and removal.purges > Version.of(entry.version).purges:
            raise Conflict(id_, None, None)
        own = self.removals.pop(removal_key(id_), NOTHING)
        if own.purges:
            self.removals[removal_key(id_)] = Removal("", own.purges)
        if entry.version:
            return entry.version
        return removal.after(stored.version if stored else None, stored.digest if stored else b"", timestamp())

    def _leave(self, id_: str, record: DocumentRecord) -> None:
        before = Version.of(record.version)
        self.removals[removal_key(id_)] = Removal(str(before.next(record.digest, timestamp())), before.purges)

    def purged(self, ids: Iterable[str], before: Contents) -> None:
        """Record that documents were purged; `before` holds them."""
        for id_ in ids:
            key, record = removal_key(id_), before.documents.get(id_)
            self.removals[key] = before.removals.get(key, NOTHING).purged(record.version if record else "")

    def join(self, removals: Mapping[bytes, Removal]) -> None:
        """Record removals where they are later than what is recorded."""
        for key, removal in removals.items():
            self.removals[key] = self.removals.get(key, NOTHING) | removal

    def _move(self, old: str, new: str, source: str | None) -> None:
        """Change a document's id; if another document has the new id already, the one that moves is removed."""
        if old not in self.documents:
            return
        if new in self.documents:
            self.remove([old])
            return
        record = self.documents[old]
        self._leave(old, record)
        there = replace(record, document=replace(record.document, id=new), source=source)
        self.documents = {new if id_ == old else id_: there if id_ == old else r for id_, r in self.documents.items()}
        for chunk in record.chunks:
            self.chunks[chunk] = replace(self.chunks[chunk], document_id=new)
        if record.source is not None and not self.of_source(record.source):
            self.sources.pop(record.source, None)
        self.changed = True

    def remove(self, ids: Iterable[str], removals: Mapping[bytes, Removal] | None = None) -> int:
        """Remove documents; return how many there were. `removals` are from another store, which removed them."""
        removed = []
        for id_ in dict.fromkeys(ids):
            if id_ in self.documents:
                self._leave(id_, record := self.documents.pop(id_))
                removed.append(record)
                if removal := (removals or {}).get(removal_key(id_)):
                    self.removals[removal_key(id_)] = removal
        self.remove_chunks([chunk for record in removed for chunk in record.chunks])
        for record in removed:
            if record.source is not None:
                self.sources.pop(record.source, None)  # no longer fully here: it is to be read again
        return len(removed)

    def remove_chunks(self, chunks: Collection[int]) -> None:
        """Remove chunks from all but their documents: with their keywords, vectors, and what was learned of them."""
        if not chunks:
            return
        gone = set(chunks)
        for chunk in chunks:
            record = self.chunks.pop(chunk)
            self.tokens -= record.length
            for token in weigh(record.columns)[1]:
                posting = self.posting(token)
                del posting[chunk]
                if not posting:
                    del self.postings[token]
                    self.owned.discard(token)
        for state in list(self.generations):
            vectors = self.writable(state)
            for chunk in chunks:
                vectors.pop(chunk, None)
        self.feedback = {number: each for number, each in self.feedback.items() if each.chunk not in gone}
        self.triples = {
            number: replace(triple, negatives=tuple(each for each in triple.negatives if each.chunk not in gone))
            for number, triple in self.triples.items()
            if triple.positive not in gone and triple.origin not in gone
        }
        self.changed = True

    def rename(self, moved: Mapping[int, int]) -> None:
        """Let all that was learned of chunks name others instead, which have the same words."""

        def new(chunk: int) -> int:
            return moved.get(chunk, chunk)

        if not moved:
            return
        self.feedback = {number: replace(each, chunk=new(each.chunk)) for number, each in self.feedback.items()}
        self.triples = {
            number: replace(
                triple,
                positive=new(triple.positive),
                origin=None if triple.origin is None else new(triple.origin),
                negatives=tuple(replace(each, chunk=new(each.chunk)) for each in triple.negatives),
            )
            for number, triple in self.triples.items()
        }

    # learning

    def model(self) -> ModelVersion | None:
        """Return the active version of the model."""
        return next((model for model in self.models.values() if model.state == "active"), None)

    def version(self, number: int) -> ModelVersion:
        """Return a version of the model; raises NotFound."""
        if number not in self.models:
            reason = f"no model has the number {number}; `hybridstore model history` shows those there are"
            raise NotFound(str(number), reason)
        return self.models[number]

    def promote(self, number: int | None) -> bool:
        """Make a version the active one and retire the one before; return False where it is active already.

        Going back to the version that the active one names as `previous` leaves that one's own `previous` unchanged,
        so that going back again goes further back; where that would lead round in a circle, the circle is opened.
        """
        before = self.model()
        if number == (before.number if before else None):
            return False
        if number is not None:
            target, active = self.version(number).target, self.active
            if active is None or active.embedding.fingerprint != target:
                there = f"the store's are of {active.embedding.fingerprint}" if active else "the store has none"
                raise InputError(
                    f"model {number} is for vectors of {target}, and {there}; `hybridstore reembed` makes them"
                )
        if before:
            self.models[before.number] = replace(before, state="retired")
        if number is not None:
            model = self.models[number] = replace(self.models[number], state="active")
            if before is None or before.previous != number:
                self.models[number] = replace(model, previous=before.number if before else None)
            elif before.number in self._earlier(model):
                self.models[before.number] = replace(self.models[before.number], previous=None)
        self.changed = True
        return True

    def _earlier(self, model: ModelVersion) -> set[int]:
        """Return the versions that going back from this one, again and again, comes to."""
        earlier: set[int] = set()
        while model.previous is not None and model.previous not in earlier:
            earlier.add(model.previous)
            model = self.models[model.previous]
        return earlier

    def forget_queries(self, queries: Collection[str]) -> int:
        """Remove queries from the log, with all that names them; return how many it held."""
        logged, until = len(self.query_log.keys() & set(queries)), timestamp()
        times = [(each.query, each.last) for each in self.query_log.values()]
        times += [(each.query, each.when) for each in self.feedback.values()]
        times += [(each.query, each.made) for each in self.expectations.values()]
        told = {query: max(until, *(at for named, at in times if named == query), "") for query in queries}
        self.join({removal_key(query, "query"): Removal(at) for query, at in told.items()})
        self.query_log = {query: each for query, each in self.query_log.items() if query not in queries}
        self.triples = {number: each for number, each in self.triples.items() if each.query not in queries}
        self.feedback = {number: each for number, each in self.feedback.items() if each.query not in queries}
        self.expectations = {key: each for key, each in self.expectations.items() if each.query not in queries}
        return logged

    def told_at(self, query: str, *keys: bytes) -> str:
        """Return the time for something that is told of a query now."""
        keys = (removal_key(query, "query"), *keys)
        return told_after(self.removals[key] for key in keys if key in self.removals)

    def forget_until(self, queries: Mapping[str, str]) -> None:
        """Remove what was told of queries, each up to a time."""

        def stays(query: str, at: str) -> bool:
            return at > queries.get(query, "")

        self.query_log = {query: each for query, each in self.query_log.items() if stays(query, each.last)}
        self.triples = {number: each for number, each in self.triples.items() if each.query not in queries}
        self.feedback = {number: each for number, each in self.feedback.items() if stays(each.query, each.when)}
        self.expectations = {key: each for key, each in self.expectations.items() if stays(each.query, each.made)}

    # generations of vectors

    def embeddings(self) -> Embeddings:
        """Return the embedders of the generations."""
        states = {state: each.embedding for state, each in self.generations.items() if not state.startswith(_ADDED)}
        return Embeddings(**states, added=tuple(leg.embedding for leg in self.legs()))

    def require(self, embedding: Embedding, state: str = "active") -> None:
        """Record the embedding if there is none in this state; raises EmbedderMismatch or InputError for another."""
        there = self.generations.setdefault(state, Generation(embedding, {})).embedding
        if there.fingerprint != embedding.fingerprint:
            raise EmbedderMismatch(there.fingerprint, embedding.fingerprint)
        if there.dim != embedding.dim:
            raise InputError(f"the store's vectors have {there.dim} dimensions, these have {embedding.dim}")

    def begin(self, embedding: Embedding) -> None:
        """Start or continue building vectors of another embedder; those that are kept serve if they are its own."""
        building, kept = self.generations.get("building"), self.generations.get("kept")
        if building and building.embedding.fingerprint != embedding.fingerprint:
            del self.generations["building"]
        if self.active and self.active.embedding.fingerprint == embedding.fingerprint:
            return
        if "building" not in self.generations:
            own = leg_state(embedding.fingerprint)
            if own in self.generations:
                self.generations["building"] = self.generations.pop(own)
                self.calibrations.pop(own, None)
            elif kept and kept.embedding.fingerprint == embedding.fingerprint:
                self.generations["building"] = self.generations.pop("kept")
        self.require(embedding, "building")

    def add_leg(self, embedding: Embedding) -> None:
        """Add a vector leg; vectors of this embedder that are kept or being built become its own."""
        check_new_leg(self.embeddings(), embedding)
        state = leg_state(embedding.fingerprint)
        for other in ("building", "kept"):
            if other in self.generations and self.generations[other].embedding == embedding:
                self.generations[state] = self.generations.pop(other)
        self.require(embedding, state)

    def drop_leg(self, fingerprint: str) -> bool:
        """Remove an added leg; return whether it was there."""
        self.calibrations.pop(leg_state(fingerprint), None)
        return self.generations.pop(leg_state(fingerprint), None) is not None

    def pending(self, leg: str | None = None) -> Iterator[int]:
        """Yield the chunks without a vector of the embedding being built, or of the active one, or of a leg."""
        target = self.of_leg(leg) if leg is not None else self.generations.get("building") or self.active
        return (chunk for chunk in self.chunks if target and chunk not in target.vectors)

    def missing(self) -> NDArray[np.int64]:
        """Return the chunks without a vector of the active embedding, ascending."""
        active = self.active
        if active is None or len(active.vectors) == len(self.chunks):
            return np.empty(0, np.int64)
        return np.array(sorted(self.chunks.keys() - active.vectors.keys()), np.int64)

    def fill(self, embedding: Embedding, chunks: Sequence[int], vectors: NDArray[np.float32]) -> int:
        """Store vectors (n, dim) for those of the chunks that are there and have none; return how many these are."""
        state = leg_state(embedding.fingerprint)
        if state not in self.generations:
            state = "building" if "building" in self.generations else "active"
        self.require(embedding, state)
        own = self.writable(state)
        before = len(own)
        for chunk, vector in zip(chunks, np.array(vectors, np.float32), strict=True):
            if chunk in self.chunks and chunk not in own:
                own[chunk] = vector
                self.changed |= state != "building"
        return len(own) - before

    def switch(self, *, keep: bool, promote: int | None) -> bool:
        """Make the embedding being built the active one; return False while chunks are pending."""
        if next(self.pending(), None) is not None:
            return False
        if "building" not in self.generations:
            raise InputError("no re-embedding is under way; run `hybridstore reembed`")
        if self.active and keep:
            self.generations["kept"] = self.active
        self.generations["active"] = self.generations.pop("building")
        if promote is not None:
            self.promote(promote)
        if (model := self.model()) and model.target != self.generations["active"].embedding.fingerprint:
            self.models[model.number] = replace(model, state="retired")
        self.changed = True
        return True


def leg_state(fingerprint: str) -> str:
    """Return the key of an added leg's generation."""
    return f"{_ADDED}{fingerprint}"
