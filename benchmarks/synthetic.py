"""A synthetic corpus, for use without real stores: words by Zipf's law, vectors around random centres."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from passages import AT_ONCE, DIM, Vectors


def passages(size: int, seed: int) -> Iterator[tuple[list[str], Vectors]]:
    random = np.random.default_rng([seed, 5])
    centres = random.standard_normal((max(8, size // 50), DIM)).astype(np.float32)
    while size:
        count = min(AT_ONCE, size)
        lengths = random.integers(60, 200, count)
        ranks = random.zipf(1.15, int(lengths.sum())).tolist()
        ends = [0, *np.cumsum(lengths).tolist()]
        vectors = centres[random.integers(0, len(centres), count)]
        vectors = vectors + random.standard_normal((count, DIM), np.float32)
        yield (
            [" ".join(map(word, ranks[start:end])) for start, end in pairwise(ends)],
            vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        )
        size -= count


def queries(count: int, seed: int) -> tuple[list[str], Vectors]:
    """Return twelve-word queries, four of the words common."""
    random = np.random.default_rng([seed, 6])
    ranks = np.hstack([random.integers(1, 30, (count, 4)), random.integers(30, 20_000, (count, 8))])
    vectors = random.standard_normal((count, DIM)).astype(np.float32)
    texts = [" ".join(word(rank) for rank in row) for row in ranks.tolist()]
    return texts, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def word(rank: int) -> str:
    """Return the word of a rank: letters only, short if common."""
    rank = rank % 200_000 + 1
    letters = ""
    while rank:
        rank, letter = divmod(rank, 20)
        letters += "etaoinshrdlucmfwypvb"[letter]
    return letters
