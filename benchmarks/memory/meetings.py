"""Meetings in BEIR layout, such as QMSum: a document is a whole meeting, and a question names parts of it.

    corpus.jsonl            {"_id": "m1", "text": "Ada: Good morning.\nBen: Shall we begin?"}, a turn a line
    queries.jsonl           {"_id": "q1", "text": "…", "metadata": {"meeting": "m1", "turn_spans": [["3", "7"]]}}
    qrels/test.tsv          the questions that are asked

`turn_spans` are turns of the meeting, counted from 0, the last one included. Every turn of a stretch is evidence, so
finding all of it is more than anybody asks; recall@k and nDCG@k say more here than all@k.
"""

from __future__ import annotations

from collections import Counter

from conversations import NOWHERE, UNJUDGED, UNPROVEN, Conversation, Dataset, Question, Session, Turn

from hybridstore.evaluation import Collection

_SPLIT = "test"


def is_meetings(collection: Collection) -> bool:
    """Return whether the questions name parts of meetings."""
    return any("turn_spans" in query.metadata for query in collection.queries().values())


def read(collection: Collection) -> Dataset:
    """Read the meetings that the test questions are about."""
    judged = collection.qrels(_SPLIT).grades
    asked = {query.id: query for query in collection.queries().values() if query.id in judged}
    unused: Counter[str] = Counter({UNJUDGED: len(collection.queries()) - len(asked)})
    wanted = {str(query.metadata["meeting"]) for query in asked.values()}
    conversations = [
        Conversation(group, (Session(f"{group}/1", None, _turns(group, document.text)),))
        for document in collection.corpus()
        if (group := str(document.id)) in wanted
    ]
    there = {turn.id for conversation in conversations for turn in conversation.turns()}
    questions = []
    for query in asked.values():
        group = str(query.metadata["meeting"])
        named = [
            f"{group}/{n}" for first, last in query.metadata["turn_spans"] for n in range(int(first), int(last) + 1)
        ]
        turns = [turn for turn in named if turn in there]
        unused[NOWHERE] += len(named) - len(turns)
        if not turns:
            unused[UNPROVEN] += 1
            continue
        question = Question(
            id=query.id,
            text=query.text,
            group=group,
            category="meeting",
            evidence_turns=tuple(dict.fromkeys(turns)),
            evidence_sessions=(f"{group}/1",),
        )
        questions.append(question)
    return Dataset(
        name=collection.name,
        layout="BEIR (meetings)",
        protocol=f"all turns of a meeting; questions of qrels/{_SPLIT}.tsv; every turn of a stretch is evidence",
        conversations=tuple(conversations),
        questions=tuple(questions),
        unused=dict(+unused),
    )


def _turns(group: str, text: str) -> tuple[Turn, ...]:
    turns = []
    for n, line in enumerate(text.split("\n")):
        speaker, said, what = line.partition(": ")
        if (what if said else line).strip():
            turns.append(Turn(f"{group}/{n}", speaker if said else "", what if said else line))
    return tuple(turns)
