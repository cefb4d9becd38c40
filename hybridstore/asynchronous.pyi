# Written by docs/generate_async_stubs.py from Store, Memory and Writer; change them, then run `make docs`.

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, Unpack

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from hybridstore import filters
from hybridstore.backends.learning import Expectation, LoggedQuestion, ModelVersion
from hybridstore.backends.protocols import SearchState
from hybridstore.backends.values import (
    Capabilities,
    CompactReport,
    Embedding,
    Problem,
    PurgeReport,
    Stats,
    StoredDocument,
    Whatever,
)
from hybridstore.embedders.protocol import Embedder
from hybridstore.filters import Filter
from hybridstore.ingest.line_files import File
from hybridstore.memory.consolidation import Consolidation
from hybridstore.memory.conversations import Message
from hybridstore.memory.history import ForgetReport, Target
from hybridstore.memory.memory import Memory
from hybridstore.memory.notes import Moment, Note, Span
from hybridstore.memory.recall_result import Recall
from hybridstore.memory.recalling import Recency
from hybridstore.memory.remembering import ImportReport, Remembered
from hybridstore.records import AddReport, Chunk, Document, Folder, Hit, Results, Source
from hybridstore.search.algebra import StructuredQuery
from hybridstore.search.explain import Explanation
from hybridstore.search.neighbours import Around
from hybridstore.search.rewriting import RewriteOption
from hybridstore.search.second_stage import Rerank, Reranker
from hybridstore.store.expectations import TestedExpectation
from hybridstore.store.folders import Paths, SyncProgress, SyncReport
from hybridstore.store.inputs import Addable, SearchOptions, Table, Where
from hybridstore.store.merging import MergeReport
from hybridstore.store.message_stream import Readable, Writable
from hybridstore.store.prepared_adding import Prepared
from hybridstore.store.shared_folder import ExchangeReport
from hybridstore.store.store import Store, T
from hybridstore.store.trial import Trial
from hybridstore.store.writer import Progress, Vectors, Writer
from hybridstore.text.analysis import Analyser

_Made = TypeVar("_Made")
_Returned = TypeVar("_Returned")

class ThreadedObject(Generic[_Made]):
    def __init__(self, make: Callable[[], _Made], *, workers: int) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    async def run(self, call: Callable[[_Made], _Returned]) -> _Returned: ...
    async def close(self) -> None: ...

