"""Plain BM25 over turns, by bm25s: an index in memory for each conversation, as LongMemEval's authors do.

bm25s with its defaults (Lucene's formula, k1 = 1.5, b = 0.75), English stop words and a stemmer, as it advises. A turn
that holds no word of the question is not recalled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from conversations import Conversation, Question

from hybridstore.errors import InputError

from .base import Recalled, System, tokens_of


class Bm25s(System):
    title = "BM25 (bm25s)"
    rival: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("bm25s", "PyStemmer")

    def __init__(self, folder: Path, *, embedder: str | None = None, threads: int | None = None) -> None:  # noqa: ARG002 - it keeps nothing and runs no model
        try:
            import bm25s
            import Stemmer
        except ImportError as error:
            raise InputError(
                f"{error.name} is not installed: pip install --requirement benchmarks/requirements.txt"
            ) from error
        self._bm25s, self._stemmer = bm25s, Stemmer.Stemmer("english")
        self._indexes: dict[str, tuple[Any, list[tuple[str, int]]]] = {}

    def fill(self, conversation: Conversation) -> None:
        turns = [*conversation.turns()]
        index = self._bm25s.BM25()
        index.index(self._tokens([turn.said for turn in turns]), show_progress=False)
        self._indexes[conversation.group] = index, [(turn.id, tokens_of(turn.said)) for turn in turns]

    def ask(self, question: Question, k: int) -> Recalled:
        index, turns = self._indexes[question.group]
        rows, scores = index.retrieve(self._tokens([question.text]), k=min(k, len(turns)), show_progress=False)
        found = [turns[row] for row, score in zip(rows[0].tolist(), scores[0].tolist(), strict=True) if score > 0]
        return Recalled(
            turns=tuple(name for name, _ in found),
            tokens=tuple(tokens for _, tokens in found),
            confidence=float(scores[0].max(initial=0.0)),
        )

    def _tokens(self, texts: list[str]) -> Any:
        return self._bm25s.tokenize(texts, stopwords="en", stemmer=self._stemmer, show_progress=False)
