"""Every error hybridstore raises on purpose, each with what to do about it.

HybridstoreError
├── InputError            (also ValueError)   an argument, document, vector or filter is not usable
├── NotFound              (also KeyError)     no such document, chunk or model
├── FileRefused                               the file is not ours, newer than we are, or cannot be opened
├── FileDamaged                               SQLite or `check` found the file damaged
├── FileBusy                                  another process kept the file locked too long
├── EmbedderMismatch                          the embedder at hand is not the one the file was filled with
├── ModelUnavailable                          a model's files cannot be found, fetched or trusted
└── MissingExtra          (also ImportError)  an optional dependency is not installed
"""

from __future__ import annotations


class HybridstoreError(Exception):
    """The base of them all: catch this to catch everything hybridstore raises on purpose."""


class InputError(HybridstoreError, ValueError):
    """An argument cannot be used; the message says which, why, and what would do."""


class NotFound(HybridstoreError, KeyError):  # noqa: N818 - reads as a sentence: raise NotFound
    """No document has this id, or nothing else of the kind that `reason` names."""

    def __init__(self, document_id: str, reason: str | None = None) -> None:
        self.document_id = document_id
        super().__init__(
            reason or f"no document has the id {document_id!r}; `hybridstore list` shows the ids there are"
        )

    def __str__(self) -> str:  # KeyError would show the repr
        return str(self.args[0])


class FileRefused(HybridstoreError):  # noqa: N818
    """The file was left as it was: it is not a hybridstore file, or one this version cannot use."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class FileDamaged(HybridstoreError):  # noqa: N818
    """The file's content contradicts itself."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}; run `hybridstore --db {path} check --repair`, or restore a backup")


class FileBusy(HybridstoreError):  # noqa: N818
    """Another process held the write lock for longer than we were told to wait."""

    def __init__(self, path: str, waited: float) -> None:
        self.path, self.waited = path, waited
        super().__init__(
            f"{path}: another process has been writing for {waited:.0f} s; nothing was changed, try again, "
            "or open with a longer busy_timeout="
        )


class EmbedderMismatch(HybridstoreError):  # noqa: N818
    """The file's vectors come from another embedder than the one at hand."""

    def __init__(self, stored: str, given: str) -> None:
        self.stored, self.given = stored, given
        name = given.partition("@")[0]
        super().__init__(
            f"the file's vectors were made by {stored}, but this store was opened with {given}; open it without "
            f"embedder= to use the file's own, or run `hybridstore reembed --embedder {name}` to change it"
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
