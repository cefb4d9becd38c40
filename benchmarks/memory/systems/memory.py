"""hybridstore's `Memory`, which remembers messages by session and recalls what fits into so many tokens.

The two calls it takes stand in `fill` and `ask`, and what is recalled becomes turns in `_turns`: all that has to follow
`Memory`. Each conversation has a memory in a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conversations import Conversation, Question

from hybridstore.errors import InputError

from .base import Recalled, System, tokens_of

BUDGET = 100  # tokens for each turn that is asked for, several times what a turn takes


class Remembering(System):
    title = "hybridstore, Memory"

    def __init__(self, folder: Path, *, embedder: str | None = None, threads: int | None = None) -> None:
        try:
            from hybridstore.memory import Memory
        except ImportError as error:
            raise InputError("this hybridstore has no hybridstore.memory.Memory") from error
        self._folder = folder / "memory"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._open = lambda path: Memory(path, embedder=embedder, threads=threads)
        self._memories: dict[str, Any] = {}

    def fill(self, conversation: Conversation) -> None:
        memory = self._open(self._folder / f"{quote(conversation.group, safe='')}.db")
        for session in conversation.sessions:
            memory.remember(
                [
                    {"id": turn.id, "role": turn.speaker, "content": turn.text, "time": turn.time}
                    for turn in session.turns
                ],
                session=session.id,
            )
        self._memories[conversation.group] = memory

    def ask(self, question: Question, k: int) -> Recalled:
        recalled = self._memories[question.group].recall(question.text, max_tokens=k * BUDGET)
        turns = self._turns(recalled)[:k]
        return Recalled(
            turns=tuple(name for name, _ in turns),
            tokens=tuple(tokens for _, tokens in turns),
            confidence=getattr(recalled, "confidence", None),
        )

    def _turns(self, recalled: Iterable[Any]) -> list[tuple[str, int]]:
        """Give the ids of the messages that were recalled, best first, and what each takes."""
        return [(each.id, tokens_of(each.text)) for each in recalled]

    def close(self) -> None:
        for memory in self._memories.values():
            memory.close()
