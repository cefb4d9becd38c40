"""The embedder protocol: a function from text to unit vectors with a fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@runtime_checkable
class Embedder(Protocol):
    """Text to unit vectors."""

    @property
    def dim(self) -> int:
        """The length of a vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """The longest input that is read in full, special tokens and prefix included; longer input is truncated."""
        ...

    @property
    def fingerprint(self) -> str:
        """The identity of the embedder, "name@digest": with equal fingerprints, vectors are equal up to rounding.

        Rounding includes matrices of int8, as long as search finds the same with them.

        A store rejects vectors of another fingerprint.
        """
        ...

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed passages: (n, dim) float32 of unit norm, in order; (0, dim) for no texts."""
        ...

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed one query: (dim,) float32 of unit norm."""
        ...

    def token_starts(self, text: str) -> Sequence[int]:
        """Return where each of the text's tokens begins, as ascending character offsets, without special tokens.

        The chunker counts the tokens of text[a:b] as those that start in [a, b).
        """
        ...


@runtime_checkable
class ManyQueries(Protocol):
    """An optional method of embedders: many queries at once, which is faster than one by one."""

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed queries: (n, dim) float32 of unit norm, in order; (0, dim) for no texts."""
        ...
