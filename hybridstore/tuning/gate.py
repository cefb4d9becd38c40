"""The gate: a version of the model comes in only if it is better, beyond chance, on documents it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hybridstore.evaluation.significance import RunComparison, paired_bootstrap
from hybridstore.tuning.gate_probes import TASKS, Probe, by_document

FEWEST = 20  # documents, for an interval that means anything
_FEWEST_OF_A_KIND = 10
_RESAMPLES = 2_000
TOLD = {
    "find": "finding the document asked about",
    "words": "finding the documents most like it by words",
    "both": "finding the documents most like it by words and meaning",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a version is let in, and why.

    `overall`, and that of each kind of question and each task, compares before (a) and after (b), document by document.
    `reason` is a sentence for people. Where there were too few documents to tell, `overall` is None, and `kinds` and
    `tasks` are empty. `questions` counts those asked.
    """

    accepted: bool
    reason: str
    overall: RunComparison | None
    kinds: Mapping[str, RunComparison]
    tasks: Mapping[str, RunComparison]
    questions: int

    def told(self) -> dict[str, Any]:
        """Give it as JSON's types."""
        return asdict(self)


def decide(
    probes: Sequence[Probe], before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]
) -> Verdict:
    """Let a version in if its interval over documents is above zero, and no kind of question and no task loses.

    A loss is an interval below zero. All intervals are of 95 %, by paired bootstrap over documents, because the
    questions of one document stand or fall together.
    """
    documents = {probe.unit for probe in probes}
    if len(documents) < FEWEST:
        reason = f"only {len(documents)} documents could be asked about, and {FEWEST} are needed to tell gain from luck"
        return Verdict(accepted=False, reason=reason, overall=None, kinds={}, tasks={}, questions=len(probes))

    def compared(kind: str | None = None, task: str | None = None) -> RunComparison:
        a, b = (by_document(probes, found, kind=kind, task=task) for found in (before, after))
        return paired_bootstrap(a, b, resamples=_RESAMPLES)

    asked = {kind: {probe.unit for probe in probes if probe.kind == kind} for kind in _kinds(probes)}
    kinds = {kind: compared(kind=kind) for kind, some in asked.items() if len(some) >= _FEWEST_OF_A_KIND}
    tasks = {task: compared(task=task) for task in TASKS if by_document(probes, before, task=task)}
    overall = compared()
    accepted, reason = _judged(overall, kinds, tasks)
    return Verdict(accepted=accepted, reason=reason, overall=overall, kinds=kinds, tasks=tasks, questions=len(probes))


def _kinds(probes: Sequence[Probe]) -> list[str]:
    return sorted({probe.kind for probe in probes})


def _judged(
    overall: RunComparison, kinds: Mapping[str, RunComparison], tasks: Mapping[str, RunComparison]
) -> tuple[bool, str]:
    told = f"{overall.difference:+.4f} nDCG@10 on {overall.n:,} held-out documents ({_interval(overall)})"
    if overall.low <= 0:
        lost = "it loses there" if overall.high < 0 else "that may be luck"
        return False, f"{told}: {lost}"
    if worse := [kind for kind, each in kinds.items() if each.high < 0]:
        each = kinds[worse[0]]
        return False, f"{told}, but questions of the kind {worse[0]} lose {each.difference:+.4f} ({_interval(each)})"
    if worse := [task for task, each in tasks.items() if each.high < 0]:
        each = tasks[worse[0]]
        return False, f"{told}, but it loses at {TOLD[worse[0]]}: {each.difference:+.4f} ({_interval(each)})"
    return True, told


def _interval(comparison: RunComparison) -> str:
    return f"95 % of resamples between {comparison.low:+.4f} and {comparison.high:+.4f}"
