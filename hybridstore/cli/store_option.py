"""The store of a command, as `--db` names it: opened to read, to add text, or as a memory."""

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
    """A store's file. `if_stopped` is the sentence printed when the command is stopped; commands that write set it."""

    path: str
    if_stopped: str = "Nothing was changed."

    def open(
        self,
        *,
        create: bool = False,
        embedder: str | None = None,
        language: str | None = None,
        log_queries: bool = False,
        made_by: str = "add FILE-OR-FOLDER",
    ) -> Store:
        """Open the store as `hybridstore.open` does; a missing file is an error unless `create`."""
        from hybridstore.store import open as open_store

        if not create and not Path(self.path).exists():
            raise FileRefused(
                self.path,
                f"there is no such store; create it with `hybridstore --db {self.path} {made_by}`, "
                f"or name another one with --db (or {VARIABLE})",
            )
        return open_store(self.path, embedder=embedder, language=language, create=create, log_queries=log_queries)

    @contextmanager
    def open_to_add(self, *, embedder: str | None, language: str | None) -> Iterator[Store]:
        """Open the store to add text, creating it if it is missing; close it at the end.

        A store without vectors stays without. Where the model is missing, a hint says how to do without one.
        """
        try:
            with self._with_embedder(embedder, language) as store:
                yield store
        except (MissingExtra, ModelUnavailable) as error:
            if not isinstance(error, MissingExtra) or error.extra in ("cpu", "gpu"):
                say('Without a model, "--embedder none" creates a store that is searched by keywords.')
            raise

    def _with_embedder(self, embedder: str | None, language: str | None) -> Store:
        store = self.open(create=True, embedder=embedder, language=language)
        if embedder is not None or store.embeddings.active is not None or not store.count():
            return store
        store.close()  # instead of a store with vectors for some of its documents
        say("This store has no vectors, so none are created; `hybridstore reembed` creates them.")
        return self.open(embedder="none", language=language)

    @contextmanager
    def open_memory(self, namespace: tuple[str, ...]) -> Iterator[Memory]:
        """Open the memory of a namespace; close it at the end."""
        from hybridstore.memory import Memory

        with self.open(made_by="remember TEXT") as store:
            yield Memory(store, namespace)


pass_target = click.make_pass_decorator(Target)