class AsyncStore(ThreadedObject[Store]):
    def __init__(
        self,
        path_or_store: str | os.PathLike[str] | Store,
        *,
        workers: int = ...,
        embedder: str | Path | Embedder | None = ...,
        language: str | None = ...,
        codec: str | None = ...,
        threads: int | None = ...,
        busy_timeout: float = ...,
        memory: int = ...,
        create: bool = ...,
        log_queries: bool = ...,
        key: str | None = ...,
        durability: str = ...,
        read_only: bool = ...,
        vfs: str | None = ...,
    ) -> None: ...
    def opened(self) -> Store: ...
    @property
    def language(self) -> str: ...
    @property
    def location(self) -> str: ...
    @property
    def capabilities(self) -> Capabilities: ...
    @property
    def key(self) -> str | None: ...
    @property
    def folder(self) -> Path | None: ...
    @property
    def analyser(self) -> Analyser: ...
    @property
    def merged(self) -> bool: ...
    async def add(
        self,
        documents: Addable | os.PathLike[str] | Iterable[Addable | os.PathLike[str]] | Table,
        *,
        vectors: ArrayLike | Literal["soon", "later"] | None = ...,
        chunk: bool = ...,
        progress: Progress | None = ...,
    ) -> AddReport: ...
    async def add_folder(
        self,
        path: Paths,
        *,
        include: Sequence[str] = ...,
        exclude: Sequence[str] = ...,
        hidden: bool = ...,
        follow_links: bool = ...,
        prune: bool = ...,
        dry_run: bool = ...,
        max_file_size: int | None = ...,
        encoding: str | None = ...,
        progress: Callable[[SyncProgress], None] | None = ...,
    ) -> SyncReport: ...
    async def add_prepared(self, batches: Prepared, *, progress: Progress | None = ...) -> AddReport: ...
    async def backup(self, path: str | os.PathLike[str]) -> None: ...
    async def calibrate(self, embedder: Embedder | None = ...) -> None: ...
    async def check(
        self, *, repair: bool = ..., progress: Callable[[int, int], None] | None = ...
    ) -> list[Problem]: ...
    async def compact(self) -> CompactReport: ...
    async def complete(self, query: str, *, limit: int = ..., where: Where = ...) -> list[str]: ...
    async def conflicts(self) -> list[tuple[str, str]]: ...
    async def count(self) -> int: ...
    async def digests(self, ids: Sequence[str]) -> dict[str, bytes]: ...
    def documents(self, where: Where = ...) -> AsyncIterator[Document]: ...
    async def drop_expectation(self, query: str, document_id: str) -> bool: ...
    async def drop_leg(self, name: str) -> str: ...
    async def embed(
        self,
        *,
        limit: int | None = ...,
        progress: Callable[[int, int], None] | None = ...,
        work: Callable[[float], None] | None = ...,
        stopped: Callable[[], bool] | None = ...,
    ) -> int: ...
    async def embedder(self) -> Embedder | None: ...
    async def exchange(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str | None = ...,
        dry_run: bool = ...,
        progress: Callable[[int, int], None] | None = ...,
    ) -> ExchangeReport: ...
    async def exchange_over(
        self,
        reader: Readable,
        writer: Writable,
        *,
        dry_run: bool = ...,
        progress: Callable[[int, int], None] | None = ...,
    ) -> ExchangeReport: ...
    async def expect(self, query: str, document_id: str, *, within: int = ...) -> None: ...
    async def expectations(self) -> list[Expectation]: ...
    async def explain(
        self, query: str | StructuredQuery, *, expect: str | None = ..., **options: Unpack[SearchOptions]
    ) -> Explanation: ...
    async def feedback(self, query: str, hit: Hit | int, used: bool = ...) -> None: ...
    async def folders(self) -> list[Folder]: ...
    async def follow(self, query: str, **options: Unpack[SearchOptions]) -> Results: ...
    async def forget_folder(self, path: str) -> bool: ...
    async def forget_queries(self, queries: str | Iterable[str] | None = ...) -> int: ...
    async def get(self, document_id: str) -> Document: ...
    async def ids(self, where: Where = ...) -> list[str]: ...
    async def keep_version(self, document_id: str) -> None: ...
    async def load_embedder(self, name: str | Path, *, recorded: bool = ...) -> Embedder: ...
    async def merge(
        self,
        other: Store | str | os.PathLike[str],
        *,
        dry_run: bool = ...,
        progress: Callable[[int, int], None] | None = ...,
    ) -> MergeReport: ...
    async def metadata(self, where: Where = ...) -> list[Mapping[str, object]]: ...
    async def purge(self, ids: str | Iterable[str], *, verify: bool = ...) -> PurgeReport: ...
    async def query_log(self) -> list[LoggedQuestion]: ...
    async def recode(
        self, codec: str, *, force: bool = ..., progress: Callable[[int, int], None] | None = ...
    ) -> int: ...
    async def reembed(
        self,
        embedder: str | Path | Embedder | None = ...,
        *,
        add: str | Path | Embedder | None = ...,
        keep: bool = ...,
        promote: int | None = ...,
        force: bool = ...,
        adopt: bool = ...,
        progress: Callable[[int, int], None] | None = ...,
    ) -> int: ...
    async def reindex(self, *, force: bool = ...) -> int: ...
    async def remember_folder(self, folder: Folder) -> None: ...
    async def remove(self, ids: str | Iterable[str]) -> int: ...
    async def remove_sources(self, keys: Iterable[str]) -> int: ...
    async def remove_where(self, where: Mapping[str, Any] | filters.Filter) -> int: ...
    async def replace(
        self, before: Iterable[Document], after: Iterable[Addable], *, chunk: bool = ...
    ) -> AddReport | None: ...
    def scan(self, where: Where = ..., *, vectors: bool = ...) -> AsyncIterator[StoredDocument]: ...
    async def search(
        self,
        query: str | StructuredQuery,
        *,
        limit: int = ...,
        where: Where = ...,
        mode: str = ...,
        fusion: str = ...,
        depth: int | None = ...,
        syntax: str = ...,
        min_relevance: float | None = ...,
        vector: ArrayLike | None = ...,
        unique: bool = ...,
        per_document: int | None = ...,
        diversity: float = ...,
        around: Around | None = ...,
        exclude: Iterable[str] = ...,
        rerank: Reranker | Rerank | None = ...,
        legs: str | Iterable[str] | None = ...,
        per: str = ...,
        norm: str = ...,
        hops: int = ...,
        rewrite: RewriteOption | None = ...,
    ) -> Results: ...
    async def sources(self) -> dict[str, Source]: ...
    async def state(self) -> SearchState: ...
    async def stats(self) -> Stats: ...
    async def stored(self, document_id: str, *, vectors: bool = ...) -> StoredDocument: ...
    async def test(self, expectations: Sequence[Expectation] | None = ...) -> list[TestedExpectation]: ...
    async def to_arrow(self, where: Where = ..., *, vectors: bool = ...) -> pa.RecordBatchReader: ...
    async def trial(self, model: ModelVersion | None) -> Trial: ...
    def unlogged(self) -> AbstractAsyncContextManager[None]: ...
    async def update(self, decide: Callable[[Writer], T], *, chunk: bool = ..., embed: bool = ...) -> T: ...
    async def use_for_queries(self, embedder: Embedder) -> None: ...
    def writer(
        self,
        *,
        chunk: bool = ...,
        progress: Progress | None = ...,
        together: bool = ...,
        embed: bool = ...,
        vectors: Vectors = ...,
    ) -> AbstractAsyncContextManager[AsyncWriter]: ...

