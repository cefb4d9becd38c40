"""hybridstore's Memory with its defaults: a recall is also weighted, packed under its budget, and rendered."""

from __future__ import annotations

from pathlib import Path

from hybridstore.embedders.protocol import Embedder

from .base import BUDGET, Keeper


class Hybridstore(Keeper):
    title = "hybridstore"
    packages = ("hybridstore", "apsw", "sqlite-vec", "numkong", "numpy")

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        import hybridstore as hs

        self._memory = hs.Memory(folder / "memory.db", embedder=embedder)

    def remember(self, note: str) -> None:
        self._memory.remember(note)

    def recall(self, query: str) -> list[str]:
        found = self._memory.recall(query, max_tokens=BUDGET)
        str(found)  # what a model is shown
        return [item.text for item in found]

    def close(self) -> None:
        self._memory.close()
