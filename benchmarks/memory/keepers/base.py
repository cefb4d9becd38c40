"""The interface of all systems."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from hybridstore.embedders.protocol import Embedder

BUDGET = 2000  # tokens that a recall may take, where a system packs under a budget
ITEMS = 30  # that a recall gives where it does not: about as many of our notes fit into the budget


class Keeper(ABC):
    """A memory in a folder of its own. All are given the same embedder, and the same notes one at a time."""

    title: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()  # modules
    packages: ClassVar[tuple[str, ...]] = ()
    most: ClassVar[int | None] = None  # notes beyond which it is not measured, since each recall takes seconds

    @abstractmethod
    def __init__(self, folder: Path, embedder: Embedder) -> None:
        """Open the memory in a folder that is there, making it if there is none."""

    @abstractmethod
    def remember(self, note: str) -> None:
        """Store a note: on return it is committed and searchable."""

    @abstractmethod
    def recall(self, query: str) -> list[str]:
        """Return the texts of the best notes, best first, ready to be shown."""

    @abstractmethod
    def close(self) -> None: ...
