"""The store that a command is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hybridstore.errors import FileRefused

if TYPE_CHECKING:
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
    ) -> Store:
        """Open it as `hybridstore.open` does; a file that is not there is an error unless `create`."""
        from hybridstore.store import open as open_store

        if not create and not Path(self.path).exists():
            raise FileRefused(
                self.path,
                f"there is no such store; make it with `hybridstore --db {self.path} add FILE-OR-FOLDER`, "
                f"or say with --db (or {VARIABLE}) which one you mean",
            )
        return open_store(self.path, embedder=embedder, language=language, create=create, log_queries=log_queries)


pass_target = click.make_pass_decorator(Target)
