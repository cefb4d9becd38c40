"""A made-up store whose questions use none of its passages' words, so that there is something to learn.

Each passage holds two invented words out of eighteen, and is asked for with the two that stand for them in questions.
"""

import itertools
import random

import numpy as np

import hybridstore as hs
from hybridstore.backends.learning import ModelVersion, Triple
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.search import transforms
from hybridstore.tuning.adapter import AdapterSettings

_WORDS = (
    "harbour violin glacier saddle lantern walnut compass bakery tunnel orchard dentist candle ferry museum pepper "
    "gravel mirror pigeon"
)
ASKED = _WORDS.split()
_DICE = random.Random(1)
WRITTEN = ["".join(_DICE.choice("bdfgklmnprstvz") + _DICE.choice("aeiou") for _ in range(3)) for _ in ASKED]
PAIRS = list(itertools.combinations(range(len(ASKED)), 2))
EMBEDDER = HashingEmbedder(64)
# None of these are the defaults, which may change.
SETTINGS = AdapterSettings(rank=24, epochs=30, batch=64, rate=0.01, temperature=0.05, anchor=0.1, soft=0.5, seed=0)


def name(pair):
    return f"d{pair[0]}-{pair[1]}"


def question(pair):
    return f"{ASKED[pair[0]]} and {ASKED[pair[1]]}"


def filled(path, embedder=EMBEDDER, *, triples=True):
    """Make the store and give it open."""
    store = hs.open(path, embedder=embedder, threads=1)
    store.add(
        [hs.Document(id=name(pair), text=f"The {WRITTEN[pair[0]]} of a {WRITTEN[pair[1]]}.") for pair in PAIRS],
        chunk=False,
    )
    if triples:
        store.learning.add_triples(
            [
                Triple(query=question(pair), kind="labelled", positive=chunk(store, name(pair)), score=1.0)
                for pair in PAIRS
            ]
        )
    return store


def chunk(store, document):
    return store.chunks.of([document])[document][0]


def answers(store, **options):
    """Return all that can be seen of the hits of a dozen questions."""
    return [store.search(question(pair), limit=5, **options).trace.hits for pair in PAIRS[::13]]


def random_adapter(embedder=EMBEDDER, *, size=1.0, seed=0):
    """Return a version whose weights turn questions anywhere."""
    rng = np.random.default_rng(seed)
    down, up = (rng.standard_normal(shape).astype(np.float32) for shape in ((embedder.dim, 8), (8, embedder.dim)))
    return transforms.Adapter(embedder.fingerprint, down, np.float32(size / embedder.dim) * up)


def version(adapter, **facts):
    """Return an adapter as a version that can be proposed."""
    weights = transforms.write(adapter)
    return ModelVersion(
        kind="adapter", source=adapter.source, target=adapter.target, reference="hashing-64", weights=weights, **facts
    )
