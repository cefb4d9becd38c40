"""hybridstore's `Memory` with its defaults: remembers messages by session, and recalls within a token budget.

All conversations stand in one file, each in a namespace of its own. A turn counts where its first passage is recalled.
"""

from __future__ import annotations

from pathlib import Path

from conversations import Conversation, Question, Turn

import hybridstore as hs

from .base import Recalled, System, tokens_of

FILE = "memory.db"
BUDGET = 100  # tokens for each turn that is asked for, several times what a turn takes
_ROLES = ("user", "assistant", "system", "tool")


class Remembering(System):
    title = "hybridstore, Memory"

    def __init__(self, folder: Path, *, embedder: str | None = None, threads: int | None = None) -> None:
        self.store = hs.open(folder / FILE, embedder=embedder, threads=threads)

    def fill(self, conversation: Conversation) -> None:
        memory = self._memory(conversation.group)
        for session in conversation.sessions:
            if messages := [_message(turn) for turn in session.turns if turn.text.strip()]:
                memory.remember(messages, session=session.id)

    def ask(self, question: Question, k: int) -> Recalled:
        recall = self._memory(question.group).recall(question.text, max_tokens=k * BUDGET)
        turns: dict[str, int] = {}
        for item in recall:
            turns.setdefault(str(item.note.message), tokens_of(item.text))
        first = list(turns.items())[:k]
        return Recalled(
            turns=tuple(turn for turn, _ in first),
            tokens=tuple(tokens for _, tokens in first),
            confidence=recall.confidence,
        )

    def model(self) -> str | None:
        embedding = self.store.stats().embedding
        return None if embedding is None else embedding.fingerprint

    def close(self) -> None:
        self.store.close()

    def _memory(self, group: str) -> hs.Memory:
        return hs.Memory(self.store, ("talks", group))


def _message(turn: Turn) -> dict[str, object]:
    who = {"role": turn.speaker} if turn.speaker in _ROLES else {"role": "user", "name": turn.speaker or None}
    return {"id": turn.id, "content": turn.text, "time": turn.time, **who}
