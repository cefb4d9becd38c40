"""Selection: the passages of the fused ranking that are shown, without near-copies and with varied content.

It folds near-copies, caps the chunks of one document, and diversifies. All of this is off by default: judged
collections judge copies of a text separately, and results that depend on each other are harder to predict.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Passage
from hybridstore.errors import InputError
from hybridstore.records import Ranking, Selection
from hybridstore.text.normalisation import normal_form

# Near-copies, measured on 23 collections and on synthetic edits (docs/experiments.md). The cosine alone does not
# identify them: with another number, or a "not", it stays at .995 or more in four of five passages, and passages in a
# language that the model does not know reach .98. So the cosine selects pairs whose words are compared; below .97,
# texts of the same words are mostly an erratum, an addendum, or a function's counterpart.
NEAR_COPY_COSINE = 0.97
_NEAR_COPY_DICE = 0.95  # Dice coefficient of the words, as bags: one word of twenty may differ
_WORD = re.compile(  # a number, a word, or one character of scripts without spaces
    "\\d+|[^\\W\\d\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+|\\w"
)
_ASCII_WORD = re.compile("[a-z_]+|[0-9]+")  # the same result in a third of the time
_PREFIX, _NORMALISED_PREFIX = 64, 24  # characters compared first, before and after normalisation
_POOL = 5  # candidates per passage shown from which diversity selects
_SMALLEST_POOL = 50


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """The selection options of a search; see `Store.search`."""

    unique: bool = False
    per_document: int | None = None
    diversity: float = 0.0

    def __post_init__(self) -> None:
        """Raise InputError for an invalid value."""
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
    """The best n of a ranking, best first: scores (n,), document ids (n) and texts (n).

    `vectors` (n, dim) are of unit norm, zero for a chunk without one; dim may be 0.
    """

    scores: NDArray[np.float64]
    vectors: NDArray[np.float32]
    documents: Sequence[str]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Selected:
    """Indices of candidates: those `shown`, in order; those `folded`, with their representative; those `capped`."""

    shown: list[int] = field(default_factory=list)
    folded: dict[int, int] = field(default_factory=dict)
    capped: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SelectedPassages:
    """Passages to show, their fused scores, the documents of each chunk's copies, and what was left out."""

    passages: list[Passage]
    scores: list[float]
    copies: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    selection: Selection | None = None


def select_passages(backend: Backend, fused: Ranking, limit: int, options: SelectionRequest) -> SelectedPassages:
    """Select at most `limit` passages of a ranking to show.

    Looks only as deep as it takes to fill the limit; diversity selects from five candidates per passage shown, and
    from at least 50.
    """
    if not options:
        return _fetched(backend, fused, 0, limit)
    depth = max(_POOL * limit, _SMALLEST_POOL) if options.diversity else 2 * limit
    looked, passages, scores = 0, list[Passage](), list[float]()
    while True:
        depth = min(depth, len(fused))
        fetched = _fetched(backend, fused, looked, depth)
        passages += fetched.passages
        scores += fetched.scores
        looked = depth
        chunks = [passage.chunk for passage in passages]
        compares = options.unique or options.diversity > 0.0
        candidates = Candidates(
            scores=np.array(scores),
            vectors=backend.vectors(chunks) if compares else np.empty((len(chunks), 0), np.float32),
            documents=[passage.document_id for passage in passages],
            texts=[passage.text if passage.text.strip() else passage.title for passage in passages],
        )
        selected = select(candidates, limit, options)
        if len(selected.shown) == limit or depth == len(fused):
            return _selected(options, passages, scores, selected)
        depth *= 2


def _fetched(backend: Backend, fused: Ranking, first: int, last: int) -> SelectedPassages:
    chunks, scores = fused.chunks[first:last].tolist(), fused.scores[first:last].tolist()
    passages = backend.passages(chunks)
    if len(passages) < len(chunks):  # a damaged file may lack some
        by_chunk = dict(zip(chunks, scores, strict=True))
        scores = [by_chunk[passage.chunk] for passage in passages]
    return SelectedPassages(passages, scores)


def _selected(
    options: SelectionRequest, passages: Sequence[Passage], scores: Sequence[float], selected: Selected
) -> SelectedPassages:
    folded = sorted(selected.folded.items())
    copies: dict[int, tuple[str, ...]] = {}
    for n, into in folded:
        chunk = passages[into].chunk
        copies[chunk] = (*copies.get(chunk, ()), passages[n].document_id)
    selection = Selection(
        unique=options.unique,
        per_document=options.per_document,
        diversity=options.diversity,
        looked=len(passages),
        folded={passages[n].chunk: passages[into].chunk for n, into in folded},
        capped=tuple(passages[n].chunk for n in sorted(selected.capped)),
    )
    shown = selected.shown
    return SelectedPassages([passages[n] for n in shown], [scores[n] for n in shown], copies, selection)


