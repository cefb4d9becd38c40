"""The interface of all baselines."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Fields = Mapping[str, int | str]
Where = Mapping[str, int] | None  # one field and the value it must have


class Baseline(ABC):
    """A store under a folder of its own, filled once, then searched.

    All are given the same ids, texts, unit vectors and fields; no model runs in any. `search`, `keyword` and `vector`
    give ids, best first, but each fetches its hits' texts as well, because that is what a search is for. A class
    says what it can do: `exact` (its vectors are compared one by one), `hybrid` (it has both legs and a fusion),
    `filters`, `writes` (one passage can be added to a filled store), `processes` (another process may write while
    this one has the store open, and is seen), `threads` ("shared": one object serves them all; "own": one object each,
    where sharing one fails).
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    exact: ClassVar[bool] = True
    hybrid: ClassVar[bool] = True
    filters: ClassVar[bool] = True
    writes: ClassVar[bool] = True
    processes: ClassVar[bool] = False
    threads: ClassVar[str] = "shared"
    on_server: ClassVar[bool] = False  # its work is done by another process, whose time counts too
    legs: ClassVar[tuple[str, ...]] = ("keyword", "vector")
    environment: ClassVar[Mapping[str, str]] = {}  # variables its processes are given, where they are not set already

    @classmethod
    @abstractmethod
    def imports(cls) -> None:
        """Import what `open` and a search need, so that it can be timed apart."""

    @abstractmethod
    def __init__(self, path: Path) -> None:
        """Open the store under a folder, making it if it is not there."""

    @abstractmethod
    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None: ...

    def finish(self) -> None:
        """Build what is built once after filling: its time counts as ingest."""
        return

    @abstractmethod
    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]: ...

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        raise NotImplementedError

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        raise NotImplementedError

    def write_one(self, id_: str, text: str, vector: Vector, metadata: Fields) -> None:
        """Add one passage for good: when this returns, it survives the process and is found."""
        self.add([id_], [text], vector[None, :], [metadata])

    def close(self) -> None:
        return

    @classmethod
    def disk(cls, path: Path) -> int:
        """Return the bytes that a closed store takes."""
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

    @classmethod
    def drop(cls, path: Path) -> None:
        """Remove a store."""
        shutil.rmtree(path, ignore_errors=True)


def rrf(rankings: Sequence[Sequence[str]], limit: int, k: int = 60) -> list[str]:
    """Fuse rankings by reciprocal rank, for rivals that leave it to their users."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, one in enumerate(ranking, 1):
            scores[one] = scores.get(one, 0.0) + 1 / (k + rank)
    return sorted(scores, key=scores.__getitem__, reverse=True)[:limit]
