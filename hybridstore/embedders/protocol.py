"""What an embedder is: a function from text to unit vectors that can say which function it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@runtime_checkable
class Embedder(Protocol):
    """Text to unit vectors.

    `fingerprint` is "name@digest": two embedders with equal fingerprints give the same vectors up to rounding,
    and a store refuses vectors of another. `dim` is the vectors' length, `max_tokens` the longest input that is
    read in full, special tokens and prefix included; longer input is cut.
    """

    @property
    def dim(self) -> int:
        """The length of a vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """The window, in the embedder's own tokens."""
        ...

    @property
    def fingerprint(self) -> str:
        """Which function this is, as "name@digest"."""
        ...

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed passages: (n, dim) float32 of unit norm, in the order given; n = 0 gives (0, dim)."""
        ...

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed one query: (dim,) float32 of unit norm."""
        ...

    def token_starts(self, text: str) -> Sequence[int]:
        """Where each of the text's tokens begins, as ascending character offsets; no special tokens.

        The chunker counts with it: the tokens of text[a:b] are those that start in [a, b).
        """
        ...


@runtime_checkable
class ManyQueries(Protocol):
    """What an embedder may offer besides: many queries at once, which one by one would take longer."""

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed queries: (n, dim) float32 of unit norm, in the order given; n = 0 gives (0, dim)."""
        ...
