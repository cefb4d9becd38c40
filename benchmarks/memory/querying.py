"""Querying a system: fills it, asks it all questions, and keeps only the scores of each question."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from conversations import Dataset
from scoring import scores
from systems.base import System

from hybridstore.errors import InputError

DEPTH = 200  # turns asked for: LongMemEval's script looks as deep as it must to see k sessions


@dataclass(slots=True)
class Asked:
    """A system's figures. `values` is level → metric@k → question id → number, over answerable questions.

    `tokens` is k → question id → what the first k turns take of a window, `confidences` question id → number for all
    questions the system said one for. `filled` and `asked` are seconds.
    """

    values: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    tokens: dict[int, dict[str, float]] = field(default_factory=dict)
    confidences: dict[str, float] = field(default_factory=dict)
    filled: float = 0.0
    asked: float = 0.0


Update = Callable[[int, int, str, str], None]
"""Called with (done, of, what is done in words, how fast in words)."""


def ask_all(system: System, dataset: Dataset, ks: Sequence[int], update: Update) -> Asked:
    """Fill a system with every conversation, then ask every question.

    Raises InputError where it recalls a turn that is not of the question's conversation.
    """
    found = Asked()
    sizes = [sum(1 for _ in each.turns()) for each in dataset.conversations]
    work, done = sum(sizes) + len(dataset.questions), 0
    started = time.perf_counter()
    for conversation, size in zip(dataset.conversations, sizes, strict=True):
        system.fill(conversation)
        done += size
        update(done, work, f"{done:,} turns", "")
    found.filled = time.perf_counter() - started
    homes = dataset.sessions_of_turns()
    own = {each.group: {turn.id for turn in each.turns()} for each in dataset.conversations}
    started = time.perf_counter()
    for number, question in enumerate(dataset.questions, start=1):
        recalled = system.ask(question, max(DEPTH, *ks))
        if foreign := [turn for turn in recalled.turns if turn not in own[question.group]]:
            raise InputError(f"asked about {question.group}, {system.title} recalled the turn {foreign[0]!r}")
        if recalled.confidence is not None:
            found.confidences[question.id] = recalled.confidence
        if question.answerable:
            for k in ks:
                found.tokens.setdefault(k, {})[question.id] = float(sum(recalled.tokens[:k]))
            for level, row in scores(question, recalled.turns, homes, ks).items():
                for metric, value in row.items():
                    found.values.setdefault(level, {}).setdefault(metric, {})[question.id] = value
        update(done + number, work, f"{number:,} questions", "")
    found.asked = time.perf_counter() - started
    return found
