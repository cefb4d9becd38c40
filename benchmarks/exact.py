"""The exact nearest neighbours of a corpus's queries, unfiltered and with each filter: the reference for recall."""

from __future__ import annotations

from pathlib import Path

import corpus as corpora
import numpy as np
from numpy.typing import NDArray

TOP = 10
KEPT = 20  # more than TOP, so that passages that tie with the tenth count as right
TIE = 1e-6
AT_ONCE = 50_000

Nearest = dict[str, NDArray[np.int64]]


def nearest(folder: Path) -> Nearest:
    """Return, for "all" and each filter's field, (queries, KEPT) passage numbers, padded with -1.

    A passage is among them when its cosine in float32 is at least the tenth best's. Kept in the corpus's folder.
    """
    file = folder / "exact.npz"
    if file.exists():
        with np.load(file) as kept:
            return {name: kept[name] for name in kept.files}
    corpus = corpora.load(folder)
    asked = np.load(folder / "queries.npy")
    found = {"all": _search(corpus, asked, None)}
    found |= {field: _search(corpus, asked, corpus.metadata[field] == 1) for field in corpora.SHARES}
    np.savez(file, **found)
    return found


def _search(corpus: corpora.Corpus, asked: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    rows = np.full((len(asked), KEPT), -1, np.int64)
    scores = np.full((len(asked), KEPT), -np.inf, np.float32)
    for first in range(0, len(corpus), AT_ONCE):
        numbers = np.arange(first, min(first + AT_ONCE, len(corpus)))
        block = corpus.vectors[first : first + AT_ONCE]
        if mask is not None:
            chosen = mask[numbers]
            numbers, block = numbers[chosen], block[chosen]
        if not len(numbers):
            continue
        near = asked @ np.asarray(block).T
        best = np.argpartition(near, -min(KEPT, near.shape[1]), axis=1)[:, -KEPT:]
        scores = np.hstack([scores, np.take_along_axis(near, best, axis=1)])
        rows = np.hstack([rows, numbers[best]])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :KEPT]
        scores, rows = np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
    rows[scores < scores[:, TOP - 1 : TOP] - TIE] = -1
    return rows


def recall(found: list[str], right: NDArray[np.int64]) -> float:
    """Return the recall of the ten nearest (or of all, if fewer pass the filter)."""
    accepted = {f"p{row}" for row in right.tolist() if row >= 0}
    wanted = min(TOP, len(accepted))
    return min(1.0, len(accepted & set(found[:TOP])) / wanted) if wanted else 1.0