class AsyncMemory(ThreadedObject[Memory]):
    def __init__(
        self,
        path_or_store: str | os.PathLike[str] | Store | AsyncStore,
        namespace: str | Sequence[str] = ...,
        *,
        workers: int = ...,
        embedder: str | Path | Embedder | None = ...,
        language: str | None = ...,
        threads: int | None = ...,
        key: str | None = ...,
        count_tokens: Callable[[str], int] | None = ...,
        clock: Callable[[], float] = ...,
    ) -> None: ...
    @property
    def store(self) -> Store: ...
    @property
    def namespace(self) -> tuple[str, ...]: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    async def choose(self, id: str) -> None: ...
    async def consolidate(self, *, dry_run: bool = ..., keep: str = ..., similarity: float = ...) -> Consolidation: ...
    async def count_tokens(self, text: str) -> int: ...
    async def export(self, file: File) -> int: ...
    async def feedback(self, recall: Recall, *, used: Iterable[str], unused: Iterable[str] = ...) -> None: ...
    async def forget(self, target: Target, *, dry_run: bool = ..., everything: bool = ...) -> ForgetReport: ...
    async def forks(self) -> list[tuple[Note, ...]]: ...
    async def get(self, id: str) -> Note: ...
    async def history(self, id: str) -> list[Note]: ...
    async def import_(self, file: File) -> ImportReport: ...
    async def notes(
        self, *, where: Where = ..., session: str | None = ..., as_of: Moment | None = ...
    ) -> list[Note]: ...
    async def purge(self, target: Target, *, verify: bool = ..., everything: bool = ...) -> PurgeReport: ...
    async def recall(
        self,
        query: str,
        *,
        max_tokens: int = ...,
        as_of: Moment | None = ...,
        session: str | None = ...,
        where: Where = ...,
        recency: Span | Recency | None = ...,
        neighbours: int = ...,
        min_relevance: float | None = ...,
        order: str = ...,
    ) -> Recall: ...
    async def remember(
        self,
        what: str | list[Message] | tuple[Message, ...],
        *,
        id: str | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        occurred_at: Moment | None = ...,
        valid_from: Moment | None = ...,
        valid_to: Moment | None = ...,
        session: str | None = ...,
        ttl: Span | None = ...,
        supersedes: str | Iterable[str] = ...,
        on_similar: str = ...,
        similarity: float = ...,
    ) -> Remembered: ...
    async def scope(self, *, where: Where = ..., session: str | None = ..., as_of: Moment | None = ...) -> Filter: ...
    async def stats(self) -> dict[str, Any]: ...
    async def sweep(self) -> int: ...

class AsyncWriter(ThreadedObject[Writer]):
    def __init__(self, writer: Writer) -> None: ...
    @property
    def report(self) -> AddReport: ...
    async def add(
        self,
        document: Document,
        *,
        source: str | None = ...,
        vector: NDArray[np.float32] | None = ...,
        replaces: bytes | Whatever | None = ...,
    ) -> None: ...
    async def add_chunked(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        vectors: NDArray[np.float32] | None = ...,
        *,
        whole: bool = ...,
        given: bool = ...,
        source: str | None = ...,
        replaces: bytes | Whatever | None = ...,
    ) -> None: ...
    async def expect_vectors(self, embedding: Embedding) -> None: ...
    async def finish(self, source: Source) -> None: ...
    async def flush(self) -> None: ...
    async def move(self, stored: StoredDocument, document: Document, *, source: str) -> None: ...
    async def remove(self, document_id: str, *, stored: bytes) -> None: ...
    async def rewrite(
        self,
        stored: StoredDocument,
        document: Document,
        *,
        replaces: bytes | Whatever | None,
        whole: bool = ...,
        given: bool = ...,
    ) -> None: ...
