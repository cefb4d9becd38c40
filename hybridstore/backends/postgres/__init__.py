"""The PostgreSQL backend: the same store in a schema of a server's database, for many machines at once."""

from hybridstore.backends.postgres.backend import PostgresBackend

__all__ = ["PostgresBackend"]
