"""The common form of data sets of conversational memory: who said what and when, and questions about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. `speaker` is a name or a role, "" if unknown."""

    id: str
    speaker: str
    text: str
    time: datetime | None = None

    @property
    def said(self) -> str:
        """The text under its speaker's name, which is what every system is given."""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


@dataclass(frozen=True, slots=True)
class Session:
    """Turns that followed one another. Two sessions of a conversation with one id count as the same."""

    id: str
    time: datetime | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """All sessions that a question may be about; `group` is its name, which no other conversation has."""

    group: str
    sessions: tuple[Session, ...]

    def turns(self) -> Iterator[Turn]:
        for session in self.sessions:
            yield from session.turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about the conversation `group`, and the turns and sessions that hold its answer.

    Where it is not `answerable` the conversation has no answer: right is to abstain, and the evidence is only what the
    question was made from. One of the two kinds of evidence may be missing, where the data set does not mark it.
    """

    id: str
    text: str
    group: str
    category: str
    evidence_turns: tuple[str, ...] = ()
    evidence_sessions: tuple[str, ...] = ()
    time: datetime | None = None
    answerable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set in memory. `protocol` says what was read of it, `unused` counts what could not be used, by reason."""

    name: str
    layout: str
    protocol: str
    conversations: tuple[Conversation, ...]
    questions: tuple[Question, ...]
    unused: Mapping[str, int] = field(default_factory=dict)

    def sessions_of_turns(self) -> dict[str, str]:
        """Return the session id of each turn's id."""
        return {turn.id: each.id for talk in self.conversations for each in talk.sessions for turn in each.turns}

    def first(self, count: int) -> Dataset:
        """Return the first questions up to a limit, and only the conversations they are about."""
        questions = self.questions[:count]
        groups = {question.group for question in questions}
        return replace(
            self,
            questions=questions,
            conversations=tuple(each for each in self.conversations if each.group in groups),
        )


# Reasons why something is not used, as the page tells them.
UNREADABLE = "evidence that cannot be read"
NOWHERE = "evidence that names no turn or session there is"
UNPROVEN = "questions without usable evidence"
UNJUDGED = "questions that nobody judged"
