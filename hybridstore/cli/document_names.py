"""Documents as people name them: by id, by a path relative to the working directory, by a file's name or its end."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hybridstore.errors import InputError, NotFound

if TYPE_CHECKING:
    from hybridstore.store import Store

_CANDIDATES = 10  # that a message lists
_LINE = re.compile(r"(.+?):\d+(?::\d+)?")  # a place as `search` prints it, and compilers do


def named_document(store: Store, name: str) -> str:
    """Return the id of the document that a person means.

    That is the document with this id, with this path relative to the working directory, or the only one whose id ends
    with it: after a slash ("runbook.md", "ops/runbook"), or anywhere. `:12` after it is ignored. Raises InputError that
    lists the candidates where several are meant, NotFound where none is.
    """
    place = _LINE.fullmatch(name)
    for text in (name, *([place[1]] if place else [])):
        if found := _named(store, text):
            return found
    raise NotFound(name)


def _named(store: Store, name: str) -> str | None:
    path = Path(os.path.abspath(os.path.expanduser(name))).as_posix() if name and "\0" not in name else ""  # noqa: PTH100, PTH111
    exact = store.digests([name, path])
    for whole in (name, path):
        if whole in exact:
            return whole
    end = name.removeprefix("./").rstrip("/")
    if not end:
        return None
    ids = store.ids()
    rows = [id_ for id_ in ids if id_.rpartition("#")[0] in (path, name)]  # of a table's file
    for found in (rows, [id_ for id_ in ids if id_.endswith(f"/{end}")],
                  [id_ for id_ in ids if id_.rpartition("#")[0].endswith(f"/{end}")],
                  [id_ for id_ in ids if f"/{id_}".rpartition(".")[0].endswith(f"/{end}")],
                  [id_ for id_ in ids if id_.endswith(end)]):  # fmt: skip
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(_which(name, found))
    return None


def _which(name: str, ids: list[str]) -> str:
    listed = "".join(f"\n  {shown_path(id_)}" for id_ in ids[:_CANDIDATES])
    more = f"\n  and {len(ids) - _CANDIDATES:,} more" if len(ids) > _CANDIDATES else ""
    return f"{name!r} may mean any of {len(ids):,} documents; name one of them:{listed}{more}"


def shown_path(id_: str) -> str:
    """Return an id as people read it: a path below the working directory relative to it, anything else unchanged."""
    here = Path.cwd().as_posix().rstrip("/") + "/"
    return id_.removeprefix(here) if len(here) > 1 else id_


def shown_paths(text: str) -> str:
    """Return a text in which paths below the working directory are relative to it."""
    here = Path.cwd().as_posix().rstrip("/") + "/"
    return re.sub(rf"(?<![\w./-]){re.escape(here)}", "", text) if len(here) > 1 else text
