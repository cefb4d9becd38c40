"""Paging under a token budget: as many rows as fit, the rest on further pages, and never a token more.

An answer has two forms, text and JSON. A client passes one of them to its model, and each stays within the budget.

A cursor needs no state on the server. It contains the number of the next row and a digest of its key, so that no row is
repeated or skipped when others were added or removed meanwhile; and a digest of the request, so that it is only valid
for the same one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from hybridstore.errors import InputError
from hybridstore.serving.answers import Answer, AnswerRow, Frame, Shown, cut

SMALLEST = 256
"""The smallest budget in tokens; a smaller one has room for little more than the frame of an answer."""

_LONG = 12  # characters that a token has at most, nearly always: a far longer text need not be counted
_WIDTHS = (200, 100, 50, 20)  # characters of names in short answers, tried in this order
_BARE = ("id", "kind")  # the facts that a row always has
_LONGEST_ID = 60  # characters of an id that leaves no room for anything else
_CURSOR = re.compile(r"(\d{1,9})\.(\d{1,12})\.([0-9a-f]{8})\.([0-9a-f]{8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class AnswerRows:
    """The rows of an answer, in order: their keys, and a function that makes the row of a number when it is shown."""

    keys: Sequence[str]
    row: Callable[[int], AnswerRow]

    @classmethod
    def of(cls, rows: Sequence[AnswerRow]) -> AnswerRows:
        """Wrap rows that exist already."""
        return cls([row.key for row in rows], rows.__getitem__)


def digest(value: Any) -> str:
    """Return eight hexadecimal digits for a JSON value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _position(cursor: str, request: str, keys: Sequence[str]) -> tuple[int, int]:
    """Return the next row among `keys` and the offset in its text; the beginning for "".

    Where that row is gone, the row now in its place comes next. Raises InputError for an invalid cursor, or one of
    another request.
    """
    if not cursor:
        return 0, 0
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InputError(f"{cursor[:40]!r} is not a cursor; pass the one from the previous answer, or leave it out")
    row, offset, key = int(match[1]), int(match[2]), match[3]
    if match[4] != request:
        raise InputError(
            "this cursor belongs to another request, or the content has changed since; pass the same arguments as "
            "before, or leave the cursor out to start again"
        )
    if row < len(keys) and digest(keys[row]) == key:
        return row, offset
    for number, other in enumerate(keys):
        if digest(other) == key:
            return number, offset
    return min(row, len(keys)), 0


class Budget:
    """The most tokens of an answer, counted by `counter`. Raises InputError for a limit below SMALLEST."""

    def __init__(self, counter: Callable[[str], int], limit: int) -> None:
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < SMALLEST:
            raise InputError(f"the budget of an answer is a whole number of at least {SMALLEST} tokens, not {limit!r}")
        self.count, self.limit = counter, limit

    def within(self, limit: int | None) -> Budget:
        """Return the budget of a request for shorter answers; None, or more, is this budget."""
        return self if limit is None or limit >= self.limit else Budget(self.count, limit)

    def size(self, answer: Answer) -> int:
        """Return the tokens of an answer's larger form."""
        return max(self.count(answer.text), self.count(_dumped(answer.data)))

    def page(self, rows: AnswerRows, request: str, cursor: str, frame: Frame) -> Answer:
        """Return the page at the cursor: whole rows, or a part of a row that is longer than a page.

        All pages together show every row once, and the whole text of long rows. `request` is the digest of the
        request; a cursor is only valid for the same one.
        """
        keys = rows.keys
        first, offset = _position(cursor, request, keys)

        def built(shown: Sequence[Shown], after: int, at: int) -> Answer:
            """Make the answer when the next page begins at row `after`, from character `at` on."""
            return frame(shown, f"{after}.{at}.{digest(keys[after])}.{request}" if after < len(keys) else "")

        room = self.limit - self.size(built((), first, offset))
        shown: list[Shown] = []
        for number in range(first, len(keys)):
            rest = _rest(rows.row(number), 0 if shown else offset)
            if (cost := self._cost(rest, room)) > room:
                break
            room -= cost
            shown.append(rest)
        while shown:  # rows were counted one by one, and the tokens of the whole can differ from their sum
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
        """Make the answer that shows as much of one row as fits, from `offset` on.

        Facts that would take half of the room are left out, the least important first.
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
        """Return the end of the longest part that takes `room` tokens more than none, at white space if possible."""
        everything = self.limit * _LONG
        none = self._cost(_part_of(row, facts, offset, offset), everything)
        low, high = 0, min(len(row.text) - offset, room * _LONG) + 1
        guess = room * 3
        for step in count(1):
            if high - low <= max(1, low // 50):  # close enough
                break
            if not low < guess < high or step % 3 == 0:
                guess = (low + high) // 2
            cost = self._cost(_part_of(row, facts, offset, offset + guess), everything) - none
            low, high = (guess, high) if cost <= room else (low, guess)
            # The next guess should fall on the other side, so that the bounds close in.
            guess = int(guess * room / max(cost, 1) * (1.01 if cost <= room else 0.99))
        end = offset + low
        if end < len(row.text):
            at = max(row.text.rfind(sign, offset + low * 4 // 5, end) for sign in "\n ")
            end = at + 1 if at >= 0 else end
        return end

    def _cost(self, shown: Shown, room: int) -> int:
        """Return the tokens of a row's larger form, or, where it cannot fit, some number above the room."""
        if len(shown.text) > max(room, 0) * _LONG:
            return room + 1
        return max(self.count(f"{shown.block()}\n"), self.count(f"{_dumped(shown.data())},")) + 1

    def short(self, build: Callable[[int], Answer]) -> Answer:
        """Return a short answer with names cut to a width in characters: the widest that fits."""
        for width in _WIDTHS:
            built = build(width)
            answer = Answer(built.text, built.data | {"tokens": self.count(built.text)})
            if self.size(answer) <= self.limit:
                return answer
        raise InputError(f"the budget of {self.limit} tokens has no room for this answer; raise the server's --budget")

    def sentence(self, text: str) -> str:
        """Return as much of a sentence as fits."""
        text = text[: self.limit * _LONG]
        while len(text) > 1 and (tokens := self.count(text)) > self.limit:
            text = f"{text[: min(len(text) * self.limit // tokens, len(text) - 2)]}…"
        return text


def _rest(row: AnswerRow, offset: int) -> Shown:
    """Return the rest of a row; facts shown on earlier pages are not repeated."""
    if offset == 0:
        return Shown(row.facts, row.text)
    start = min(offset, len(row.text))
    return _part_of(row, next(iter(_poorer(row.facts, first=False))), start, len(row.text))


def _part_of(row: AnswerRow, facts: Mapping[str, Any], start: int, end: int) -> Shown:
    if (start, end) == (0, len(row.text)):
        return Shown(facts, row.text)
    return Shown({**facts, "part": f"{start}-{end} of {len(row.text)}"}, row.text[start:end])


def _poorer(facts: Mapping[str, Any], *, first: bool) -> Iterator[dict[str, Any]]:
    """Yield a row's facts, then fewer and fewer of them; pages after its first do not repeat the metadata."""
    if first:
        yield dict(facts)
    yield {name: value for name, value in facts.items() if name != "metadata"}
    yield {name: facts[name] for name in _BARE if name in facts}
    yield {name: cut(str(facts[name]), _LONGEST_ID) for name in _BARE if name in facts}


def _dumped(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
