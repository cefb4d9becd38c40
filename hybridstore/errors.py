"""Every error hybridstore raises on purpose, each with what to do about it.

HybridstoreError
├── InputError            (also ValueError)   an argument, document, vector or filter is not usable
│   └── EmptyQuery                            a query has no words
├── NotFound              (also KeyError)     no such document, chunk or model version
├── StoreRefused                              the store is not ours, newer than this version, or cannot be opened
│   └── FileRefused                           the same of a file
├── StoreDamaged                              the database or `check` found the store damaged
│   └── FileDamaged                           the same of a file
├── StoreBusy                                 another process kept the store locked too long
│   └── FileBusy                              the same of a file
├── Unsupported                               this kind of store cannot do that
├── ExpectationsBroken                        a change of ranking would break expectations that hold
├── EmbedderMismatch                          the embedder in use is not the one the store was filled with
├── ModelUnavailable                          a model's files cannot be found, fetched or trusted
└── MissingExtra          (also ImportError)  an optional dependency is not installed
"""

from __future__ import annotations


class HybridstoreError(Exception):
    """The base of all of them: catch this to catch everything that hybridstore raises on purpose."""


class InputError(HybridstoreError, ValueError):
    """An argument cannot be used; the message says which, why, and what would do."""


class EmptyQuery(InputError):  # noqa: N818
    """A query is empty, or has nothing but white space and punctuation; every other argument is fine."""

    def __init__(self, query: str) -> None:
        self.query = query
        super().__init__(f"there is nothing to search for: the query {query!r} has no words")


class NotFound(HybridstoreError, KeyError):  # noqa: N818 - reads as a sentence: raise NotFound
    """No document has this id; or `reason` says what else does not exist."""

    def __init__(self, document_id: str, reason: str | None = None) -> None:
        self.document_id = document_id
        super().__init__(
            reason or f"no document has the id {document_id!r}; `hybridstore list` shows the ids there are"
        )

    def __str__(self) -> str:  # KeyError would show the repr
        return str(self.args[0])


class StoreRefused(HybridstoreError):  # noqa: N818
    """The store was left unchanged: it is not a hybridstore, or this version cannot use it.

    `location` is the path or address, as `Backend.location` writes it.
    """

    def __init__(self, location: str, reason: str) -> None:
        self.location, self.reason = location, reason
        super().__init__(f"{location}: {reason}")


class FileRefused(StoreRefused):
    """The file was left unchanged: it is not a hybridstore file, or it cannot be read or written."""

    @property
    def path(self) -> str:
        """The file's path; the same as `location`."""
        return self.location


class StoreDamaged(HybridstoreError):  # noqa: N818
    """The store's content contradicts itself."""

    def __init__(self, location: str, reason: str) -> None:
        self.location, self.reason = location, reason
        super().__init__(f"{location}: {reason}; run `hybridstore --db {location} check --repair`, or restore a backup")


class FileDamaged(StoreDamaged):
    """The file's content contradicts itself."""

    @property
    def path(self) -> str:
        """The file's path; the same as `location`."""
        return self.location


class StoreBusy(HybridstoreError):  # noqa: N818
    """Another process held the write lock for longer than `waited` seconds, the time that was allowed."""

    def __init__(self, location: str, waited: float) -> None:
        self.location, self.waited = location, waited
        super().__init__(
            f"{location}: another process has been writing for {waited:.0f} s; nothing was changed, try again, "
            "or open with a longer busy_timeout="
        )


class FileBusy(StoreBusy):
    """Another process held the file's write lock for too long."""

    @property
    def path(self) -> str:
        """The file's path; the same as `location`."""
        return self.location


class Unsupported(HybridstoreError):  # noqa: N818
    """This kind of store cannot do what was asked; `reason` says why, as its `capabilities` do."""

    def __init__(self, location: str, reason: str) -> None:
        self.location, self.reason = location, reason
        super().__init__(f"{location}: {reason}")


class EmbedderMismatch(HybridstoreError):  # noqa: N818
    """The store's vectors were made by another embedder than the one in use."""

    def __init__(self, stored: str, given: str, reason: str | None = None) -> None:
        self.stored, self.given = stored, given
        name = given.partition("@")[0]
        super().__init__(
            reason
            or f"the file's vectors were made by {stored}, but this store was opened with {given}; open it without "
            f"embedder= to use the file's own, or run `hybridstore reembed --embedder {name}` to change it"
        )


class ExpectationsBroken(HybridstoreError):  # noqa: N818
    """A change of how the store ranks was undone, or not made: expectations that hold would not. `queries` are theirs.

    See `Store.expect`; with `force=True`, or `--force`, the change is made all the same.
    """

    def __init__(self, change: str, broken: str, queries: tuple[str, ...]) -> None:
        self.change, self.broken, self.queries = change, broken, queries
        count = f"{len(queries)} expectation{'' if len(queries) == 1 else 's'}"
        super().__init__(
            f"{change} would break {count} of this store, so it was not made: {broken}; force it, or drop "
            "what is no longer expected (`hybridstore expect --remove`)"
        )


class ModelUnavailable(HybridstoreError):  # noqa: N818
    """A model's files cannot be found, fetched, read or trusted."""

    def __init__(self, model: str, reason: str) -> None:
        self.model, self.reason = model, reason
        super().__init__(f"model {model!r}: {reason}")


class MissingExtra(HybridstoreError, ImportError):  # noqa: N818
    """An optional dependency is not installed."""

    def __init__(self, extra: str, needed_for: str, package: str) -> None:
        self.extra, self.needed_for, self.package = extra, needed_for, package
        super().__init__(f"{needed_for} needs {package}: pip install 'hybridstore[{extra}]'")
