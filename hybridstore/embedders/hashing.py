"""The hashing embedder, which needs no model: for tests, and for trying a store without weights."""

from __future__ import annotations

import hashlib
import re
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.embedders.onnx import unit
from hybridstore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_WORD = re.compile(r"\w+|[^\w\s]")
_VERSION = "1"


class HashingEmbedder:
    """Feature hashing of words and their character trigrams (Weinberger et al., 2009), so similar texts are close.

    A word has weight 1, and so have its trigrams together; a hash gives the index and sign of each. One constant
    feature ensures that no vector is zero. Deterministic across machines and versions of Python.
    """

    def __init__(self, dim: int = 64, *, max_tokens: int = 256) -> None:
        if dim < 2 or max_tokens < 1:
            raise InputError(f"dim must be at least 2 and max_tokens at least 1, not {dim} and {max_tokens}")
        self.dim = dim
        self.max_tokens = max_tokens
        digest = hashlib.sha256(f"{_VERSION}:{dim}:{max_tokens}".encode()).hexdigest()[:12]
        self.fingerprint = f"hashing-{dim}@{digest}"

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed passages: (n, dim) float32 of unit norm."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for index, weight in self._features(text):
                row[index] += weight
        return unit(vectors)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed one query: (dim,) float32 of unit norm."""
        vector: NDArray[np.float32] = self.embed_documents([text])[0]
        return vector

    def token_starts(self, text: str) -> Sequence[int]:
        """Return where each word or punctuation mark begins; one of over 100 characters is several of 6."""
        spans = (match.span() for match in _WORD.finditer(text))
        return [at for start, end in spans for at in range(start, end, 6 if end - start > 100 else end - start)]

    def _features(self, text: str) -> Iterator[tuple[int, float]]:
        # The constant feature is irrational, so that rational counts cannot cancel it.
        yield 0, 0.1 * 2**0.5
        for match in islice(_WORD.finditer(text), self.max_tokens):
            word = match.group().casefold()
            yield self._feature("w" + word, 1.0)
            padded = f"<{word}>"
            trigrams = [padded[i : i + 3] for i in range(len(padded) - 2)]
            for trigram in trigrams:
                yield self._feature("t" + trigram, 1.0 / len(trigrams))

    def _feature(self, feature: str, weight: float) -> tuple[int, float]:
        digest = hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        number = int.from_bytes(digest, "little")
        return (number >> 1) % self.dim, weight if number & 1 else -weight
