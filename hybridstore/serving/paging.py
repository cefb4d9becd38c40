"""Answers under a token budget: as many rows as fit, the rest on further pages, and never a token more.

An answer has two forms, text and JSON. A client hands one of them to its model, and each keeps within the budget.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from hybridstore.errors import InputError
from hybridstore.serving.answer_text import Answer, Shown, cut
from hybridstore.serving.cursors import Cursor, digest, place_of

SMALLEST = 256
"""Tokens below which an answer has no room for more than its frame."""

_LONG = 12  # characters a token has at most, nearly always: what is far too long need not be counted
_WIDTHS = (200, 100, 50, 20)  # characters that names may take in short answers, tried one after the other
_BARE = ("id", "kind")  # the facts that a row always has
_LONGEST_ID = 60  # characters of an id that leaves no room for anything else


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """Something an answer has room for or not. `key` tells it from the other rows of its question."""

    key: str
    facts: Mapping[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class AnswerRows:
    """The rows of an answer, in order: their keys, and what makes the row of a key's number when it is to be shown."""

    keys: Sequence[str]
    row: Callable[[int], AnswerRow]

    @classmethod
    def of(cls, rows: Sequence[AnswerRow]) -> AnswerRows:
        """Make them of rows that are there."""
        return cls([row.key for row in rows], rows.__getitem__)


Frame = Callable[[Sequence[Shown], str], Answer]
"""Makes the answer of what is shown and of the cursor that leads to what follows, "" where nothing does."""


