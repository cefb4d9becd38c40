"""hybridstore: one SQLite file of documents, searched by word and by meaning, and explained.

>>> import hybridstore as hs
>>> with hs.open("notes.db") as store:
...     store.add("The cat sat on the mat.")
...     for hit in store.search("feline furniture"):
...         print(hit.document_id, hit.text)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hybridstore import telemetry  # noqa: F401 - before any library that it is about
from hybridstore.errors import (
    EmbedderMismatch,
    EmptyQuery,
    ExpectationsBroken,
    FileBusy,
    FileDamaged,
    FileRefused,
    HybridstoreError,
    InputError,
    MissingExtra,
    ModelUnavailable,
    NotFound,
    StoreBusy,
    StoreDamaged,
    StoreRefused,
    Unsupported,
)
from hybridstore.records import AddReport, Document, Hit, Results, Trace

if TYPE_CHECKING:
    from hybridstore.asynchronous import AsyncMemory, AsyncStore
    from hybridstore.embedders.cross_encoder import CrossEncoder
    from hybridstore.embedders.protocol import Embedder
    from hybridstore.endpoint import Endpoint
    from hybridstore.filters import field
    from hybridstore.memory import Memory
    from hybridstore.search.algebra import StructuredQuery, about, where, words
    from hybridstore.search.algebra_text import query_from
    from hybridstore.search.rewriting import Rewrite, Rewrites
    from hybridstore.search.second_stage import Rerank
    from hybridstore.store import Store, open, prepare, search_many  # noqa: A004 - `hybridstore.open`, as `gzip.open`
    from hybridstore.store.pool import Pool

__version__ = "0.1.0"

__all__ = [
    "AddReport",
    "AsyncMemory",
    "AsyncStore",
    "CrossEncoder",
    "Document",
    "Embedder",
    "EmbedderMismatch",
    "EmptyQuery",
    "Endpoint",
    "ExpectationsBroken",
    "FileBusy",
    "FileDamaged",
    "FileRefused",
    "Hit",
    "HybridstoreError",
    "InputError",
    "Memory",
    "MissingExtra",
    "ModelUnavailable",
    "NotFound",
    "Pool",
    "Rerank",
    "Results",
    "Rewrite",
    "Rewrites",
    "Store",
    "StoreBusy",
    "StoreDamaged",
    "StoreRefused",
    "StructuredQuery",
    "Trace",
    "Unsupported",
    "about",
    "field",
    "open",
    "prepare",
    "query_from",
    "search_many",
    "where",
    "words",
]

# Loaded at first use: NumPy and SQLite would make `import hybridstore` five times as slow.
_LATER = {
    "AsyncMemory": "hybridstore.asynchronous",
    "AsyncStore": "hybridstore.asynchronous",
    "CrossEncoder": "hybridstore.embedders.cross_encoder",
    "Embedder": "hybridstore.embedders.protocol",
    "Endpoint": "hybridstore.endpoint",
    "Memory": "hybridstore.memory",
    "Pool": "hybridstore.store.pool",
    "Rerank": "hybridstore.search.second_stage",
    "Rewrite": "hybridstore.search.rewriting",
    "Rewrites": "hybridstore.search.rewriting",
    "Store": "hybridstore.store",
    "StructuredQuery": "hybridstore.search.algebra",
    "about": "hybridstore.search.algebra",
    "field": "hybridstore.filters",
    "open": "hybridstore.store",
    "prepare": "hybridstore.store",
    "query_from": "hybridstore.search.algebra_text",
    "search_many": "hybridstore.store",
    "where": "hybridstore.search.algebra",
    "words": "hybridstore.search.algebra",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'hybridstore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
