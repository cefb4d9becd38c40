"""From the fused ranking to what is shown: near-copies folded, a document's share capped, likeness held down.

Everything here is off unless asked for: collections with judgments judge each copy of a text by itself, and a search
whose neighbours decide what it shows is harder to foresee.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Passage
from hybridstore.errors import InputError
from hybridstore.records import Ranking, Selection

# What makes near-copies, measured on 23 collections and on made-up edits (docs/experiments.md). By the cosine alone it
# cannot be told: another number, or a "not", leaves it at .995 or more in four of five passages, and passages in a
# language that the model does not know come to .98. So the words decide, and the cosine says where to look at them;
# below .97 what has the same words is mostly an erratum, an addendum, or a function's counterpart.
ALIKE = 0.97
_SAME_WORDS = 0.95  # Dice coefficient of the words, as bags: one word of twenty may differ
_WORD = re.compile(  # a number, a word, or one character of the scripts that write no spaces
    "\\d+|[^\\W\\d\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+|\\w"
)
_ASCII_WORD = re.compile("[a-z_]+|[0-9]+")  # gives the same in a third of the time
_START, _COMPARED = 64, 24  # characters a text is recognised by, before and after white space is evened out
_POOL = 5  # candidates for each one shown among which diversity chooses
_SMALLEST_POOL = 50


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """What a caller wants of the selection; see `Store.search`."""

    unique: bool = False
    per_document: int | None = None
    diversity: float = 0.0

    def __post_init__(self) -> None:
        """Raise InputError for values that make no sense."""
        if not isinstance(self.unique, bool):
            raise InputError(f"unique must be True or False, not {self.unique!r}")
        most = self.per_document
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
            raise InputError(f"per_document must be a whole number of at least 1, or None for no limit, not {most!r}")
        if not isinstance(self.diversity, int | float) or not 0.0 <= self.diversity <= 1.0:
            raise InputError(f"diversity must be a number from 0 (off) to 1, not {self.diversity!r}")

    def __bool__(self) -> bool:
        return self.unique or self.per_document is not None or self.diversity > 0.0


@dataclass(frozen=True, slots=True)
class Candidates:
    """The best n of a ranking, best first: their scores (n,), and what else the selection looks at.

    `documents` (ids) and `texts` are n each. `vectors` (n, dim) are of unit norm, zero where there is none; dim may
    be 0.
    """

    scores: NDArray[np.float64]
    vectors: NDArray[np.float32]
    documents: Sequence[str]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Selected:
    """Places among the candidates: those `shown`, in that order; each `folded` one's representative; the `capped`."""

    shown: list[int] = field(default_factory=list)
    folded: dict[int, int] = field(default_factory=dict)
    capped: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Passages to show and their fused scores; by chunk the documents of its copies; what was left out, if asked."""

    passages: list[Passage]
    scores: list[float]
    copies: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    selection: Selection | None = None


def choose(backend: Backend, fused: Ranking, limit: int, wanted: SelectionRequest) -> Chosen:
    """Choose at most `limit` of a ranking to show.

    Looks only as deep as it takes to fill the limit; diversity chooses among five candidates for each one shown, and
    at least 50.
    """
    if not wanted:
        return _found(backend, fused, 0, limit)
    depth = max(_POOL * limit, _SMALLEST_POOL) if wanted.diversity else 2 * limit
    looked, passages, scores = 0, list[Passage](), list[float]()
    while True:
        depth = min(depth, len(fused))
        more = _found(backend, fused, looked, depth)
        passages += more.passages
        scores += more.scores
        looked = depth
        chunks = [passage.chunk for passage in passages]
        alike = wanted.unique or wanted.diversity > 0.0
        candidates = Candidates(
            scores=np.array(scores),
            vectors=backend.vectors(chunks) if alike else np.empty((len(chunks), 0), np.float32),
            documents=[passage.document_id for passage in passages],
            texts=[passage.text if passage.text.strip() else passage.title for passage in passages],
        )
        selected = select(candidates, limit, wanted)
        if len(selected.shown) == limit or depth == len(fused):
            return _told(wanted, passages, scores, selected)
        depth *= 2


def _found(backend: Backend, fused: Ranking, first: int, last: int) -> Chosen:
    chunks, scores = fused.chunks[first:last].tolist(), fused.scores[first:last].tolist()
    passages = backend.passages(chunks)
    if len(passages) < len(chunks):  # a damaged file may lack some
        by_chunk = dict(zip(chunks, scores, strict=True))
        scores = [by_chunk[passage.chunk] for passage in passages]
    return Chosen(passages, scores)


def _told(wanted: SelectionRequest, passages: Sequence[Passage], scores: Sequence[float], selected: Selected) -> Chosen:
    folded = sorted(selected.folded.items())
    copies: dict[int, tuple[str, ...]] = {}
    for n, into in folded:
        chunk = passages[into].chunk
        copies[chunk] = (*copies.get(chunk, ()), passages[n].document_id)
    selection = Selection(
        unique=wanted.unique,
        per_document=wanted.per_document,
        diversity=wanted.diversity,
        looked=len(passages),
        folded={passages[n].chunk: passages[into].chunk for n, into in folded},
        capped=tuple(passages[n].chunk for n in sorted(selected.capped)),
    )
    shown = selected.shown
    return Chosen([passages[n] for n in shown], [scores[n] for n in shown], copies, selection)


def select(candidates: Candidates, limit: int, wanted: SelectionRequest) -> Selected:
    """Choose at most `limit` candidates, one after the other.

    Each is the best of those still open: by score, or with diversity d by (1 - d) · relevance - d · the greatest
    cosine to one chosen already, where relevance is the score scaled to [0, 1]. Its near-copies are folded into the
    best ranked of them, and once its document has its share the rest of it is capped; ties go to the better ranked.
    Source of the formula: Carbonell & Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents
    and Producing Summaries", SIGIR 1998; λ is 1 - d.
    """
    count, vectors, diversity = len(candidates.scores), candidates.vectors, wanted.diversity
    selected = Selected()
    relevance = _scaled(candidates.scores) * (1.0 - diversity)
    worth = relevance.copy()
    closest = np.zeros(count, np.float32)
    copies = _Copies(candidates) if wanted.unique else None
    share: Counter[str] = Counter()
    left = np.ones(count, np.bool_)
    while len(selected.shown) < limit and left.any():
        pick = int(worth.argmax())
        if copies is not None:
            same = copies.of(pick, left)
            if same and same[0] < pick:  # diversity may come upon a copy before the original
                pick = same[0]
                same = copies.of(pick, left)
            selected.folded.update(dict.fromkeys(same, pick))
            left[same] = False
        selected.shown.append(pick)
        left[pick] = False
        if wanted.per_document is not None:
            document = candidates.documents[pick]
            share[document] += 1
            if share[document] == wanted.per_document:
                rest = [n for n in np.flatnonzero(left).tolist() if candidates.documents[n] == document]
                selected.capped.extend(rest)
                left[rest] = False
        if diversity:
            np.maximum(closest, vectors @ vectors[pick], out=closest)
            worth = relevance - diversity * closest
        worth[~left] = -np.inf
    return selected


def _scaled(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring falling scores to [0, 1], equal ones to 1."""
    if not len(scores):
        return scores
    least, width = scores[-1], scores[0] - scores[-1]
    return np.asarray((scores - least) / width) if width > 0 else np.ones(len(scores))


