"""The interface of all systems."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from conversations import Conversation, Question

from hybridstore.text.chunking import approximate_token_starts


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a system found for a question: turns' ids, best first, and what each would take of a model's window.

    `tokens` are as many as `turns`; a turn that comes along for free takes 0. `confidence`, the higher the surer, is
    how sure the system is that there is an answer at all; None where it does not say.
    """

    turns: tuple[str, ...]
    tokens: tuple[int, ...]
    confidence: float | None = None

    def __post_init__(self) -> None:
        if len(self.turns) != len(self.tokens):
            raise ValueError(f"{len(self.turns)} turns were recalled, but tokens counted for {len(self.tokens)}")


class System(ABC):
    """A memory in a folder of its own or shared with others, filled with conversations, then asked.

    `fill` is called once for each conversation before anything is asked, and must not fail where an earlier run filled
    the folder already. `ask` answers from the question's own conversation (`question.group`), with up to k turns; the
    first of them must be those it gives for a smaller k.
    """

    title: ClassVar[str]
    rival: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def __init__(self, folder: Path, *, embedder: str | None = None, threads: int | None = None) -> None:
        """Open the memory, making it if it is not there; an InputError where it cannot be had here."""

    @abstractmethod
    def fill(self, conversation: Conversation) -> None: ...

    @abstractmethod
    def ask(self, question: Question, k: int) -> Recalled: ...

    def model(self) -> str | None:
        """Return which embedder made the vectors; None if there are none."""
        return None

    def close(self) -> None:
        return


def tokens_of(text: str) -> int:
    """Count a text's tokens as `hybridstore` estimates them without a model: the same for every system."""
    return len(approximate_token_starts(text))
