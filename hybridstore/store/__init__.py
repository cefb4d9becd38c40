"""The store: documents in one place, searched by keyword and by vector."""

from hybridstore.store.many_stores import search_many
from hybridstore.store.opening import Holder, move, open  # noqa: A004 - `hybridstore.open`, as `gzip.open`
from hybridstore.store.prepared import prepare, prepared_schema
from hybridstore.store.store import Store
from hybridstore.store.writer import Writer

__all__ = ["Holder", "Store", "Writer", "move", "open", "prepare", "prepared_schema", "search_many"]