class Budget:
    """At most `limit` tokens an answer, counted by `counter`. Raises InputError for a limit below SMALLEST."""

    def __init__(self, counter: Callable[[str], int], limit: int) -> None:
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < SMALLEST:
            raise InputError(f"the budget of an answer is a whole number of at least {SMALLEST} tokens, not {limit!r}")
        self.count, self.limit = counter, limit

    def within(self, limit: int | None) -> Budget:
        """Give the budget for one answer that asks for less; None, or more, is this one's."""
        return self if limit is None or limit >= self.limit else Budget(self.count, limit)

    def size(self, answer: Answer) -> int:
        """Give the tokens of an answer's larger form."""
        return max(self.count(answer.text), self.count(_dumped(answer.data)))

    def page(self, rows: AnswerRows, question: str, cursor: str, frame: Frame) -> Answer:
        """Give the page that begins at the cursor: whole rows, or a part of one that is longer than a page.

        Following the cursors shows every row once, and the parts of a long one put together are its text. `question`
        is a digest of what was asked; a cursor is only good for the same.
        """
        keys = rows.keys
        first, offset = place_of(cursor, question, keys)

        def built(shown: Sequence[Shown], after: int, at: int) -> Answer:
            """Give the answer when row `after` comes next, from character `at` on."""
            following = str(Cursor(after, at, digest(keys[after]), question)) if after < len(keys) else ""
            return frame(shown, following)

        room = self.limit - self.size(built((), first, offset))
        shown: list[Shown] = []
        for number in range(first, len(keys)):
            rest = _rest(rows.row(number), 0 if shown else offset)
            if (cost := self._cost(rest, room)) > room:
                break
            room -= cost
            shown.append(rest)
        while shown:  # they were counted one by one, and tokenizers do not quite add up
            answer = built(shown, first + len(shown), 0)
            if self.size(answer) <= self.limit:
                return answer
            shown.pop()
        if first >= len(keys):
            return built((), first, 0)
        whole = rows.row(first)
        return self._part(
            whole,
            min(offset, len(whole.text)),
            lambda part, end: built((part,), first, end) if end < len(whole.text) else built((part,), first + 1, 0),
        )

    def _part(self, row: AnswerRow, offset: int, built: Callable[[Shown, int], Answer]) -> Answer:
        """Give the answer that shows as much of one row as there is room for, from `offset` on.

        Facts that would take half of the room are left out, those that matter least first.
        """
        *rich, poorest = _poorer(row.facts, first=offset == 0)
        for facts in (*rich, poorest):
            frame = self.size(built(_part_of(row, facts, offset, offset), offset))
            if 2 * frame > self.limit and facts is not poorest:
                continue
            room = self.limit - frame
            while room >= 0:
                end = self._end(row, facts, offset, room)
                if end == offset < len(row.text):
                    break
                answer = built(_part_of(row, facts, offset, end), end)
                if (over := self.size(answer) - self.limit) <= 0:
                    return answer
                room -= over
        raise InputError(
            f"the budget of {self.limit} tokens has no room for {cut(str(row.facts.get('id', '')), 40)!r}; "
            "ask for more tokens, or start the server with a larger --budget"
        )

    def _end(self, row: AnswerRow, facts: Mapping[str, Any], offset: int, room: int) -> int:
        """Give where the longest part ends that takes `room` tokens more than none, at white space if there is some."""
        everything = self.limit * _LONG
        none = self._cost(_part_of(row, facts, offset, offset), everything)
        low, high = 0, min(len(row.text) - offset, room * _LONG) + 1
        guess = room * 3
        for step in count(1):
            if high - low <= max(1, low // 50):  # nearly all of it will do
                break
            if not low < guess < high or step % 3 == 0:
                guess = (low + high) // 2
            cost = self._cost(_part_of(row, facts, offset, offset + guess), everything) - none
            low, high = (guess, high) if cost <= room else (low, guess)
            # The next guess is meant to fall on the other side, so that the two close in.
            guess = int(guess * room / max(cost, 1) * (1.01 if cost <= room else 0.99))
        end = offset + low
        if end < len(row.text):
            at = max(row.text.rfind(sign, offset + low * 4 // 5, end) for sign in "\n ")
            end = at + 1 if at >= 0 else end
        return end

    def _cost(self, shown: Shown, room: int) -> int:
        """Give the tokens of a row's larger form, or, where it cannot fit, some number above the room."""
        if len(shown.text) > max(room, 0) * _LONG:
            return room + 1
        return max(self.count(f"{shown.block()}\n"), self.count(f"{_dumped(shown.data())},")) + 1

    def short(self, build: Callable[[int], Answer]) -> Answer:
        """Give a short answer, whose names are clipped to a width in characters: the widest that fits."""
        for width in _WIDTHS:
            built = build(width)
            answer = Answer(built.text, built.data | {"tokens": self.count(built.text)})
            if self.size(answer) <= self.limit:
                return answer
        raise InputError(f"the budget of {self.limit} tokens has no room for this answer; raise the server's --budget")

    def sentence(self, text: str) -> str:
        """Give as much of a sentence as fits."""
        text = text[: self.limit * _LONG]
        while len(text) > 1 and (tokens := self.count(text)) > self.limit:
            text = f"{text[: min(len(text) * self.limit // tokens, len(text) - 2)]}…"
        return text


def _rest(row: AnswerRow, offset: int) -> Shown:
    """Give all of a row that follows; what was said of it before is not said again."""
    if offset == 0:
        return Shown(row.facts, row.text)
    start = min(offset, len(row.text))
    return _part_of(row, next(iter(_poorer(row.facts, first=False))), start, len(row.text))


def _part_of(row: AnswerRow, facts: Mapping[str, Any], start: int, end: int) -> Shown:
    if (start, end) == (0, len(row.text)):
        return Shown(facts, row.text)
    return Shown({**facts, "part": f"{start}-{end} of {len(row.text)}"}, row.text[start:end])


def _poorer(facts: Mapping[str, Any], *, first: bool) -> Iterator[dict[str, Any]]:
    """Give a row's facts, then fewer and fewer of them; pages after its first do not repeat the metadata."""
    if first:
        yield dict(facts)
    yield {name: value for name, value in facts.items() if name != "metadata"}
    yield {name: facts[name] for name in _BARE if name in facts}
    yield {name: cut(str(facts[name]), _LONGEST_ID) for name in _BARE if name in facts}


def _dumped(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
