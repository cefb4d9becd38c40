"""The store: one file of documents, searched by word and by meaning."""

from hybridstore.store.holding import Holder
from hybridstore.store.opening import open  # noqa: A004 - `hybridstore.open`, as `gzip.open`
from hybridstore.store.store import Store
from hybridstore.store.writer import Writer

__all__ = ["Holder", "Store", "Writer", "open"]
