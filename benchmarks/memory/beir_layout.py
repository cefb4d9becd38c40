"""Conversations in BEIR layout: a document is a turn, with its conversation and session in the metadata.

    corpus.jsonl            {"_id": "c1/D1:1", "text": "Ada: Good morning!",
                             "metadata": {"group": "c1", "session": 1, "date": "4:04 pm on 20 January, 2023",
                                          "speaker": "Ada"}}
    queries.jsonl           {"_id": "c1/q0", "text": "…", "metadata": {"group": "c1", "category": 2}}
    qrels/test.tsv          the questions that have an answer, and the turns that hold it
    qrels/adversarial.tsv   those that have none, and the turns they were made from; may be missing

`.gz` behind a name is fine. A turn's text may begin with its speaker's name. `date` and `speaker` may be missing.
Numbers as categories are LoCoMo's.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from conversations import NOWHERE, UNJUDGED, UNPROVEN, Conversation, Dataset, Question, Session, Turn
from dates import time_of
from locomo import CATEGORIES
from members import member

from hybridstore.errors import InputError
from hybridstore.evaluation import Collection, Query
from hybridstore.records import Document

_ANSWERED, _UNANSWERED = "test", "adversarial"


def read(folder: Path) -> Dataset:
    """Read a folder; a document without group or session, and a missing file, are InputErrors."""
    collection = Collection(folder)
    conversations = _conversations(collection)
    homes = {turn.id: session.id for each in conversations for session in each.sessions for turn in session.turns}
    groups = {turn.id: each.group for each in conversations for turn in each.turns()}
    judged = {
        split: collection.qrels(split).grades
        for split in (_ANSWERED, *({_UNANSWERED} & {*collection.splits}))  # without the first, an error
    }
    unused: Counter[str] = Counter()
    questions = []
    for query in collection.queries().values():
        split = next((split for split, grades in judged.items() if query.id in grades), None)
        if split is None:
            unused[UNJUDGED] += 1
            continue
        group = _group(query, f"{folder.name}, query {query.id}")
        relevant = [turn for turn, grade in judged[split][query.id].items() if grade > 0]
        turns = [turn for turn in relevant if groups.get(turn) == group]
        unused[NOWHERE] += len(relevant) - len(turns)
        if split == _ANSWERED and not turns:
            unused[UNPROVEN] += 1
            continue
        category = query.metadata.get("category", "")
        questions.append(
            Question(
                id=query.id,
                text=query.text,
                group=group,
                category=CATEGORIES.get(category, str(category)),
                evidence_turns=tuple(turns),
                evidence_sessions=tuple(dict.fromkeys(homes[turn] for turn in turns)),
                time=time_of(query.metadata.get("date"), query.id),
                answerable=split == _ANSWERED,
            )
        )
    return Dataset(
        name=collection.name,
        layout="BEIR",
        protocol=f"all turns; questions of qrels/{_ANSWERED}.tsv, those of {_UNANSWERED}.tsv are to be abstained from",
        conversations=tuple(conversations),
        questions=tuple(questions),
        unused=dict(+unused),
    )


def _conversations(collection: Collection) -> list[Conversation]:
    found: dict[str, dict[str, list[Turn]]] = {}
    for document in collection.corpus():
        identifier = document.id or ""
        where = f"{collection.name}, document {identifier}"
        group, session = _group(document, where), document.metadata.get("session")
        if session is None:
            raise InputError(f"{where}: metadata has no 'session', and a memory is measured by sessions too")
        speaker = str(document.metadata.get("speaker") or "")
        text = document.text.removeprefix(f"{speaker}: ")
        turn = Turn(identifier, speaker, text, time_of(document.metadata.get("date"), where))
        found.setdefault(group, {}).setdefault(f"{group}/{session}", []).append(turn)
    return [
        Conversation(group, tuple(Session(name, turns[0].time, tuple(turns)) for name, turns in sessions.items()))
        for group, sessions in found.items()
    ]


def _group(row: Query | Document, where: str) -> str:
    return member(row.metadata, "group", str, f"{where}, metadata")
