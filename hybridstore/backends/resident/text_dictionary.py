"""Distinct texts in order, end to end in one block of UTF-8: a third of what as many Python texts take."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from hybridstore.filters.text_tests import instant

NO_DATE = -(2**63)
# One search through the block is some five times as fast as a search in each text, until hits are many.
_MANY = 0.1  # hits for each text


@dataclass(frozen=True)
class TextDictionary:
    """Distinct texts ascending by code point, as UTF-8, whose order is the same; [n] is one. Made by `pack`."""

    block: bytes
    starts: array[int]  # of the texts in the block, and the end of the last one

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, place: int) -> bytes:
        return self.block[self.starts[place] : self.starts[place + 1]]

    @property
    def nbytes(self) -> int:
        """The memory it takes."""
        return len(self.block) + 8 * len(self.starts) * (2 if "instants" in self.__dict__ else 1)

    @cached_property
    def instants(self) -> NDArray[np.int64]:
        """The instant of each text that is a date or time, NO_DATE of the others, (n,); kept once it was asked for."""
        found = (instant(text) for text in self.unpacked())
        return np.fromiter((NO_DATE if at is None else at for at in found), np.int64, len(self))

    def unpacked(self) -> list[str]:
        """Return the texts."""
        return [self.block[start:stop].decode() for start, stop in pairwise(self.starts)]

    def containing(self, part: str) -> NDArray[np.bool_]:
        """Return which of the texts contain a part, (n,)."""
        sought = part.encode()
        hits: list[int] = []
        at = self.block.find(sought)
        while at >= 0:
            hits.append(at)
            if len(hits) > _MANY * len(self):
                texts = (self.block[start:stop] for start, stop in pairwise(self.starts))
                return np.array([sought in text for text in texts], np.bool_)
            at = self.block.find(sought, at + 1)
        starts, places = np.frombuffer(self.starts, np.int64), np.array(hits, np.int64)
        owners = np.searchsorted(starts, places, side="right") - 1
        contained = np.zeros(len(self), np.bool_)
        contained[owners[places + len(sought) <= starts[owners + 1]]] = True  # the others reach into the next text
        return contained

    def joined(self, other: TextDictionary) -> tuple[TextDictionary, NDArray[np.intp], NDArray[np.intp]]:
        """Return these texts and a few others together, and the places of both among them."""
        at, new = list[int](), list[int]()
        for place in range(len(other)):
            at.append(bisect_left(self, other[place]))
            if at[-1] == len(self) or self[at[-1]] != other[place]:
                new.append(place)
        pieces, last = list[bytes](), 0
        for place in new:
            pieces += [self.block[last : self.starts[at[place]]], other[place]]
            last = self.starts[at[place]]
        before = np.array([at[place] for place in new], np.intp)
        lengths = np.insert(np.diff(self.starts), before, [len(other[place]) for place in new])
        starts = array("q", np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64).tobytes())
        old = np.arange(len(self))
        places = np.array(at, np.intp) + np.searchsorted(new, np.arange(len(other)))
        texts = TextDictionary(b"".join([*pieces, self.block[last:]]), starts)
        return texts, old + np.searchsorted(before, old, side="right"), places


def pack(texts: Iterable[str]) -> TextDictionary:
    """Pack distinct texts that are in order."""
    encoded = [text.encode() for text in texts]
    return TextDictionary(b"".join(encoded), array("q", accumulate(map(len, encoded), initial=0)))
