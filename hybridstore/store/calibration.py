"""Calibration: how well the vectors separate chunks, and what score an unrelated query gets.

A store measures both without judgments, by two kinds of queries whose answers it knows. Eight words of a chunk should
find that chunk: how far its cosine is above those of other chunks is the power of the vectors. Queries from anywhere
should find nothing: the best cosine that they get is chance. This happens when text was embedded, and again when the
number of vectors has doubled or halved, or another model version transforms the queries.

In a store of a few chunks the unrelated queries, which are English, say little about texts in another language, whose
cosines to each other are high where the embedder does not know it (.34 to .61 between unrelated notes in German,
Spanish, Chinese and Russian, .05 to .14 in English). So chance is at least their mean cosine there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration, Restriction
from hybridstore.embedders.protocol import Embedder, ManyQueries
from hybridstore.errors import EmbedderMismatch
from hybridstore.search import transforms
from hybridstore.search.evidence import USUAL_POWER, cosine_statistics, few
from hybridstore.search.request import ACTIVE
from hybridstore.store import languages

Model = ModelVersion | None | Literal["active"]

_CHUNKS = 256  # chunks queried for: the power is then known to a tenth of a deviation, with 64 to a fifth
_WORDS = 8  # of a chunk at most, as many as a short query has
_UNSPACED, _CHARACTERS = 20, 24  # characters a word beyond which a text has no spaces; as many of it are taken then
# No more than one word in so many: half a sentence leads back to the sentence whatever the vectors are worth.
_SHARE = 4
_FEWEST = 3
_PLACES = 8  # of a text that are tried for words of its own
_PRIOR = 8  # measured chunks that the usual power is worth
# A deviation of cosines below which the usual 0.1 would hide how far a chunk stands out: an embedder of a contrastive
# loss at a low temperature has all cosines between 0.7 and 0.9. multilingual-e5-small has 0.017, MiniLM 0.066 to 0.1.
_CLOSE, _CLOSEST = 0.05, 1e-4
_SCALE_OBSERVATIONS = 16  # cosines to chunks that those between unrelated queries are worth
_VERSIONS = 0.75  # cosine; two versions of a fact have .77 to 1 in four languages, unrelated notes .61 at most
_USUAL_AGREEMENT, _AGREEMENT_PRIOR = 0.5, 8  # of two sentence embedders, and the measured chunks that it is worth
CHANGED = 2.0  # times as many vectors, or one in so many left: measured anew

# Short, each from another field of life, so that a store is about few of them.
_UNRELATED = (
    "how do I bake sourdough bread at home",
    "who won the football world cup",
    "what is the capital of Australia",
    "best exercises for lower back pain",
    "how does a car engine work",
    "symptoms of vitamin D deficiency",
    "how to write a cover letter",
    "what causes thunder and lightning",
    "history of the Roman empire",
    "cheap flights to Tokyo in spring",
    "how to train a puppy not to bite",
    "what is the interest rate on a mortgage",
    "how do vaccines protect against disease",
    "sort a list of numbers in a program",
    "rules of chess for beginners",
    "why is the sky blue",
    "how to grow tomatoes on a balcony",
    "who painted the Mona Lisa",
    "what does a trade union do",
    "how are laws passed in parliament",
    "the best guitar chords for a love song",
    "how to remove a stain from a carpet",
    "difference between a virus and a bacterium",
    "what time does the museum open",
    "effects of climate change on oceans",
    "how to reset a forgotten password",
    "novels about the second world war",
    "how is steel produced",
    "when should I plant tulip bulbs",
    "tax return deadline for small companies",
    "how far away is the moon",
    "what is the meaning of a dream about water",
)

_unrelated_vectors: dict[str, list[NDArray[np.float32]]] = {}  # by fingerprint


def is_due(backend: Backend, changed: float = CHANGED) -> bool:
    """Return whether there are `changed` times as many vectors as at the last calibration, or one in so many."""
    state = backend.state()
    known, vectors = state.calibration, state.chunks - len(backend.missing())
    return known is None or not known.chunks / changed < vectors < known.chunks * changed


def calibrate(backend: Backend, embedder: Embedder | None, added: Mapping[str, Embedder] | None = None) -> None:
    """Measure the store and record it, unless another process has switched to other vectors meanwhile.

    `embedder` is that of queries, `added` are those of added legs, by their fingerprints. To be called after every
    change of the active model version.
    """
    before = []
    measured = None if embedder is None else _measured(backend, embedder, ACTIVE)
    if embedder is not None and measured is not None:
        before.append(measured)
        path = _query_path(backend, embedder, ACTIVE)
        if path is not None and path.target == measured.calibration.fingerprint:
            backend.calibrate(measured.calibration)
    for fingerprint, leg_embedder in (added or {}).items():
        found = None if backend.pending_count(fingerprint) else _measured(backend, leg_embedder, None, fingerprint)
        if found is not None:
            agreement = {each.calibration.fingerprint: _agreement(found, each) for each in before}
            backend.calibrate(replace(found.calibration, agreement=agreement))
            before.append(found)


def measure(backend: Backend, embedder: Embedder, model: Model = ACTIVE) -> Calibration | None:
    """Measure the store's own vectors, by queries that `embedder` embeds and this model version transforms.

    None where there are no vectors, or where this embedder's queries cannot be compared with them.
    """
    found = _measured(backend, embedder, model)
    return None if found is None else found.calibration


@dataclass(frozen=True, slots=True)
class _Measured:
    """A calibration, and what it was made of: the cosines (n,) of each chunk queried for to the `sample` (n,)."""

    calibration: Calibration
    sample: NDArray[np.int64]
    cosines: Mapping[int, NDArray[np.float32]]


def _agreement(one: _Measured, other: _Measured) -> float:
    """Return how the cosines of two legs correlate over chunks that were not queried for."""
    chunks, here, there = np.intersect1d(one.sample, other.sample, return_indices=True)
    products = []
    for chunk in one.cosines.keys() & other.cosines.keys():
        others = chunks != chunk
        pair = one.cosines[chunk][here[others]], other.cosines[chunk][there[others]]
        if others.sum() > 1 and all(cosines.std() > 0.0 for cosines in pair):
            products.append(float(np.corrcoef(*pair)[0, 1]))
    return sum(products, _AGREEMENT_PRIOR * _USUAL_AGREEMENT) / (len(products) + _AGREEMENT_PRIOR)


def _measured(backend: Backend, embedder: Embedder, model: Model, leg: str | None = None) -> _Measured | None:
    with backend.snapshot():
        path = _query_path(backend, embedder, model) if leg is None else _leg_path(backend, embedder, leg)
        if path is None:
            return None
        chunks, vectors = backend.sample(leg)
        count = backend.state().chunks - (len(backend.missing()) if leg is None else backend.pending_count(leg))
        step = max(len(chunks) // _CHUNKS, 1)
        passages = backend.passages(chunks[::step][:_CHUNKS].tolist())
    fragments = _fragments({passage.chunk: passage.text for passage in passages})
    queried = list(fragments)
    queries = dict(zip(queried, _embedded(embedder, [fragments[chunk] for chunk in queried]), strict=True))
    foreign = {passage.chunk for passage in passages if languages.is_foreign(passage.text)}
    rows = {chunk: row for row, chunk in enumerate(chunks.tolist()) if chunk in queries}
    cosines = {chunk: vectors @ path.untrained(queries[chunk]) for chunk in rows}
    # Without the answer, which would widen the deviation.
    others = {chunk: np.delete(cosines[chunk], row) for chunk, row in rows.items()}
    plain = _unrelated_queries(embedder)
    scale = _scale(list(others.values()), plain)
    powers, spreads, foreign_powers = [], [], []
    for chunk, row in rows.items():
        mean, deviation = cosine_statistics(others[chunk], scale)
        powers.append((float(cosines[chunk][row]) - mean) / deviation)
        spreads.append(deviation)
        if chunk in foreign:
            foreign_powers.append(powers[-1])
    unrelated = [path.transformed(vector) for vector in plain]
    with backend.snapshot():
        again = _query_path(backend, embedder, model) if leg is None else _leg_path(backend, embedder, leg)
        if again is None or (again.target, again.number) != (path.target, path.number):
            return None  # another process has switched while the model ran
        rankings = [backend.nearest(vector, 1, Restriction(), leg).scores for vector in unrelated]
    best = [float(scores[0]) for scores in rankings if len(scores)]
    if not powers or not best:
        return None
    chance = sum(best) / len(best)
    if few(count):
        chance += few(count) * max(_usual_cosine(vectors, chance) - chance, 0.0)
    calibration = Calibration(
        fingerprint=path.target,
        chunks=count,
        power=(sum(powers) + _PRIOR * USUAL_POWER) / (len(powers) + _PRIOR),
        chance=chance,
        spread=sum(spreads) / len(spreads),
        foreign=round(len(foreign_powers) / len(powers), 4),
        foreign_power=round(sum(foreign_powers) / max(len(foreign_powers), 1), 4),
        scale=scale,
    )
    return _Measured(calibration, chunks, cosines)


def _usual_cosine(vectors: NDArray[np.float32], chance: float) -> float:
    """Return the mean cosine of two of these vectors (n, dim), versions of one text counting once; `chance` for one.

    `chance` counts as one pair more: the only two that differ may still be about the same.
    """
    kept = list[int]()
    for row, cosines in enumerate(vectors @ vectors.T):
        if not kept or cosines[kept].max() < _VERSIONS:
            kept.append(row)
    total = float(np.square(vectors[kept].sum(axis=0)).sum() - len(kept)) / 2
    return (total + chance) / (len(kept) * (len(kept) - 1) / 2 + 1)


@dataclass(frozen=True, slots=True)
class _QueryPath:
    """How an embedder's queries reach the vectors of fingerprint `target`: by a model version, or as they are."""

    target: str
    model: ModelVersion | None

    @property
    def number(self) -> int | None:
        return None if self.model is None else self.model.number

    def transformed(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        return vector if self.model is None else transforms.read(self.model)(vector)

    def untrained(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a fragment's vector as it is compared, without an adapter, which was trained on such fragments.

        Measured with it an adapter always has more power, and trusting its vectors so cost SciFact 0.01 nDCG@10.
        """
        return vector if self.model is None or self.model.kind == "adapter" else self.transformed(vector)


def _query_path(backend: Backend, embedder: Embedder, model: Model) -> _QueryPath | None:
    """Return how a search's queries reach the vectors; None where this embedder's do not."""
    state = backend.state()
    stored, version = state.embedding, state.model if model == ACTIVE else model
    if stored is None:
        return None
    try:
        applied = transforms.applicable_version(version, stored, embedder.fingerprint)
    except EmbedderMismatch:
        return None
    drifted = version is not None and version.kind == "drift" and version.target == stored.fingerprint
    return None if drifted and applied is None else _QueryPath(stored.fingerprint, applied)


def _scale(
    cosines: Sequence[NDArray[np.float32]], unrelated: Sequence[NDArray[np.float32]]
) -> tuple[float, float] | None:
    """Return mean and deviation of queries' cosines to other chunks, if they are far closer together than is usual.

    Of a store of few chunks the cosines between unrelated queries say it. None for usual ones.
    """
    pairs = (np.array(unrelated) @ np.array(unrelated).T)[np.triu_indices(len(unrelated), 1)]
    counts = np.array([*map(len, cosines), _SCALE_OBSERVATIONS])
    means = np.array([*(each.mean() if len(each) else 0.0 for each in cosines), pairs.mean()])
    variances = np.array([*(each.var() if len(each) else 0.0 for each in cosines), pairs.var()])
    mean, deviation = (float(np.average(each, weights=counts)) for each in (means, variances))
    return None if deviation**0.5 >= _CLOSE else (mean, max(deviation**0.5, _CLOSEST))


def _leg_path(backend: Backend, embedder: Embedder, leg: str) -> _QueryPath | None:
    """Return how queries reach an added leg's vectors; None where it is not there, or is another embedder's."""
    there = {each.fingerprint for each in backend.embeddings().added}
    return _QueryPath(leg, None) if leg in there and embedder.fingerprint == leg else None


def _fragments(texts: Mapping[int, str]) -> dict[int, str]:
    """Return some consecutive words of each text, by chunk, of which one half at least is in no other text.

    Sentences that many texts share (boilerplate, templates, small talk, copies) lead to all of them, and would make the
    vectors seem to be worth nothing: 1.5 instead of 3.2 in chats of the same ten sentences and a few facts. A text
    without any words of its own is left out, unless all are.
    """
    texts = {chunk: " ".join(text.split()) for chunk, text in texts.items() if text.strip()}
    together = "\n".join(texts.values())
    own, first = dict[int, str](), dict[int, str]()
    for chunk, text in texts.items():
        for fragment in _windows(text, chunk):
            first.setdefault(chunk, fragment)
            if any(text.count(half) == together.count(half) for half in _halves(fragment)):
                own[chunk] = fragment
                break
    return own or first


def _windows(text: str, chunk: int) -> Iterator[str]:
    """Yield consecutive words from several places of a text; the chunk's number decides where it begins."""
    words = text.split()
    unspaced = len(text) > _UNSPACED * len(words)
    units, between, most = (text, "", _CHARACTERS) if unspaced else (words, " ", _WORDS)
    count = min(most, max(len(units) // _SHARE, _FEWEST))
    last = max(len(units) - count, 0)
    first = _offset(chunk, last)
    for place in dict.fromkeys((first + step * count) % (last + 1) for step in range(_PLACES)):
        yield between.join(units[place : place + count])


def _halves(fragment: str) -> list[str]:
    """Return the two halves of a fragment; a single word may have but one."""
    words = fragment.split()
    if len(words) == 1:
        return [half for half in (fragment[: _CHARACTERS // 2], fragment[_CHARACTERS // 2 :]) if half]
    middle = (len(words) + 1) // 2
    return [" ".join(words[:middle]), " ".join(words[middle:])]


def _offset(chunk: int, last: int) -> int:
    return chunk * 2_654_435_761 % 2**32 % (last + 1) if last > 0 else 0  # Knuth's multiplicative hash


def _unrelated_queries(embedder: Embedder) -> list[NDArray[np.float32]]:
    """Return the vectors of unrelated queries; the last embedder's are cached, for stores that grow slowly."""
    vectors = _unrelated_vectors.get(embedder.fingerprint)
    if vectors is None:
        vectors = _embedded(embedder, _UNRELATED)
        _unrelated_vectors.clear()
        _unrelated_vectors[embedder.fingerprint] = vectors
    return vectors


def _embedded(embedder: Embedder, queries: Sequence[str]) -> list[NDArray[np.float32]]:
    """Return the queries' vectors; in one call, where the embedder can, it takes two thirds of the time."""
    if isinstance(embedder, ManyQueries):
        return list(embedder.embed_queries(queries))
    return [embedder.embed_query(query) for query in queries]
