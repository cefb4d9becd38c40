"""Examples to batches: in which order, which share one, and which texts of a batch answer which of its questions."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.tuning.finetune.examples import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Examples looked at for one place in a batch: those put off are few unless one text answers nearly everything.
_LOOKED = 8


@dataclass(frozen=True, slots=True)
class Batch:
    """Questions (n) and passages (m), no passage twice; `targets` (n,) int64 says which passage answers each.

    `spared` (n, m) marks passages that are not held against a question though they are not its target: other answers
    of its own, and texts of which nobody knows. `lists` (n, k) int64 are each question's own passages, its target
    first, -1 where it has fewer; `scores` (n, k) float32 their soft labels.
    """

    queries: tuple[str, ...]
    passages: tuple[str, ...]
    targets: NDArray[np.int64]
    spared: NDArray[np.bool_]
    lists: NDArray[np.int64]
    scores: NDArray[np.float32]


def order(examples: Sequence[Example], size: int, seed: int, epoch: int) -> list[list[int]]:
    """Give an epoch's batches of at most `size`, as places in `examples`: the same for the same seed.

    No question and no positive occurs twice in a batch. Examples with the same positive are spread over the epoch. What
    cannot teach is left out: an example alone in its batch, without negatives.
    """
    rng = np.random.default_rng((seed, epoch))
    times = Counter(example.positive for example in examples)
    seen: Counter[str] = Counter()
    keys = np.empty(len(examples))
    for place in rng.permutation(len(examples)).tolist():
        positive = examples[place].positive
        keys[place] = (seen[positive] + rng.random()) / times[positive]
        seen[positive] += 1
    waiting = deque(np.argsort(keys, kind="stable").tolist())
    batches: list[list[int]] = []
    while waiting:
        batch: list[int] = []
        taken: set[tuple[str, str]] = set()
        put_off: list[int] = []
        while waiting and len(batch) < size and len(put_off) < _LOOKED * size:
            place = waiting.popleft()
            names = {("query", examples[place].query), ("positive", examples[place].positive)}
            if taken & names:
                put_off.append(place)
            else:
                batch.append(place)
                taken |= names
        waiting.extendleft(reversed(put_off))
        if len(batch) > 1 or examples[batch[0]].negatives:
            batches.append(batch)
    return batches


def answers(examples: Sequence[Example]) -> dict[str, set[str]]:
    """Give for each question all texts that are known to answer it."""
    known: defaultdict[str, set[str]] = defaultdict(set)
    for example in examples:
        known[example.query].add(example.positive)
    return known


def assemble(
    examples: Sequence[Example],
    places: Sequence[int],
    known: Mapping[str, set[str]],
    *,
    negatives: int,
    seed: int,
    epoch: int,
) -> Batch:
    """Put a batch together; of each example's negatives at most `negatives`, others each epoch."""
    passages: dict[str, int] = {}
    lists: list[list[int]] = []
    scores: list[list[float]] = []
    for place in places:
        example = examples[place]
        chosen = np.random.default_rng((seed, epoch, place)).permutation(len(example.negatives))[:negatives]
        wanted = [0, *sorted(1 + int(n) for n in chosen if example.negatives[n] not in known[example.query])]
        texts = (example.positive, *example.negatives)
        lists.append([passages.setdefault(texts[n], len(passages)) for n in wanted])
        scores.append([example.scores[n] for n in wanted] if example.scores else [1.0, *[0.0] * (len(wanted) - 1)])
    targets = np.array([each[0] for each in lists], dtype=np.int64)
    spared = np.zeros((len(places), len(passages)), dtype=np.bool_)
    for row, place in enumerate(places):
        example = examples[place]
        for text in known[example.query].union(example.spared):
            if text in passages:
                spared[row, passages[text]] = True
    spared[np.arange(len(places)), targets] = False
    width = max(len(each) for each in lists)
    return Batch(
        queries=tuple(examples[place].query for place in places),
        passages=tuple(passages),
        targets=targets,
        spared=spared,
        lists=np.array([each + [-1] * (width - len(each)) for each in lists], dtype=np.int64),
        scores=np.array([each + [0.0] * (width - len(each)) for each in scores], dtype=np.float32),
    )
