"""LoCoMo as published: `locomo10.json`, ten long conversations between two people, and questions about them.

Maharana et al., "Evaluating Very Long-Term Conversational Memory of LLM Agents", ACL 2024. Evidence names turns by
their `dia_id`, "D8:6" being the sixth turn of the eighth session, and is not always written so: several stand in one
string, some with zeros before the number or a colon too many, some name no turn, one is only "D". What can be read is
used, the rest is counted. Questions of category 5 rest on a wrong premise: nothing in the conversation answers them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from conversations import NOWHERE, UNPROVEN, UNREADABLE, Conversation, Dataset, Question, Session, Turn
from dates import time_of
from members import member, of_kind

from hybridstore.errors import InputError

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}

_SESSION = re.compile(r"session_(\d+)")
_TURN = re.compile(r"D\s*:?\s*(\d+)\s*:\s*(\d+)")
_BETWEEN = " \t\r\n;,.()[]"

Place = tuple[int, int]
"""A session's number and a turn's within it, both from 1."""


def read(samples: list[Any], name: str) -> Dataset:
    """Read a data set's list of samples; one that is not built as published is an InputError that says where."""
    conversations: list[Conversation] = []
    questions: list[Question] = []
    unused: Counter[str] = Counter()
    for number, sample in enumerate(samples):
        group = member(sample, "sample_id", str, f"sample {number}")
        if any(each.group == group for each in conversations):
            raise InputError(f"sample {number}: the sample_id {group!r} stands above already; they must differ")
        conversation, places = _conversation(member(sample, "conversation", dict, group), group)
        conversations.append(conversation)
        questions += _questions(member(sample, "qa", list, group), group, places, unused)
    return Dataset(
        name=name,
        layout="LoCoMo",
        protocol="all turns; questions of categories 1 to 4, those of category 5 are to be abstained from",
        conversations=tuple(conversations),
        questions=tuple(questions),
        unused=dict(+unused),
    )


def places_in(written: str) -> tuple[list[Place], int]:
    """Return the distinct places that a string of evidence names, and how many of its parts name none."""
    found = [(int(session), int(turn)) for session, turn in _TURN.findall(written)]
    rest = [piece for piece in _TURN.sub(" ", written).split() if piece.strip(_BETWEEN)]
    return list(dict.fromkeys(found)), len(rest)


def _conversation(row: Mapping[str, Any], group: str) -> tuple[Conversation, dict[Place, str]]:
    numbers = sorted(int(found[1]) for key in row if (found := _SESSION.fullmatch(key)))
    sessions: list[Session] = []
    places: dict[Place, str] = {}
    for number in numbers:
        where = f"{group}, session_{number}"
        time = time_of(row.get(f"session_{number}_date_time"), where)
        turns = []
        for each in of_kind(row[f"session_{number}"], list, where):
            written = member(each, "dia_id", str, where)
            named, _ = places_in(written)
            if len(named) != 1 or named[0] in places:
                why = "is named twice" if named else "is not a place such as D1:3"
                raise InputError(f"{where}: the dia_id {written!r} {why}")
            places[named[0]] = f"{group}/{written}"
            text = _with_photo(member(each, "text", str, f"{where}, {written}"), each.get("blip_caption"))
            turns.append(Turn(f"{group}/{written}", member(each, "speaker", str, where), text, time))
        if turns:
            sessions.append(Session(f"{group}/{number}", time, tuple(turns)))
    return Conversation(group, tuple(sessions)), places


def _with_photo(text: str, caption: str | None) -> str:
    """Add what a shared photo shows, as a description for a model that cannot see it."""
    return f"{text} [shares a photo: {caption}]".strip() if caption else text


def _questions(rows: list[Any], group: str, places: Mapping[Place, str], unused: Counter[str]) -> Iterator[Question]:
    for number, row in enumerate(rows):
        where = f"{group}, question {number}"
        category = member(row, "category", int, where)
        turns: dict[str, str] = {}
        for written in of_kind(row.get("evidence") or [], list, f"{where}: 'evidence'"):
            named, rest = places_in(written) if isinstance(written, str) else ([], 1)
            unused[UNREADABLE] += rest or not named
            for place in named:
                if place in places:
                    turns[places[place]] = f"{group}/{place[0]}"
                else:
                    unused[NOWHERE] += 1
        answerable = CATEGORIES.get(category) != "adversarial"
        if answerable and not turns:
            unused[UNPROVEN] += 1
            continue
        yield Question(
            id=f"{group}/q{number}",
            text=member(row, "question", str, where),
            group=group,
            category=CATEGORIES.get(category, str(category)),
            evidence_turns=tuple(turns),
            evidence_sessions=tuple(dict.fromkeys(turns.values())),
            answerable=answerable,
        )
