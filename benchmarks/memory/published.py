"""Figures that others published about their own systems. None of them was measured here.

Each says by what protocol, because that decides more than the system does: whether abstention questions count, whether
one evidence session is enough, which questions a system was tuned on.
"""

from __future__ import annotations

from dataclasses import dataclass

_EVERY = "session level, all 500 questions (the 30 to abstain from too), evidence is answer_session_ids"


@dataclass(frozen=True, slots=True)
class Published:
    """A figure in percent, `metric` as its authors call it; `source` is where it was published."""

    data: str
    system: str
    metric: str
    value: str
    protocol: str
    source: str


FIGURES = (
    Published(
        "LongMemEval-S",
        "agentmemory, BM25 alone",
        "recall_any@5",
        "86.2",
        f"{_EVERY}, Porter stemming and synonyms",
        "https://github.com/rohitg00/agentmemory/blob/main/benchmark/LONGMEMEVAL.md",
    ),
    Published(
        "LongMemEval-S",
        "agentmemory, BM25 and all-MiniLM-L6-v2",
        "recall_any@5",
        "95.2",
        _EVERY,
        "https://github.com/rohitg00/agentmemory/blob/main/benchmark/LONGMEMEVAL.md",
    ),
    Published(
        "LongMemEval-S",
        "MemPalace, raw: vectors of whole sessions",
        "R@5 (any)",
        "96.6",
        "session level, all 500 questions, no language model",
        "https://github.com/MemPalace/mempalace/blob/main/benchmarks/BENCHMARKS.md",
    ),
    Published(
        "LongMemEval-S",
        "MemPalace, hybrid v4",
        "R@5 (any)",
        "98.4",
        "session level, the 450 questions its rules were not made on, no language model",
        "https://github.com/MemPalace/mempalace/blob/main/benchmarks/BENCHMARKS.md",
    ),
    Published(
        "LoCoMo",
        "graph-memory, session FTS",
        "recall_all@5",
        "70.9",
        "session level, 1,982 questions with evidence (the adversarial ones too)",
        "https://github.com/adoresever/graph-memory/issues/76",
    ),
    Published(
        "LoCoMo",
        "graph-memory, sessions and messages in two steps",
        "recall_all@5",
        "82.9",
        "session level, 1,982 questions with evidence (the adversarial ones too), part of which it was made on",
        "https://github.com/adoresever/graph-memory/issues/76",
    ),
)
