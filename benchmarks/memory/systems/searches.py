"""hybridstore's own ways of searching, all over one store with a chunk for each turn.

The store holds all conversations, a search is restricted to its question's. Nothing is done for memory in particular:
no neighbouring turns, no sessions, no dates.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from conversations import Conversation, Question

import hybridstore as hs
from hybridstore.records import Results

from .base import Recalled, System, tokens_of

FILE = "turns.db"


class _Search(System):
    way: ClassVar[Mapping[str, Any]]

    def __init__(self, folder: Path, *, embedder: str | None = None, threads: int | None = None) -> None:
        self.store = hs.open(folder / FILE, embedder=embedder, threads=threads)

    def fill(self, conversation: Conversation) -> None:
        self.store.add(
            (
                hs.Document(id=turn.id, text=turn.said, metadata={"group": conversation.group, "session": session.id})
                for session in conversation.sessions
                for turn in session.turns
                if turn.said.strip()
            ),
            chunk=False,
        )

    def ask(self, question: Question, k: int) -> Recalled:
        results = self.store.search(question.text, limit=k, where={"group": question.group}, **self.way)
        return Recalled(
            turns=tuple(hit.document_id for hit in results),
            tokens=tuple(tokens_of(hit.text) for hit in results),
            confidence=self.confidence(results),
        )

    def confidence(self, results: Results) -> float | None:
        """Return the best hit's score, or the lowest possible without hits."""
        return results[0].score if len(results) else -1.0

    def model(self) -> str | None:
        embedding = self.store.stats().embedding
        return None if embedding is None else embedding.fingerprint

    def close(self) -> None:
        self.store.close()


class Adaptive(_Search):
    title = "hybridstore, adaptive"
    way: ClassVar[Mapping[str, Any]] = {"fusion": "adaptive"}

    def confidence(self, results: Results) -> float | None:
        return results.confidence


class ReciprocalRanks(_Search):
    title = "hybridstore, RRF"
    way: ClassVar[Mapping[str, Any]] = {"fusion": "rrf"}


class Keyword(_Search):
    title = "hybridstore, keywords alone"
    way: ClassVar[Mapping[str, Any]] = {"mode": "keyword"}


class Vector(_Search):
    title = "hybridstore, vectors alone"
    way: ClassVar[Mapping[str, Any]] = {"mode": "vector"}