class _Copies:
    """Says which candidates are near-copies of one: of the same text, or alike in cosine and in words."""

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates
        starts: dict[str, int] = {}
        # An empty text is a copy of nothing: its key is its place, which no other's number is.
        keys = (plain(text[:_START]) for text in candidates.texts)
        self._keys = np.array(
            [starts.setdefault(key[:_COMPARED], -1 - len(starts)) if key else n for n, key in enumerate(keys)], np.int64
        )
        self._words: dict[int, Counter[str]] = {}

    def of(self, pick: int, left: NDArray[np.bool_]) -> list[int]:
        """Give the copies of one among those left, best ranked first."""
        same = self._keys == self._keys[pick]
        near = self._candidates.vectors @ self._candidates.vectors[pick] >= ALIKE
        found = np.flatnonzero((same | near) & left).tolist()
        texts = self._candidates.texts
        return [
            n
            for n in found
            if n != pick
            and (
                (same[n] and plain(texts[n]) == plain(texts[pick]))
                or (near[n] and same_words(self._bag(n), self._bag(pick)))
            )
        ]

    def _bag(self, place: int) -> Counter[str]:
        if place not in self._words:
            self._words[place] = bag(self._candidates.texts[place])
        return self._words[place]


def plain(text: str) -> str:
    """Give a text without what does not matter to its content: case, forms of characters, kinds of white space."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold().split())


def bag(text: str) -> Counter[str]:
    """Count a text's words, numbers and, in scripts without spaces, characters."""
    return Counter((_ASCII_WORD if text.isascii() else _WORD).findall(plain(text)))


def dice(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    """Give the share of words that two bags have in common, from 0 to 1 (Dice's coefficient); 0 for empty ones."""
    shared = sum(min(count, b.get(word, 0)) for word, count in a.items())
    total = sum(a.values()) + sum(b.values())
    return 2 * shared / total if total else 0.0


def same_words(a: Mapping[str, int], b: Mapping[str, int]) -> bool:
    """Say whether two bags hold nearly the same words, and exactly the same numbers."""
    return dice(a, b) >= _SAME_WORDS and _numbers(a) == _numbers(b)


def _numbers(words: Mapping[str, int]) -> dict[str, int]:
    return {word: count for word, count in words.items() if word[0].isdigit()}
