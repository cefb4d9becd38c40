"""Synthetic words and vectors, for suites that must know exactly what is near to what."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

DIM = 64

Vector = NDArray[np.float32]

_STARTS = (
    "b",
    "bl",
    "c",
    "cr",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "r",
    "s",
    "st",
    "t",
    "tr",
)
_MIDDLES = ("a", "ai", "e", "ea", "i", "o", "oa", "u")
_ENDS = ("b", "d", "f", "g", "k", "l", "lt", "m", "n", "nd", "p", "r", "rk", "s", "st", "t", "x")


def word(number: int) -> str:
    """Return the word of a number; words are distinct for numbers below 388,416."""
    parts = []
    for letters in (_STARTS, _MIDDLES, _ENDS, _MIDDLES, _ENDS):
        number, at = divmod(number, len(letters))
        parts.append(letters[at])
    return "".join(parts)


def texts(count: int, length: int, chance: random.Random) -> list[str]:
    """Return texts whose words are drawn by Zipf's law from about ten thousand."""
    return [" ".join(word(int(10_000 ** chance.random())) for _ in range(length)) for _ in range(count)]


def unit(generator: np.random.Generator) -> Vector:
    vector = generator.standard_normal(DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def near(vector: Vector, cosine: float, generator: np.random.Generator) -> Vector:
    """Return a unit vector with this cosine to another one."""
    other = unit(generator)
    other -= (other @ vector) * vector
    other /= np.linalg.norm(other)
    found: Vector = (cosine * vector + np.sqrt(1 - cosine**2) * other).astype(np.float32)
    return found
