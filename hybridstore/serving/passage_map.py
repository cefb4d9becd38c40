"""A map of passages: their vectors laid out in two dimensions, so that what is alike lies together.

The method is that of UMAP (McInnes, Healy & Melville, "Uniform Manifold Approximation and Projection", 2018): each
passage is drawn to its nearest neighbours and pushed from random others, from the two principal components on. Here all
passages move at once in each step, which NumPy does for 2,000 in about a second. Of a passage's ten nearest in the 384
dimensions of MiniLM, 39 to 43 % are among its ten nearest on the map of 2,000 (SciFact, NFCorpus); principal components
alone keep 4 to 5 %, umap-learn 0.5 keeps 38 to 45 % in seven times the time, and brings numba and LLVM.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

METHOD = "UMAP’s forces between each passage and its 12 nearest, beginning with principal components"
_NEIGHBOURS = 12
_STEPS = 200
_PUSHES = 8  # random others in a step
_PUSHED = 5.0  # times as much as a passage is drawn, as in UMAP
_A, _B = 1.577, 0.895  # UMAP's curve for a least distance of 0.1
_RATE = 0.1  # of the first step; from 0.02 to 0.3 it keeps two points of a hundred fewer neighbours at most
_FARTHEST = 4.0  # that a single force moves, as in UMAP

_REGIONS, _FEWEST = 12, 20  # with words on a map, and passages in each on average
_STEM = 4  # letters by which two forms of a word are alike
_WORD = re.compile(r"[^\W\d_]{3,}")

Points = NDArray[np.float64]


def layout(vectors: NDArray[np.float32], seed: int = 0) -> Points:
    """Return a place (n, 2) for each unit vector (n, dim), within 0 to 1; the same vectors give the same places.

    Fewer than 5 vectors are placed by principal components alone.
    """
    count = len(vectors)
    points = _components(vectors) if count else np.zeros((0, 2))
    if count < 5:
        return _fitted(points)
    near, strength = _neighbours(vectors, min(_NEIGHBOURS, count - 1))
    source = np.repeat(np.arange(count), near.shape[1])
    target, weight = near.ravel(), strength.ravel()
    drawn = np.bincount(source, weight, count) + np.bincount(target, weight, count)
    rng = np.random.default_rng(seed)
    for step in range(_STEPS):
        rate = _RATE * (1.0 - step / _STEPS)
        difference = points[source] - points[target]
        squared = np.einsum("ij,ij->i", difference, difference)
        squared = np.maximum(squared, 1e-9)
        pull = weight * -2.0 * _A * _B * squared ** (_B - 1.0) / (1.0 + _A * squared**_B)
        force = (pull[:, None] * difference).clip(-_FARTHEST, _FARTHEST)
        moved = np.stack(
            [np.bincount(source, column, count) - np.bincount(target, column, count) for column in force.T], axis=1
        )
        others = rng.integers(count, size=(count, _PUSHES))
        difference = points[:, None] - points[others]
        squared = np.einsum("ijk,ijk->ij", difference, difference)
        push = 2.0 * _B / ((0.001 + squared) * (1.0 + _A * squared**_B))
        force = (push[:, :, None] * difference).clip(-_FARTHEST, _FARTHEST)
        moved += (_PUSHED / _PUSHES * drawn)[:, None] * force.sum(axis=1)
        points = points + rate * moved
    return _fitted(points)


def placed(vectors: NDArray[np.float32], known: NDArray[np.float32], points: Points) -> Points:
    """Return a place (m, 2) for other vectors (m, dim): amid the nearest five of those (n, dim) at `points` (n, 2)."""
    if not len(known) or not len(vectors):
        return np.empty((0, 2))
    cosines = vectors @ known.T
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :5]
    weight = np.exp(20.0 * (np.take_along_axis(cosines, best, axis=1) - cosines.max(axis=1, keepdims=True)))
    weight = weight / weight.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("mk,mkd->md", weight, points[best]), np.float64)


def regions(
    points: Points, texts: Sequence[str], unwanted: Callable[[Sequence[str]], Iterable[str]]
) -> list[tuple[tuple[float, float], str]]:
    """Return up to 12 regions of a map (n, 2): the middle of each, and the two words that set its texts (n) apart.

    `unwanted` returns those of a list of words that say nothing. A word counts by the number of a region's texts that
    contain it, times its IDF on the map.
    """
    if len(points) < _FEWEST:
        return []
    labels, middles = _clusters(points, min(_REGIONS, len(points) // _FEWEST))
    words = [set(_WORD.findall(text.lower())) for text in texts]
    known = Counter(word for each in words for word in each)
    nothing = set(unwanted(list(known)))
    found, used = [], set[str]()
    for number, middle in enumerate(middles):
        own = [each for each, label in zip(words, labels.tolist(), strict=True) if label == number]
        inside = Counter(word for each in own for word in each - nothing - used)
        ranked = sorted(
            (word for word, count in inside.items() if count > 1),
            key=lambda word: (-inside[word] * math.log(len(texts) / known[word]), word),
        )
        best = ranked[:1] + [word for word in ranked[1:] if word[:_STEM] != ranked[0][:_STEM]][:1]
        used.update(best)
        if best:
            found.append(((round(float(middle[0]), 4), round(float(middle[1]), 4)), " · ".join(best)))
    return found


def _clusters(points: Points, count: int) -> tuple[NDArray[np.int64], Points]:
    """Return each point's cluster (n,) and the middles (count, 2), by k-means from points far apart."""
    middles = points[[int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())]]
    while len(middles) < count:
        farthest = ((points[:, None] - middles) ** 2).sum(axis=2).min(axis=1).argmax()
        middles = np.concatenate([middles, points[[farthest]]])
    labels = np.zeros(len(points), np.int64)
    for _ in range(20):
        labels = ((points[:, None] - middles) ** 2).sum(axis=2).argmin(axis=1)
        filled = np.bincount(labels, minlength=count) > 0
        for number in np.flatnonzero(filled).tolist():
            middles[number] = points[labels == number].mean(axis=0)
    return labels, middles


def _components(vectors: NDArray[np.float32]) -> Points:
    """Return the first two principal components (n, 2), scaled to a deviation of 1 along the first."""
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    points = centred @ axes[:, :-3:-1]
    if points.shape[1] < 2:
        points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    signs = np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    return np.asarray(points * signs / max(float(points.std()), 1e-9), np.float64)


def _neighbours(vectors: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], Points]:
    """Return the nearest others of each vector, (n, count), and how strongly they draw it, as UMAP has it."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    near = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    distances = 1.0 - np.take_along_axis(cosines, near, axis=1).astype(np.float64)
    beyond = np.maximum(distances - distances.min(axis=1, keepdims=True), 0.0)
    low, high = np.full((len(vectors), 1), 1e-6), np.full((len(vectors), 1), 10.0)
    for _ in range(40):  # the width at which the strengths add up to log2(count)
        width = np.sqrt(low * high)
        wide = np.exp(-beyond / width).sum(axis=1, keepdims=True) > np.log2(count)
        low, high = np.where(wide, low, width), np.where(wide, width, high)
    return near.astype(np.int64), np.exp(-beyond / high)


def _fitted(points: Points) -> Points:
    """Return points moved and scaled into 0 to 1, both axes by the same factor."""
    if not len(points):
        return points
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    scale = max(float((high - low).max()), 1e-9)
    return np.asarray(((points - (low + high) / 2) / scale + 0.5).clip(0.0, 1.0), np.float64)