def select(candidates: Candidates, limit: int, options: SelectionRequest) -> Selected:
    """Select at most `limit` candidates, one after the other.

    The next one is the best remaining: by score, or with diversity d by (1 - d) · relevance - d · the greatest cosine
    to one selected before, where relevance is the score scaled to [0, 1]. Its near-copies are folded into the best
    ranked of them, and when its document has reached its cap, the rest of it is left out; ties go to the better rank.
    Source of the formula: Carbonell & Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents
    and Producing Summaries", SIGIR 1998; λ is 1 - d.
    """
    count, vectors, diversity = len(candidates.scores), candidates.vectors, options.diversity
    selected = Selected()
    relevance = _scaled(candidates.scores) * (1.0 - diversity)
    worth = relevance.copy()
    closest = np.zeros(count, np.float32)
    copies = _Copies(candidates) if options.unique else None
    shown_of: Counter[str] = Counter()
    left = np.ones(count, np.bool_)
    while len(selected.shown) < limit and left.any():
        pick = int(worth.argmax())
        if copies is not None:
            pick = _fold(copies, pick, left, selected)
        selected.shown.append(pick)
        left[pick] = False
        document = candidates.documents[pick]
        shown_of[document] += 1
        if shown_of[document] == options.per_document:
            rest = [n for n in np.flatnonzero(left).tolist() if candidates.documents[n] == document]
            selected.capped.extend(rest)
            left[rest] = False
        if diversity:
            np.maximum(closest, vectors @ vectors[pick], out=closest)
            worth = relevance - diversity * closest
        worth[~left] = -np.inf
    return selected


def _fold(copies: _Copies, pick: int, left: NDArray[np.bool_], selected: Selected) -> int:
    """Fold the near-copies of a candidate that are left, and return the best ranked of them all."""
    same = copies.of(pick, left)
    if same and same[0] < pick:  # diversity may pick a copy before the original
        pick = same[0]
        same = copies.of(pick, left)
    selected.folded.update(dict.fromkeys(same, pick))
    left[same] = False
    return pick


def _scaled(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale descending scores to [0, 1]; equal scores become 1."""
    if not len(scores):
        return scores
    lowest, width = scores[-1], scores[0] - scores[-1]
    return np.asarray((scores - lowest) / width) if width > 0 else np.ones(len(scores))


class _Copies:
    """The near-copies of each candidate: those of the same text, or of similar vectors and nearly the same words."""

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates
        keys: dict[str, int] = {}
        # An empty text has no copies: its key is its index, which is not the key of any other.
        prefixes = (normalised(text[:_PREFIX]) for text in candidates.texts)
        self._keys = np.array(
            [
                keys.setdefault(prefix[:_NORMALISED_PREFIX], -1 - len(keys)) if prefix else n
                for n, prefix in enumerate(prefixes)
            ],
            np.int64,
        )
        self._words: dict[int, Counter[str]] = {}

    def of(self, pick: int, left: NDArray[np.bool_]) -> list[int]:
        """Return the copies of a candidate among those left, best ranked first."""
        same = self._keys == self._keys[pick]
        near = self._candidates.vectors @ self._candidates.vectors[pick] >= NEAR_COPY_COSINE
        possible = np.flatnonzero((same | near) & left).tolist()
        texts = self._candidates.texts
        return [
            n
            for n in possible
            if n != pick
            and (
                (same[n] and normalised(texts[n]) == normalised(texts[pick]))
                or (near[n] and same_words(self._bag(n), self._bag(pick)))
            )
        ]

    def _bag(self, index: int) -> Counter[str]:
        if index not in self._words:
            self._words[index] = bag(self._candidates.texts[index])
        return self._words[index]


def normalised(text: str) -> str:
    """Return a text normalised in case, compatibility characters and white space."""
    return " ".join((text if text.isascii() else normal_form("NFKC", text)).casefold().split())


def bag(text: str) -> Counter[str]:
    """Count a text's words, numbers and, in scripts without spaces, characters."""
    return Counter((_ASCII_WORD if text.isascii() else _WORD).findall(normalised(text)))


def dice(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    """Return Dice's coefficient of two bags of words, from 0 to 1: the share in common; 0 for empty bags."""
    shared = sum(min(count, b.get(word, 0)) for word, count in a.items())
    total = sum(a.values()) + sum(b.values())
    return 2 * shared / total if total else 0.0


def same_words(a: Mapping[str, int], b: Mapping[str, int]) -> bool:
    """Return whether two bags have nearly the same words, and exactly the same numbers."""
    return dice(a, b) >= _NEAR_COPY_DICE and _numbers(a) == _numbers(b)


def _numbers(words: Mapping[str, int]) -> dict[str, int]:
    return {word: count for word, count in words.items() if word[0].isdigit()}
