"""Chunks in one SQLite file: STRICT tables, an FTS5 index of our own tokens, exact vectors, and codes to scan."""

from hybridstore.backends.sqlite.backend import SQLiteBackend

__all__ = ["SQLiteBackend"]
