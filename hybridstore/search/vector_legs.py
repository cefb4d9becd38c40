"""Vector legs: those added to a store's own in a search, and what each counts beside the others.

A store may have the vectors of several embedders. Each one's cosines become deviations above the average chunk's, as
the store's own do, and are added up by shares that follow from the legs' powers and from how much they agree: legs that
say the same count once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hybridstore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hybridstore.backends.values import Calibration
    from hybridstore.records import Ranking

KEYWORD, VECTOR = "keyword", "vector"
_MOST_AGREEMENT = 0.95  # correlation beyond which the shares of two legs would be decided by noise


class QueryVectors(NamedTuple):
    """A query's vector (dim,) and its embedder's fingerprint, and those for added legs, by their fingerprints.

    `vector` is None where only added legs are searched, `fingerprint` for a caller's own vector. `notes` say which legs
    were left out, and why.
    """

    vector: NDArray[np.float32] | None
    fingerprint: str | None = None
    added: Mapping[str, NDArray[np.float32]] = {}
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddedLeg:
    """What an added leg found for a query: its fingerprint, its calibration, the query's vector and the ranking."""

    fingerprint: str
    calibration: Calibration
    query: NDArray[np.float32]
    ranking: Ranking


def names(fingerprints: Sequence[str]) -> dict[str, str]:
    """Return the name of each embedder by its fingerprint: the part before the digest, where that names only one."""
    short = [fingerprint.partition("@")[0] for fingerprint in fingerprints]
    return {
        fingerprint: name if short.count(name) == 1 and name not in {KEYWORD, VECTOR} else fingerprint
        for fingerprint, name in zip(fingerprints, short, strict=True)
    }


def chosen(legs: Iterable[str], known: Mapping[str, Collection[str]]) -> tuple[bool, frozenset[str]]:
    """Return whether the keyword leg is among the named legs, and the fingerprints of the vector legs that are.

    `known` has the names of each vector leg, by its fingerprint; "vector" stands for all of them. Raises InputError for
    other names.
    """
    keyword, found = False, set[str]()
    for name in legs:
        named = {fingerprint for fingerprint, its in known.items() if name == VECTOR or name in {fingerprint, *its}}
        if name == KEYWORD:
            keyword = True
        elif not named:
            there = ", ".join([KEYWORD, *names(list(known)).values()])
            raise InputError(f"this store has no leg {name!r}; its legs are {there}")
        found |= named
    if not (keyword or found):
        raise InputError(
            f"name at least one leg; this store's are {', '.join([KEYWORD, *names(list(known)).values()])}"
        )
    return keyword, frozenset(found)


@lru_cache(maxsize=64)
def shares(powers: tuple[float, ...], agreements: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], float]:
    """Return each leg's share of the combined deviation, and the power of that.

    `agreements` (n, n) are the correlations of the legs' deviations. Shares are those by which a chunk and others are
    told apart best, proportional to the inverse of the correlations times the powers, with none below 0; they make the
    combined deviation of unrelated chunks 1. Source: Fisher's linear discriminant, "The use of multiple measurements in
    taxonomic problems", 1936. One leg has a share of 1 and keeps its power.
    """
    power = np.array(powers)
    matrix = np.array(agreements).reshape(len(powers), len(powers)).clip(0.0, _MOST_AGREEMENT)
    np.fill_diagonal(matrix, 1.0)
    share = np.zeros(len(powers))
    counted = np.arange(len(powers))
    while len(counted):
        share[:] = 0.0
        share[counted] = np.linalg.solve(matrix[np.ix_(counted, counted)], power[counted])
        if (share[counted] > 0.0).all() or len(counted) == 1:
            break
        counted = np.delete(counted, share[counted].argmin())
    share = np.abs(share) / max(float(np.sqrt(share @ matrix @ share)), 1e-12)
    return tuple(share.tolist()), float(share @ power)


def combined(
    deviations: Sequence[NDArray[np.float64]], share: Sequence[float], powers: Sequence[float]
) -> NDArray[np.float64]:
    """Return the combined deviation of chunks (n,) from each leg's, (n,), NaN where a chunk has no vector.

    For such a chunk the other legs speak, by as much as they are expected to lack. A chunk without any vector has 0.
    """
    columns = np.array(deviations)
    missing = np.isnan(columns)
    weight = np.array(share)[:, None]
    total = (np.where(missing, 0.0, columns) * weight).sum(axis=0)
    if missing.any():
        expected = weight * np.array(powers)[:, None]
        there = (expected * ~missing).sum(axis=0)
        total *= np.divide(expected.sum(), there, out=np.zeros_like(there), where=there > 0.0)
    return np.asarray(total, np.float64)
