"""LongMemEval as published: each question has its own history, chats of a user with an assistant.

Wu et al., "LongMemEval: Benchmarking Chat Assistants on Long-Term Interactive Memory", ICLR 2025. The files
`longmemeval_s.json`, `_m` and `_oracle` are built alike. The whole file is held in memory, which takes a few times its
size: no matter for `_s`, much for `_m`, which is ten times as long. A question whose id ends in `_abs` has no answer in
its history.

There are two protocols. As the data set's description has it, all turns are remembered, the sessions named in
`answer_session_ids` are a question's evidence and the turns marked `has_answer` are those within them. The authors' own
retrieval script is stricter and easier at once: it only indexes what the user said, and takes for evidence only what
the user's own turns are marked for. Questions that only the assistant's turns answer are left out then: the script's
first version counted them, with a recall_all of 1 whatever was found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from conversations import NOWHERE, UNPROVEN, Conversation, Dataset, Question, Session, Turn
from dates import time_of
from members import member, of_kind

from hybridstore.errors import InputError

_NONE = "_abs"
_ALL = "all turns; evidence sessions are answer_session_ids, evidence turns those marked has_answer"
_USER = "the user's turns alone, as the authors' retrieval script; evidence are those marked has_answer"


def read(rows: list[Any], name: str, *, user_only: bool = False) -> Dataset:
    """Read a data set's list of questions; one that is not built as published is an InputError that says where."""
    conversations: dict[str, Conversation] = {}
    questions: list[Question] = []
    unused: Counter[str] = Counter()
    for number, row in enumerate(rows):
        group = member(row, "question_id", str, f"question {number}")
        if group in conversations:
            raise InputError(f"question {number}: the question_id {group!r} stands above already; they must differ")
        conversations[group], marked = _conversation(row, group, user_only=user_only)
        question = _question(row, conversations[group], marked, unused, user_only=user_only)
        if question.answerable and not (question.evidence_turns or question.evidence_sessions):
            unused[UNPROVEN] += 1
            del conversations[group]
            continue
        questions.append(question)
    return Dataset(
        name=f"{name}, the user's turns" if user_only else name,
        layout="LongMemEval",
        protocol=_USER if user_only else _ALL,
        conversations=tuple(conversations.values()),
        questions=tuple(questions),
        unused=dict(+unused),
    )


def _conversation(row: Mapping[str, Any], group: str, *, user_only: bool) -> tuple[Conversation, dict[str, str]]:
    """Return a question's history, and the session of each marked turn."""
    names, dates, histories = (
        member(row, key, list, group) for key in ("haystack_session_ids", "haystack_dates", "haystack_sessions")
    )
    if not len(names) == len(dates) == len(histories):
        raise InputError(
            f"{group}: there are {len(histories)} haystack_sessions, but {len(names)} ids and {len(dates)} dates"
        )
    sessions: list[Session] = []
    marked: dict[str, str] = {}
    times_seen: Counter[str] = Counter()
    for name, date, history in zip(names, dates, histories, strict=True):
        where = f"{group}, session {name}"
        times_seen[name] += 1
        copy = f"#{times_seen[name]}" if times_seen[name] > 1 else ""  # a history may hold a session twice
        time, turns = time_of(date, where), []
        for n, each in enumerate(of_kind(history, list, where), start=1):
            role = member(each, "role", str, where)
            if user_only and role != "user":
                continue
            turns.append(Turn(f"{group}/{name}{copy}_{n}", role, member(each, "content", str, where), time))
            if each.get("has_answer"):
                marked[turns[-1].id] = f"{group}/{name}"
        if turns:
            sessions.append(Session(f"{group}/{name}", time, tuple(turns)))
    return Conversation(group, tuple(sessions)), marked


def _question(
    row: Mapping[str, Any], history: Conversation, marked: Mapping[str, str], unused: Counter[str], *, user_only: bool
) -> Question:
    group = history.group
    there = {session.id for session in history.sessions}
    named = dict.fromkeys(f"{group}/{each}" for each in member(row, "answer_session_ids", list, group))
    unused[NOWHERE] += sum(each not in there for each in named)
    sessions = dict.fromkeys(marked.values()) if user_only else [each for each in named if each in there]
    return Question(
        id=group,
        text=member(row, "question", str, group),
        group=group,
        category=member(row, "question_type", str, group),
        evidence_turns=tuple(marked),
        evidence_sessions=tuple(sessions),
        time=time_of(row.get("question_date"), group),
        answerable=not group.endswith(_NONE),
    )
