"""The store: one file of documents, searched by word and by meaning."""

from hybridstore.store.opening import open  # noqa: A004 - `hybridstore.open`, as `gzip.open`
from hybridstore.store.store import Store
from hybridstore.store.store_holder import Holder
from hybridstore.store.writer import Writer

__all__ = ["Holder", "Store", "Writer", "open"]
