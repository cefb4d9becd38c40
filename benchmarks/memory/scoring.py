"""Metrics of a ranking of turns or sessions, as defined by the authors of the data sets.

`ranked` are ids, best first, each once; `evidence` are those that hold the answer, at least one. LongMemEval's authors
report recall_any, recall_all and their nDCG (`src/retrieval/eval_utils.py` of their repository), LoCoMo's the plain
recall of turns (`task_eval/evaluation.py`).

Sessions are counted once each here. LoCoMo's script weighs a session by how many turns of the evidence it holds, and
LongMemEval's nDCG of sessions out of ranked turns counts each turn of a session anew; its recalls are the same as here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from conversations import Question

LEVELS = ("turn", "session")


def recall_any(ranked: Sequence[str], evidence: Sequence[str], k: int) -> float:
    """Return 1 if any of the evidence is among the first k, else 0."""
    return float(not set(evidence).isdisjoint(ranked[:k]))


def recall_all(ranked: Sequence[str], evidence: Sequence[str], k: int) -> float:
    """Return 1 if all of the evidence is among the first k, else 0; always 0 for more than k pieces."""
    return float(set(evidence) <= set(ranked[:k]))


def recall(ranked: Sequence[str], evidence: Sequence[str], k: int) -> float:
    """Return the share of the evidence that is among the first k."""
    wanted = set(evidence)
    return len(wanted & set(ranked[:k])) / len(wanted)


def ndcg(ranked: Sequence[str], evidence: Sequence[str], k: int) -> float:
    """Return nDCG with LongMemEval's discount, which is 1 at ranks 1 and 2 and log2(rank) from there on.

    That is the discount of Järvelin and Kekäläinen (2002) with base 2. The usual one, log2(1 + rank), which
    `hybridstore.evaluation` has, already counts the second rank for less; figures by the two do not compare.
    """
    wanted = set(evidence)
    ideal = _gained([1] * min(len(wanted), k))
    return _gained([int(each in wanted) for each in ranked[:k]]) / ideal


METRICS: Mapping[str, Callable[[Sequence[str], Sequence[str], int], float]] = {
    "recall_any": recall_any,
    "recall_all": recall_all,
    "recall": recall,
    "ndcg": ndcg,
}


def sessions_of(turns: Sequence[str], homes: Mapping[str, str]) -> list[str]:
    """Rank sessions by the first of their turns; `homes` gives for each turn its session."""
    return list(dict.fromkeys(homes[turn] for turn in turns))


def scores(
    question: Question, turns: Sequence[str], homes: Mapping[str, str], ks: Sequence[int]
) -> dict[str, dict[str, float]]:
    """Return level → metric@k → number for a ranking of turns; a level without marked evidence is omitted.

    The first k sessions take as many turns as it needs to see k different ones, as in the authors' script.
    """
    levels = {
        "turn": (list(dict.fromkeys(turns)), question.evidence_turns),
        "session": (sessions_of(turns, homes), question.evidence_sessions),
    }
    return {
        level: {f"{name}@{k}": metric(ranked, evidence, k) for k in ks for name, metric in METRICS.items()}
        for level, (ranked, evidence) in levels.items()
        if evidence
    }


def _gained(relevant: Sequence[int]) -> float:
    return sum(each / max(1.0, math.log2(rank)) for rank, each in enumerate(relevant, start=1))
