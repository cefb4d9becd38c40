"""The store that a command is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hybridstore.cli.terminal import say
from hybridstore.errors import FileRefused, MissingExtra, ModelUnavailable

if TYPE_CHECKING:
    from hybridstore.memory import Memory
    from hybridstore.store import Store

DATABASE = "hybridstore.db"
VARIABLE = "HYBRIDSTORE_DB"


@dataclass(slots=True)
class Target:
    """A store's file. `kept` is what to say of it when the command is stopped; a command that writes sets it."""

    path: str
    kept: str = "Nothing was changed."

    def open(
        self,
        *,
        create: bool = False,
        embedder: str | None = None,
        language: str | None = None,
        log_queries: bool = False,
        made_by: str = "add FILE-OR-FOLDER",
    ) -> Store:
        """Open it as `hybridstore.open` does; a file that is not there is an error unless `create`."""
        from hybridstore.store import open as open_store

        if not create and not Path(self.path).exists():
            raise FileRefused(
                self.path,
                f"there is no such store; make it with `hybridstore --db {self.path} {made_by}`, "
                f"or say with --db (or {VARIABLE}) which one you mean",
            )
        return open_store(self.path, embedder=embedder, language=language, create=create, log_queries=log_queries)

    @contextmanager
    def adding(self, *, embedder: str | None, language: str | None) -> Iterator[Store]:
        """Open it to add text, making it if it is not there; close it in the end.

        A store that was begun without vectors goes on without. Where the model is not to be had, the way without is
        told.
        """
        try:
            with self._to_add(embedder, language) as store:
                yield store
        except (MissingExtra, ModelUnavailable) as error:
            if not isinstance(error, MissingExtra) or error.extra in ("cpu", "gpu"):
                say('Without a model, "--embedder none" makes a store that is searched by keywords.')
            raise

    def _to_add(self, embedder: str | None, language: str | None) -> Store:
        store = self.open(create=True, embedder=embedder, language=language)
        if embedder is not None or store.embeddings.active is not None or not store.count():
            return store
        store.close()  # instead of half with and half without
        say("This store has no vectors, so none are made; `hybridstore reembed` gives it some.")
        return self.open(embedder="none", language=language)

    @contextmanager
    def memory(self, namespace: tuple[str, ...]) -> Iterator[Memory]:
        """Open it for what a namespace remembers; close it in the end."""
        from hybridstore.memory import Memory

        with self.open(made_by="remember TEXT") as store:
            yield Memory(store, namespace)


pass_target = click.make_pass_decorator(Target)
